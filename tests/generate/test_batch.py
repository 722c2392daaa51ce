"""What is told of a text being written is plain data: a request is complete by its prompt alone."""

from dozero.generate.batch import Request
from dozero.settings import GenerateConfig


def test_a_request_needs_no_more_than_a_prompt():
    request = Request((0, 3))
    assert (request.config, request.seed, request.constraint) == (GenerateConfig(), 0, None)
