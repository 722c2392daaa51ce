"""The words of report.md, in Portuguese and in English side by side."""

from __future__ import annotations

from dozero.train.figures import shown

MARKS = {"problem": "✗", "note": "·", "well": "✓"}

# Under each key: Portuguese, then English.
TEXT: dict[str, tuple[str, str]] = {
    "title": ("# Relatório do treino {name}", "# Report of the run {name}"),
    "summary": (
        "Um modelo de {params:,} parâmetros, treinado do zero em {source} ({language}) por {steps:,} passos: "
        "**{bits:.4f} bits por byte** em texto que ele nunca viu.",
        "A model of {params:,} parameters, trained from zero on {source} ({language}) for {steps:,} steps: "
        "**{bits:.4f} bits per byte** on text it never saw.",
    ),
    "result": ("## Resultado", "## Result"),
    "final": ("prova, no fim ({documents:,} documentos)", "held out, at the end ({documents:,} documents)"),
    "figures": (
        "{byte:.4f} bits por byte, {char:.4f} bits por caractere, {nats:.4f} nats por token",
        "{byte:.4f} bits per byte, {char:.4f} bits per character, {nats:.4f} nats per token",
    ),
    "best": ("prova, a menor no caminho (em parte dos documentos)", "held out, the lowest on the way (on a part of the documents)"),
    "best_figures": (
        "{byte:.4f} bits por byte, {nats:.4f} nats por token, no passo {step:,}",
        "{byte:.4f} bits per byte, {nats:.4f} nats per token, at step {step:,}",
    ),
    "foretold": ("prova, prevista antes do treino", "held out, foretold before training"),
    "foretold_figures": (
        "{byte:.4f} bits por byte em {seconds:.0f} s de treino: a prova ficou {off:+.1%} disso, o tempo {late:+.1%}",
        "{byte:.4f} bits per byte in {seconds:.0f} s of training: the exam came out {off:+.1%} from that, the time {late:+.1%}",
    ),
    "train_last": ("treino, o último lote registrado", "training, the last batch logged"),
    "diagnosis": ("## Diagnóstico", "## Diagnosis"),
    "curves": ("## Curvas", "## Curves"),
    "no_plots": ("Sem figuras aqui: elas precisam de matplotlib. {install}", "No pictures here: they need matplotlib. {install}"),
    "data": ("## Dados", "## Data"),
    "source": ("fonte", "source"),
    "licence": ("licença", "licence"),
    "language": ("língua", "language"),
    "train_text": ("para treinar", "to train on"),
    "heldout_text": ("para a prova", "held out"),
    "amounts": ("{documents:,} documentos, {tokens:,} tokens, {bytes:,} bytes", "{documents:,} documents, {tokens:,} tokens, {bytes:,} bytes"),
    "epochs": ("documentos vistos", "documents seen"),
    "times": ("{times:.2f} vezes", "{times:.2f} times"),
    "tokenizer": ("tokenizador", "tokenizer"),
    "vocabulary": ("{kind}, {size:,} tokens, {bytes:.2f} bytes por token", "{kind}, {size:,} tokens, {bytes:.2f} bytes per token"),
    "model": ("## Modelo", "## Model"),
    "architecture": ("arquitetura", "architecture"),
    "shape": ("forma", "shape"),
    "shape_figures": (
        "{layers} blocos, largura {width}, {heads} cabeças de atenção ({kv} de chaves e valores), MLP de {ff}, contexto de {context} tokens",
        "{layers} blocks, {width} wide, {heads} attention heads ({kv} of keys and values), MLP of {ff}, context of {context} tokens",
    ),
    "params": ("parâmetros", "parameters"),
    "params_figures": (
        "{params:,}: embedding {embedding:,}, blocos {blocks:,}, saída {head:,}",
        "{params:,}: embedding {embedding:,}, blocks {blocks:,}, head {head:,}",
    ),
    "cost": ("## Custo", "## Cost"),
    "steps": ("passos", "steps"),
    "steps_figures": ("{steps:,}, em {tokens:,} tokens", "{steps:,}, on {tokens:,} tokens"),
    "time": ("tempo de treino", "time of training"),
    "seconds": ("{seconds:.0f} s", "{seconds:.0f} s"),
    "operations": ("operações", "operations"),
    "tflop": ("{tflop:,.3g} TFLOP", "{tflop:,.3g} TFLOP"),
    "speed": ("velocidade (mediana)", "speed (median)"),
    "tokens_per_s": ("{speed:,} tokens por segundo", "{speed:,} tokens per second"),
    "used": ("uso da máquina", "use of the machine"),
    "used_figures": (
        "{share:.1%}: {gflops:.0f} de {peak:.0f} GFLOP/s, o mais que ela fez em produtos de matrizes",
        "{share:.1%}: {gflops:.0f} of {peak:.0f} GFLOP/s, the most it made in matrix products",
    ),
    "used_unknown": (
        "não se sabe: o pico desta máquina ainda não foi medido (`dozero doctor` mede)",
        "not known: the peak of this machine has not been measured yet (`dozero doctor` does)",
    ),
    "memory": ("memória do processo, a maior vista", "memory of the process, the most seen"),
    "megabytes": ("{mb:,.0f} MB", "{mb:,.0f} MB"),
    "samples": ("## O que ele escreveu no caminho", "## What it wrote on the way"),
    "sample": ("passo {step:,}:", "step {step:,}:"),
    "repeat": ("## Para repetir", "## To repeat it"),
    "repeat_what": (
        "Os mesmos dados, ajustes, versões e número de threads dão os mesmos pesos, bit a bit. O comando deste treino e, se for "
        "outro, o que só treina; `dozero reproduce` treina de novo em outra pasta e compara:",
        "The same data, settings, versions and number of threads give the same weights, bit for bit. The command of this run and, "
        "if it is another, the one that only trains; `dozero reproduce` trains again in another folder and compares:",
    ),
    "seed": ("semente", "seed"),
    "settings": ("ajustes, todos", "settings, all of them"),
    "dataset": ("conjunto de dados", "dataset"),
    "versions": ("versões", "versions"),
    "machine": ("máquina", "machine"),
}  # fmt: skip


def report_text(lang: str, key: str, **values: object) -> str:
    """Return a piece of the report, in "pt" or else English; whole numbers are grouped as the language does.

    >>> report_text("pt", "amounts", documents=1200, tokens=34567, bytes=1), report_text("en", "seconds", seconds=9.6)
    ('1.200 documentos, 34.567 tokens, 1 bytes', '10 s')
    """
    return TEXT[key][0 if lang == "pt" else 1].format(**{name: shown(value, lang) for name, value in values.items()})
