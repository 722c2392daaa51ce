"""Units are plain data: they compare, hash and travel."""

import copy
from multiprocessing.reduction import ForkingPickler

from dozero.corpus.read.unit import Span, Unit


def test_a_unit_equals_its_copy_and_can_be_sent_to_another_process():
    unit = Unit((Span("/data/a.txt", "a.txt"), Span("/data/b.jsonl", "b.jsonl", 10, 20, 3)), "MIT", "docs", "text")
    assert copy.deepcopy(unit) == unit
    assert hash(copy.deepcopy(unit)) == hash(unit)
    assert ForkingPickler.loads(ForkingPickler.dumps(unit)) == unit
