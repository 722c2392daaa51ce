"""Which of the two languages the command line speaks, and the narrator that speaks it."""

from __future__ import annotations

import os

NARRATED = ("pt", "en")


def pick_language(lang: str | None = None) -> str:
    """Return the language asked for, else that of the locale, as a two- or three-letter code.

    The locale variables are read in the order the C library reads them. Only Portuguese is recognised there;
    everything else is answered in English.

    >>> pick_language("pt-BR")
    'pt'
    """
    if lang:
        return lang.replace("_", "-").split("-")[0].lower()
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "pt" if value.lower().startswith("pt") else "en"
    return "en"


def narration(lang: str) -> str:
    """Return the language of the narrative: that of the words if we speak it, else that of the locale.

    >>> narration("pt"), narration("en")
    ('pt', 'en')
    """
    return lang if lang in NARRATED else pick_language()
