"""What the Hugging Face hub reads at the top of a dataset card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The hub's identifiers for licences are those of SPDX in lower case, but for these; any other is "other".
HUB_LICENCES = frozenset((
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0",
    "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc",
    "mpl-2.0", "ms-pl", "odbl", "odc-by", "pddl", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "bsd",
    "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "artistic-2.0", "afl-3.0", "osl-3.0", "lppl-1.3c",
))  # fmt: skip
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
         (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"))  # fmt: skip


def front_matter(report: Mapping[str, Any]) -> str:
    """Return the YAML that the Hugging Face hub reads: licence, languages, size, and where the documents are."""
    licences = sorted({hub_licence(r["licence"]) for r in report["licences"] if r["kept_documents"]})
    languages = [r["language"] for r in report["languages"] if r["kept_documents"] and r["language"].isalpha()]
    documents = report["kept"]["documents"]
    size = next((name for limit, name in SIZES if documents < limit), "n>1T")
    lines = ["---"]
    if licences:
        lines += ["license:", *(f"- {name}" for name in licences)]
    if languages:  # quoted, since Norwegian is "no", which YAML reads as false
        lines += ["language:", *(f'- "{code}"' for code in languages)]
    lines += ["size_categories:", f"- {size}", "tags:", "- dozero"]
    lines += ["configs:", "- config_name: default", '  data_files: "documents-*.parquet"', "---"]
    return "\n".join(lines) + "\n"


def hub_licence(licence: str) -> str:
    """Return the hub's identifier of a licence: that of SPDX in lower case where it has one.

    >>> hub_licence("CC-BY-SA-4.0"), hub_licence("GPL-2.0-or-later"), hub_licence("mine"), hub_licence("")
    ('cc-by-sa-4.0', 'gpl-2.0', 'other', 'unknown')
    """
    if not licence:
        return "unknown"
    name = licence.lower().removesuffix("-or-later").removesuffix("-only").removesuffix("+")
    name = "gfdl" if name.startswith("gfdl") else name
    return name if name in HUB_LICENCES else "other"
