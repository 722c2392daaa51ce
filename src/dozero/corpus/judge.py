"""What becomes of one document: cleaned, judged by each rule in turn, its personal data masked."""

from __future__ import annotations

from dataclasses import dataclass

from dozero.corpus.clean import clean_text
from dozero.corpus.decontaminate import make_decontamination_filter
from dozero.corpus.document import Document
from dozero.corpus.forgotten import Forgotten
from dozero.corpus.licence import licence_filter, normalise_licence
from dozero.corpus.parts import Filter, Parts
from dozero.corpus.personal import KINDS, count_kinds, find_personal_data, mask_personal_data
from dozero.corpus.read.limits import Unreadable
from dozero.corpus.read.listing import list_units
from dozero.corpus.read.reader import read_unit
from dozero.corpus.rules import make_filters
from dozero.corpus.store import Stored
from dozero.errors import DataError
from dozero.settings import CurateConfig, DataConfig, SourceConfig

PERSONAL, FORGOTTEN, EMPTY = "personal data", "forgotten", "empty"


@dataclass(frozen=True)
class Judge:
    """The rules of a curation, made once for each unit."""

    filters: tuple[Filter, ...]
    personal_data: str
    kinds: frozenset[str]
    forgotten: Forgotten


def make_judge(data: DataConfig, config: CurateConfig, forgotten: Forgotten | None = None) -> Judge:
    """Return the rules that the settings name, in their order: the licence, the text, the evaluation set."""
    filters = [licence_filter(data.allow_unlicensed), *(judge for _, judge in make_filters(config))]
    if config.evaluation:
        filters.append(make_decontamination_filter(read_evaluation(config.evaluation)))
    kinds = frozenset(config.personal_kinds or KINDS) if config.personal_data != "off" else frozenset()
    return Judge(tuple(filters), config.personal_data, kinds, forgotten or Forgotten())


def read_evaluation(pattern: str) -> list[str]:
    """Return the evaluation texts that a path or glob names; DataError if one cannot be read."""
    texts = []
    for unit in list_units(SourceConfig(path=pattern)):
        for item in read_unit(unit):
            if isinstance(item, Unreadable):
                raise DataError("evaluation text cannot be read", where=item.where, got=item.what)
            texts.append(clean_text(item.text))
    return texts


def judge_document(document: Document, judge: Judge) -> tuple[Stored, Parts]:
    """Return what is stored of a document, with the reason if it is dropped, and the parts of its text.

    Text is stored masked even where it is dropped; a document to be forgotten leaves only its id.
    """
    text = clean_text(document.text)
    parts = Parts(text)
    document = document._replace(text=text, licence=normalise_licence(document.licence), lang=parts.language[0])
    reason = _first_reason(document, parts, judge.filters)
    personal = ""
    if judge.kinds:
        findings = find_personal_data(text, judge.kinds)
        personal = count_kinds(findings)
        if findings and judge.personal_data != "report":
            document = document._replace(text=mask_personal_data(text, findings))
            if judge.personal_data == "drop":
                reason = reason or PERSONAL
    if judge.forgotten.covers(document):
        return Stored(document.id, document._replace(text="", source=""), FORGOTTEN), parts
    return Stored(document.id, document, reason, personal), parts


def _first_reason(document: Document, parts: Parts, filters: tuple[Filter, ...]) -> str | None:
    if not document.text:
        return EMPTY
    return next((reason for judge in filters if (reason := judge(document, parts))), None)
