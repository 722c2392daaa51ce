"""What the corpus stage claims: languages, duplicates, personal data, scale, bad files, kills; both sides in one go.

    python benchmarks/corpus.py [one_command language near_duplicates personal_data scale bad_files kills] [--quick] [--json]

Real Portuguese text comes from Debian packages, unpacked into a cache folder (needs apt-get and dpkg-deb; nothing is
installed). The peer of `scale` is datatrove with its own filters; it needs spacy and xxhash before 4 besides. Exit 1 if a bar falls
short. About 25 minutes on two cores, most of it the 2 GB of `scale`; --quick takes a few.
"""

from __future__ import annotations

from claims.bad_files import bad_files
from claims.claim import run_claims
from claims.handbook_language import handbook_language
from claims.kills import kills
from claims.near_duplicates import near_duplicates
from claims.one_command import one_command
from claims.personal_data import personal_data
from claims.scale import scale

if __name__ == "__main__":
    run_claims(
        __doc__,
        {
            "one_command": one_command,
            "language": handbook_language,
            "near_duplicates": near_duplicates,
            "personal_data": personal_data,
            "scale": scale,
            "bad_files": bad_files,
            "kills": kills,
        },
    )
