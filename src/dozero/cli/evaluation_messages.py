"""What `dozero eval`, `compare` and `reproduce` say, in Portuguese and in English side by side."""

from __future__ import annotations

from rich.markup import escape

from dozero.cli.language import narration
from dozero.train.figures import shown

# Under each key: Portuguese, then English.
EVALUATION_MESSAGES: dict[str, tuple[str, str]] = {
    "asking": ("medindo {task} ...", "measuring {task} ..."),
    "skipped": ("{task}: não medido: {reason}", "{task}: not measured: {reason}"),
    "no_data": (
        "o texto de que este modelo aprendeu não está mais aqui: sem prova de texto novo e sem medidor de cópias "
        "(--against CORPUS o indica)",
        "the text this model learned from is no longer here: no held-out text and no copy meter (--against CORPUS names it)",
    ),
    "nothing": (
        "nada a medir: dê uma tarefa, ou peça textos com --samples",
        "nothing to measure: name a task, or ask for texts with --samples",
    ),
    "task_head": (
        "[bold cyan]{task}[/]  {items:,} itens, {seconds:.1f} s",
        "[bold cyan]{task}[/]  {items:,} items, {seconds:.1f} s",
    ),
    "task_head_part": (
        "[bold cyan]{task}[/]  {items:,} de {of_items:,} itens, {seconds:.1f} s",
        "[bold cyan]{task}[/]  {items:,} of {of_items:,} items, {seconds:.1f} s",
    ),
    "interval": ("95%: {low} a {high}", "95%: {low} to {high}"),
    "chance": ("acaso: {chance}", "chance: {chance}"),
    "worse": ("[yellow]pior que um sorteio[/]", "[yellow]worse than guessing[/]"),
    "at_chance": ("[yellow]no acaso: não se distingue de um sorteio[/]", "[yellow]at chance: not told apart from guessing[/]"),
    "confusion": ("linhas: o certo; colunas: o que o modelo disse", "rows: what is right; columns: what the model said"),
    "class_head": ("classe", "class"),
    "precision": ("precisão", "precision"),
    "recall": ("cobertura", "recall"),
    "f1": ("F1", "F1"),
    "support": ("itens", "items"),
    "reliability": (
        "calibração: de cada faixa de probabilidade, quantas vezes ele acertou",
        "calibration: for each band of probability, how often it was right",
    ),
    "reliability_row": ("{low:.2f} a {high:.2f}", "{low:.2f} to {high:.2f}"),
    "copies_none": (
        "nenhum trecho de {shortest} ou mais caracteres foi copiado ({documents:,} documentos comparados)",
        "no passage of {shortest} or more characters was copied ({documents:,} documents compared)",
    ),
    "copies": (
        "{count:,} trechos de {shortest} ou mais caracteres estão, letra por letra, no texto de treino:",
        "{count:,} passages of {shortest} or more characters stand word for word in the training text:",
    ),
    "copy": (
        "{characters:,} caracteres, amostra {sample}, de {source} ({licence}; documento {document}): {text}",
        "{characters:,} characters, sample {sample}, from {source} ({licence}; document {document}): {text}",
    ),
    "copies_more": ("e mais {count:,}; todos estão em {path}", "and {count:,} more; all are in {path}"),
    "no_licence": ("licença desconhecida", "licence unknown"),
    "signature": ("{metric}: {signature}", "{metric}: {signature}"),
    "kept_in": ("guardado em {path}", "kept in {path}"),
    "report_updated": ("relatório atualizado: {path}", "report updated: {path}"),
    "list_task": ("{name:<24} {kind:<10} {about}", "{name:<24} {kind:<10} {about}"),
    "about_pairs": (
        "pares mínimos feitos por gramática: qual frase é mais provável, a certa ou a errada?",
        "minimal pairs made by grammar: which sentence is likelier, the right or the wrong one?",
    ),
    "comparing": ("A: [bold]{first}[/]   B: [bold]{second}[/]", "A: [bold]{first}[/]   B: [bold]{second}[/]"),
    "left_out": (
        "{count:,} documentos da prova ficam de fora: o segundo modelo treinou com eles",
        "{count:,} held-out documents are left out: the second model was trained on them",
    ),
    "compared_head": (
        "[bold cyan]{task}[/]  {items:,} itens, {measure}",
        "[bold cyan]{task}[/]  {items:,} items, {measure}",
    ),
    "difference": (
        "diferença, segundo menos primeiro: {value} (95%: {low} a {high})",
        "difference, second minus first: {value} (95%: {low} to {high})",
    ),
    "difference_of_one": (
        "diferença: {value}; um item só não diz quão certa ela é",
        "difference: {value}; a single item does not say how sure it is",
    ),
    "real_difference": (
        "[bold green]{name} é melhor[/], e o acaso não explica a diferença (p = {p:.3f})",
        "[bold green]{name} is better[/], and chance does not explain the difference (p = {p:.3f})",
    ),
    "no_difference": (
        "[yellow]nenhuma diferença que o acaso não explique[/] (p = {p:.3f})",
        "[yellow]no difference that chance does not explain[/] (p = {p:.3f})",
    ),
    "costs": ("o que cada um custou ({first}; {second})", "what each took ({first}; {second})"),
    "axis_parameters": ("parâmetros", "parameters"),
    "axis_tokens": ("tokens", "tokens"),
    "axis_seconds": ("tempo", "time"),
    "cost_parameters": ("{value:,}", "{value:,}"),
    "cost_tokens": ("{value:,}", "{value:,}"),
    "cost_seconds": ("{value:,.1f} s", "{value:,.1f} s"),
    "unknown": ("não se sabe", "not known"),
    "equal": ("igual (até 5%)", "equal (within 5%)"),
    "not_equal": ("desigual", "not equal"),
    "at_equal_tokens": (
        "com os mesmos {amount:,.0f} tokens: {one:.4f} e {other:.4f} bits por byte na prova",
        "at the same {amount:,.0f} tokens: {one:.4f} and {other:.4f} bits per byte held out",
    ),
    "at_equal_seconds": (
        "no mesmo tempo, {amount:,.1f} s: {one:.4f} e {other:.4f} bits por byte na prova",
        "at the same time, {amount:,.1f} s: {one:.4f} and {other:.4f} bits per byte held out",
    ),
    "again": (
        "treina de novo {run}: {steps:,} passos, que levaram {seconds:.0f} s",
        "trains {run} again: {steps:,} steps, which took {seconds:.0f} s",
    ),
    "stage_corpus": ("dados", "corpus"),
    "stage_tokenizer": ("tokens", "tokenizer"),
    "stage_dataset": ("conjunto", "dataset"),
    "stage_same": ("  feito de novo, igual: {stage}", "  made again, the same: {stage}"),
    "stage_differs": ("  [yellow]feito de novo, diferente: {stage}[/]", "  [yellow]made again, different: {stage}[/]"),
    "weights_then": ("pesos de antes: {sha256}", "weights then:  {sha256}"),
    "weights_again": ("pesos de agora: {sha256}", "weights again: {sha256}"),
    "machine_same": (
        "versões, threads e processador: como antes",
        "versions, threads and processor: as they were",
    ),
    "machine_unknown": (
        "versões e threads de antes: desconhecidos, pois não há mais checkpoints",
        "versions and threads of then: unknown, since its checkpoints are gone",
    ),
    "machine_differs": ("[yellow]mudou desde então: {what}[/]", "[yellow]changed since then: {what}[/]"),
    "identical": (
        "[bold green]idênticos, bit a bit[/], em {steps:,} passos",
        "[bold green]identical, bit for bit[/], over {steps:,} steps",
    ),
    "different": (
        "[bold red]diferem[/], primeiro em {file}, passo {step}, {where}: {then} antes, {again} agora",
        "[bold red]different[/], first in {file}, step {step}, {where}: {then} then, {again} now",
    ),
}  # fmt: skip


def tell(lang: str, key: str, **values: object) -> str:
    """Return a message as rich markup in the narrated language nearest to `lang`, its numbers written as it does."""
    language = narration(lang)
    safe = {name: escape(v) if isinstance(v, str) else shown(v, language) for name, v in values.items()}
    return EVALUATION_MESSAGES[key][0 if language == "pt" else 1].format(**safe)
