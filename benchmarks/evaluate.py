"""What evaluation claims: it agrees with the judges of the field, finds every copy, and makes a run again bit for bit.

    python benchmarks/evaluate.py [agrees copies reproduces] [--quick] [--json]

`agrees` trains a small model of stories, asks it by `dozero eval`, and has lm-evaluation-harness, sacrebleu and
scikit-learn judge the same folder, items and answers, offline. `copies` plants passages of a corpus in samples and
holds the meter against a search that slides 30 characters over everything. `reproduces` makes runs of four kinds
again. Exit 1 if a bar falls short. About 10 minutes on two cores; --quick takes two.
"""

from __future__ import annotations

from claims.claim import run_claims
from claims.copy_meter import copy_meter
from claims.judges import judges
from claims.reproduced import reproduced

if __name__ == "__main__":
    run_claims(__doc__, {"agrees": judges, "copies": copy_meter, "reproduces": reproduced})
