"""What `dozero curate` and `dozero inspect CORPUS` say, in Portuguese and in English side by side."""

from __future__ import annotations

from rich.markup import escape

from dozero.cli.language import narration
from dozero.cli.messages import number

# Under each key: Portuguese, then English.
CORPUS_MESSAGES: dict[str, tuple[str, str]] = {
    "interrupted": (
        "interrompido; o que já foi lido está guardado e o mesmo comando continua:",
        "interrupted; what was read so far is kept and the same command continues:",
    ),
    "curated": (
        "documentos que ficam: [bold]{kept}[/] ({kept_size}); que saem: [bold]{dropped}[/] ({dropped_size}); em {seconds} s",
        "documents kept: [bold]{kept}[/] ({kept_size}); dropped: [bold]{dropped}[/] ({dropped_size}); in {seconds} s",
    ),
    "report": (
        "documentos que ficaram: [bold]{kept}[/] ({kept_size}); que saíram: [bold]{dropped}[/] ({dropped_size})",
        "documents kept: [bold]{kept}[/] ({kept_size}); dropped: [bold]{dropped}[/] ({dropped_size})",
    ),
    "reason": ("motivo", "reason"),
    "documents": ("documentos", "documents"),
    "size": ("texto", "text"),
    "share": ("parte", "share"),
    "example": ("por exemplo (id, começo)", "for example (id, beginning)"),
    "kept": ("ficam", "kept"),
    "dropped": ("saem", "dropped"),
    "lengths": ("tamanho em palavras", "length in words"),
    "languages": ("língua", "language"),
    "licences": ("licença", "licence"),
    "sources": ("fonte", "source"),
    "unknown": ("desconhecida", "unknown"),
    "others": (
        "outras: {count}",
        "others: {count}",
    ),
    "personal": ("dados pessoais", "personal data"),
    "personal_found": (
        "{found} (documentos: {documents})",
        "{found} (documents: {documents})",
    ),
    "unreadable": (
        "arquivos ou registros que não puderam ser lidos: {count}",
        "files or records that could not be read: {count}",
    ),
    "unreadable_more": ("e mais {count}; a lista está em report.json", "and {count} more; the list is in report.json"),
    "no_plots": ("sem figuras: {why}", "no pictures: {why}"),
    "files": (
        "ficha de dados: {card} · figuras: {plots}",
        "data card: {card} · pictures: {plots}",
    ),
    "files_without_plots": ("ficha de dados: {card}", "data card: {card}"),
    "next": (
        "por que um documento saiu ou o que mudou nele: dozero inspect {path} --document ID",
        "why a document went or what changed in it: dozero inspect {path} --document ID",
    ),
    # --- one document
    "document_kept": ("{id} · fica", "{id} · kept"),
    "document_dropped": ("{id} · sai: {reason}", "{id} · dropped: {reason}"),
    "source": ("origem", "source"),
    "licence": ("licença", "licence"),
    "language": ("língua", "language"),
    "collection": ("coleção", "collection"),
    "unchanged": ("o texto é o da origem, sem mudança:", "the text is that of the source, unchanged:"),
    "changed": (
        "antes e depois ([red]sai[/], [green]entra[/]):",
        "before and after ([red]goes[/], [green]comes[/]):",
    ),
    "before:no file": (
        "a origem não está mais lá: só se vê o texto guardado",
        "the source is no longer there: only the stored text can be seen",
    ),
    "before:changed": (
        "a origem mudou ou já não tem este documento: só se vê o texto guardado",
        "the source has changed or no longer holds this document: only the stored text can be seen",
    ),
    "before:not local": (
        "a origem não é um arquivo daqui e não se busca de novo: só se vê o texto guardado",
        "the source is no file here and is not fetched again: only the stored text can be seen",
    ),
    "skipped_same": (
        "[dim]... linhas iguais: {count} ...[/]",
        "[dim]... equal lines: {count} ...[/]",
    ),
    # --- forgetting
    "matched": (
        "documentos a esquecer em {path}: {kept} dos que ficaram, {dropped} dos que saíram",
        "documents to forget in {path}: {kept} of those kept, {dropped} of those dropped",
    ),
    "matched_more": ("... e mais {count}", "... and {count} more"),
    "searched": ("procurado em: {places} (mais: --also PASTA)", "searched: {places} (more: --also FOLDER)"),
    "nothing_made": (
        "nada ali foi feito a partir deste corpus",
        "nothing there was made from this corpus",
    ),
    "made_from_it": ("feito a partir deste corpus:", "made from this corpus:"),
    "trace": ("{kind}: {path}", "{kind}: {path}"),
    "kind_corpus": ("corpus", "corpus"),
    "kind_tokenizer": ("tokens", "tokenizer"),
    "kind_dataset": ("conjunto", "dataset"),
    "kind_model": ("modelo", "model"),
    "kind_run": ("treino", "run"),
    "kind_evaluation": ("avaliação", "evaluation"),
    "weights_keep": (
        "[bold]pesos já treinados guardam traços do que viram; nenhum foi apagado:[/]",
        "[bold]weights already trained keep traces of what they saw; none were deleted:[/]",
    ),
    "weights_anew": ("para treinar de novo:", "to train anew:"),
    "weights_uncertain": (
        "treinos cujo conjunto já não existe, de modo que ninguém pode dizer se viram estes documentos:",
        "runs whose dataset no longer exists, so that nobody can say whether they saw these documents:",
    ),
    "left_over": (
        "ainda guardam o que foi esquecido; refaça a partir do corpus novo ou apague:",
        "still hold what was forgotten; make again from the new corpus or delete:",
    ),
    "sources_hold": (
        "os arquivos de origem não foram tocados; se voltarem a ser lidos para esta pasta, estes documentos ficam de fora",
        "the source files were not touched; read again into this folder, these documents stay out",
    ),
    "near_copies": (
        "quase cópias são outros documentos, com outro id: procure-as por uma expressão regular",
        "near copies are other documents, with another id: look for them by a regular expression",
    ),
    "erased": (
        "documentos esquecidos: {documents}; no corpus em {path} agora: {kept}, fora os que saíram: {dropped}",
        "documents forgotten: {documents}; in the corpus at {path} now: {kept}, apart from those dropped: {dropped}",
    ),
}


def tell(lang: str, key: str, **values: object) -> str:
    """Return a message as rich markup in the narrated language nearest to `lang`, whole numbers written as it does."""
    shown = {name: number(lang, v) if isinstance(v, int) else escape(str(v)) for name, v in values.items()}
    return CORPUS_MESSAGES[key][0 if narration(lang) == "pt" else 1].format(**shown)


def decimal(lang: str, value: float, digits: int = 1) -> str:
    """Return a number with the decimal mark of the language.

    >>> decimal("pt", 1234.56), decimal("en", 1234.56)
    ('1.234,6', '1,234.6')
    """
    text = f"{value:,.{digits}f}"
    return text.translate(str.maketrans(",.", ".,")) if narration(lang) == "pt" else text


def size(lang: str, count: int) -> str:
    """Return bytes in the unit in which they are read most easily.

    >>> size("en", 999), size("en", 14_520), size("pt", 3_200_000)
    ('999 B', '14.5 kB', '3,2 MB')
    """
    if count < 1000:
        return f"{count} B"
    power = min((len(str(count)) - 1) // 3, 4)
    return f"{decimal(lang, count / 1000**power)} {'kMGT'[power - 1]}B"
