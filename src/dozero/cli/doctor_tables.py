"""What `dozero doctor` says: its report as tables, in Portuguese and English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

# Each text in Portuguese and English, side by side so that neither is forgotten.
WORDS = {
    "title": ("Esta máquina", "This machine"),
    "os": ("Sistema", "System"),
    "python": ("Python", "Python"),
    "venv": ("Ambiente virtual", "Virtual environment"),
    "yes": ("sim", "yes"),
    "no": (
        "não; python -m venv .venv isola os pacotes do projeto",
        "no; python -m venv .venv keeps the project's packages apart",
    ),
    "torch": ("torch", "torch"),
    "cpu": ("Processador", "Processor"),
    "cores": ("Núcleos físicos / lógicos", "Cores, physical / logical"),
    "memory": ("Memória total / livre", "Memory, total / available"),
    "disk": ("Disco livre aqui", "Free disk here"),
    "busy": ("Carga", "Load"),
    "busy_note": (
        "{load} em {cores} núcleos: outros programas estão rodando, e os números abaixo saem menores",
        "{load} on {cores} cores: other programs are running, and the figures below come out lower",
    ),
    "peak_title": ("Medido agora (medianas)", "Measured just now (medians)"),
    "matmul": ("matmul {name} {size}³, {threads} thread(s)", "matmul {name} {size}³, {threads} thread(s)"),
    "matmul_figure": ("{gflops} GFLOP/s, erro relativo {error}", "{gflops} GFLOP/s, relative error {error}"),
    "copy": ("cópia de memória (lê + escreve)", "memory copy (read + written)"),
    "dtype": ("dtype recomendado", "recommended dtype"),
    "threads": ("threads recomendadas", "recommended threads"),
    "extras_title": ("Pacotes opcionais", "Optional packages"),
    "present": ("instalado", "installed"),
    "missing": ("falta {packages}: {install}", "missing {packages}: {install}"),
    "no_extras": ("nenhum declarado", "none declared"),
    "not_installed": ("dozero roda sem estar instalado: pip install -e .", "dozero runs uninstalled: pip install -e ."),
    "train_title": ("O que esta máquina treina", "What this machine trains"),
    "minutes": ("minutos", "minutes"),
    "reference_tokens": ("tokens em um modelo de {parameters}", "tokens through a model of {parameters}"),
    "parameters": ("maior modelo que compensa", "largest model worth it"),
    "tokens": ("tokens para ele", "tokens for it"),
    "measured": (
        "medido: {tokens_per_s} tokens/s em passos inteiros de um modelo de {parameters} de parâmetros, "
        "{share}% do maior matmul",
        "measured: {tokens_per_s} tokens/s in whole steps of a model of {parameters} parameters, "
        "{share}% of the fastest matmul",
    ),
    "assumed": (
        "suposto: 6 FLOPs por parâmetro e token, o mesmo rendimento em qualquer tamanho, "
        "20 tokens por parâmetro (Hoffmann et al. 2022)",
        "assumed: 6 FLOPs per parameter and token, the same yield at any size, "
        "20 tokens per parameter (Hoffmann et al. 2022)",
    ),
    "measuring_peak": ("medindo multiplicações e memória...", "measuring products and memory..."),
    "measuring_training": ("medindo passos de treino...", "measuring training steps..."),
}


def words_in(language: str) -> dict[str, str]:
    """Return the texts in Portuguese ("pt") or English ("en")."""
    return {key: pair[language != "pt"] for key, pair in WORDS.items()}


def show(facts: dict[str, Any], language: str) -> None:
    """Print the report on stdout as tables, in Portuguese ("pt") or English ("en")."""
    from rich.console import Console

    words = words_in(language)
    console = Console(highlight=False)
    console.print(_table(words["title"], _system_rows(facts["system"], words, language)))
    console.print(_table(words["peak_title"], _peak_rows(facts, words, language)))
    console.print(_table(words["extras_title"], _extra_rows(facts["extras"], words)))
    training = facts["training"]
    reference = amount(training["parameters"], language)
    keys = ("minutes", "reference_tokens", "parameters", "tokens")
    header = [words[key].format(parameters=reference) for key in keys]
    rows = [[amount(budget[key], language) for key in keys] for budget in training["budgets"]]
    console.print(_table(words["train_title"], rows, header))
    speed, share = amount(training["tokens_per_s"], language), round(100 * training["share_of_peak"])
    console.print(words["measured"].format(tokens_per_s=speed, parameters=reference, share=share))
    console.print(words["assumed"])


def _table(title: str, rows: list[list[str]], header: Sequence[str] = ()) -> Table:
    """Return a rich table; without a header its first column holds the names."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=bool(header))
    for name in header or ("", ""):
        table.add_column(name, justify="right" if header else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _system_rows(system: dict[str, Any], words: dict[str, str], language: str) -> list[list[str]]:
    """Return what the machine is, a name and a value in each row."""
    memory = (amount(system[f"memory_{part}_bytes"], language) + "B" for part in ("total", "available"))
    rows = [
        [words["os"], system["os"]],
        [words["python"], system["python"]],
        [words["venv"], words["yes"] if system["venv"] else words["no"]],
        [words["torch"], system["torch"]],
        [words["cpu"], system["cpu"]],
        [words["cores"], f"{system['physical_cores']} / {system['logical_cores']}"],
        [words["memory"], " / ".join(memory)],
        [words["disk"], amount(system["disk_free_bytes"], language) + "B"],
    ]
    if system["accelerator"]:
        rows.append(["GPU", system["accelerator"]])
    if system["load"] > system["physical_cores"] / 2:
        note = words["busy_note"].format(load=amount(system["load"], language), cores=system["physical_cores"])
        rows.append([words["busy"], note])
    return rows


def _peak_rows(facts: dict[str, Any], words: dict[str, str], language: str) -> list[list[str]]:
    """Return what was measured and what it speaks for, a name and a value in each row."""
    rows = []
    for speed in facts["peak"]["matmuls"]:
        error = amount(speed["relative_error"], language)
        figure = words["matmul_figure"].format(gflops=amount(speed["gflops"], language), error=error)
        rows.append([words["matmul"].format(**speed), figure])
    advice = facts["recommended"]
    return [
        *rows,
        [words["copy"], f"{amount(facts['peak']['copy_gb_s'], language)} GB/s"],
        [words["dtype"], f"{advice['dtype']} ({advice['dtype_reason'][language]})"],
        [words["threads"], f"{advice['threads']} ({advice['threads_reason'][language]})"],
    ]


def _extra_rows(extras: list[dict[str, Any]] | None, words: dict[str, str]) -> list[list[str]]:
    """Return each extra with what is missing of it and the line that installs it."""
    from rich.markup import escape  # dozero[test] would otherwise be read as a style

    if extras is None:
        return [["", words["not_installed"]]]
    rows = []
    for extra in extras:
        missing = words["missing"].format(packages=", ".join(extra["missing"]), install=escape(extra["install"]))
        rows.append([extra["name"], missing if extra["missing"] else words["present"]])
    return rows or [["", words["no_extras"]]]


def amount(value: float | int, language: str) -> str:
    """Return a figure to three digits, with k, M, G or T for thousands and beyond, and the language's decimal mark.

    >>> amount(3_670_016, "en"), amount(3_670_016, "pt"), amount(60, "en"), amount(2.4e-7, "pt")
    ('3.67 M', '3,67 M', '60', '2,4e-07')
    """
    unit = ""
    for unit in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5 or unit == "T":
            break
        value /= 1000
    text = f"{value:.2g}" if abs(value) < 0.1 else f"{value:.3g}"
    if language == "pt":
        text = text.replace(".", ",")
    return f"{text} {unit}".rstrip()
