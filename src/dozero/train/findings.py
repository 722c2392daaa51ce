"""What each finding of a diagnosis says, in Portuguese and in English side by side: what, the evidence, what to do."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict, dataclass
from typing import Any

from dozero.train.diagnose import Finding
from dozero.train.figures import shown
from dozero.train.run_facts import RunFacts

LAYER_WORDS = {"embedding": "embedding", "layer": "camada", "attention": "atenção", "mlp": "MLP", "head": "saída"}
SETTINGS = ("muon_lr", "adam_lr")  # shown as one types them

# Under each key: what, evidence, advice; each in Portuguese, then English.
TEXT: dict[str, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    "not_finite": (
        ("o treino parou: os números deixaram de ser finitos", "training stopped: its numbers were no longer finite"),
        ("no passo {step}: {got}", "at step {step}: {got}"),
        ("baixe a taxa de aprendizado", "lower the learning rate"),
    ),
    "diverging": (
        ("a perda sobe em vez de cair: o treino diverge", "the loss rises instead of falling: training diverges"),
        (
            "a perda esteve em {lowest:.3f} e acaba em {last:.3f}; norma do gradiente: mediana {grad_before:.3g}, no fim {grad_last:.3g}",
            "the loss had been {lowest:.3f} and ends at {last:.3f}; gradient norm: median {grad_before:.3g}, at the end {grad_last:.3g}",
        ),
        ("baixe a taxa de aprendizado", "lower the learning rate"),
    ),
    "rate_high": (
        ("a taxa de aprendizado é alta demais", "the learning rate is too high"),
        (
            "no passo {step} uma atualização move os pesos dos blocos em {ratio:.1%} de seu tamanho (o usual é uns {usual:.0%}); "
            "os valores no fluxo residual chegam a {stream:,.0f}; saltos da perda: {spikes}; muon_lr {muon_lr:g}, adam_lr {adam_lr:g}",
            "at step {step} one update moves the weights of the blocks by {ratio:.1%} of their size (usual is about {usual:.0%}); "
            "the values of the residual stream get to {stream:,.0f}; leaps of the loss: {spikes}; muon_lr {muon_lr:g}, adam_lr {adam_lr:g}",
        ),
        ("baixe a taxa de aprendizado", "lower the learning rate"),
    ),
    "spikes": (
        ("a perda dá saltos: a taxa de aprendizado parece alta demais", "the loss leaps: the learning rate seems too high"),
        (
            "{spikes} saltos, o maior de {before:.2f} a {after:.2f} no passo {step}; muon_lr {muon_lr:g}, adam_lr {adam_lr:g}",
            "{spikes} leaps, the largest from {before:.2f} to {after:.2f} at step {step}; muon_lr {muon_lr:g}, adam_lr {adam_lr:g}",
        ),
        ("baixe a taxa de aprendizado", "lower the learning rate"),
    ),
    "rate_low": (
        ("a taxa de aprendizado é baixa demais", "the learning rate is too low"),
        (
            "uma atualização move os pesos dos blocos em no máximo {ratio:.2%} de seu tamanho ({looks} olhares; o usual é uns {usual:.0%}), "
            "e a perda ainda cai: de {then:.3f} a {now:.3f} no último terço; muon_lr {muon_lr:g}, adam_lr {adam_lr:g}",
            "one update moves the weights of the blocks by at most {ratio:.2%} of their size ({looks} looks; usual is about {usual:.0%}), "
            "and the loss still falls: from {then:.3f} to {now:.3f} in the last third; muon_lr {muon_lr:g}, adam_lr {adam_lr:g}",
        ),
        ("aumente a taxa de aprendizado", "raise the learning rate"),
    ),
    "dead_layer": (
        ("uma parte do modelo não aprende: {layer}", "a part of the model does not learn: {layer}"),
        (
            "desde o passo {from_step}, em {looks} olhares: norma do gradiente {grad_norm:.3g}, mudança dos pesos {update_ratio:.3g}, "
            "o que ela soma ao fluxo {added_rms:.3g}",
            "since step {from_step}, in {looks} looks: gradient norm {grad_norm:.3g}, change of the weights {update_ratio:.3g}, "
            "what it adds to the stream {added_rms:.3g}",
        ),
        (
            "comece de novo; se os pesos vieram de fora ou foram congelados, veja se é o que você quer",
            "begin anew; if the weights came from elsewhere or were frozen, see whether that is what you want",
        ),
    ),
    "dead_units": (
        ("muitas unidades não respondem a nada: {layer}", "many units answer to nothing: {layer}"),
        (
            "{dead_units:.0%} das unidades internas ficam perto de zero em toda posição olhada",
            "{dead_units:.0%} of the inner units stay near zero at every position looked at",
        ),
        ("uma taxa de aprendizado menor, desde o começo", "a lower learning rate, from the start"),
    ),
    "overfitting": (
        ("o modelo decora: está sobreajustado", "the model learns by heart: it overfits"),
        (
            "a perda na prova foi a menor no passo {best_step} ({best:.3f}) e subiu a {last:.3f} no passo {last_step}, "
            "enquanto a do treino caiu de {train_then:.3f} a {train_last:.3f}; cada documento foi visto {epochs:.1f} vezes",
            "the held-out loss was lowest at step {best_step} ({best:.3f}) and rose to {last:.3f} at step {last_step}, "
            "while that of training fell from {train_then:.3f} to {train_last:.3f}; each document was seen {epochs:.1f} times",
        ),
        (
            "mais texto é o melhor remédio; senão, menos passos ou um modelo menor",
            "more text is the best remedy; else fewer steps or a smaller model",
        ),
    ),
    "data_starved": (
        ("faltam dados para um treino deste tamanho", "there is too little text for a run of this length"),
        (
            "{documents:,} documentos, vistos {epochs:.1f} vezes; depois de umas {most} vezes, repetir ensina pouco",
            "{documents:,} documents, seen {epochs:.1f} times; after some {most} times, repeating teaches little",
        ),
        ("junte mais texto", "add more text"),
    ),
    "few_documents": (
        ("há poucos documentos", "there are few documents"),
        ("só {documents:,}; com menos de {few:,} um modelo aprende pouco além deles", "only {documents:,}; below {few:,} a model learns little beyond them"),
        ("junte mais texto", "add more text"),
    ),
    "input_bound": (
        ("o treino espera pelos dados", "training waits for its data"),
        ("montar um lote toma {share:.0%} do tempo de um passo", "making a batch takes {share:.0%} of the time of a step"),
        ("lotes maiores, ou um disco mais rápido", "larger batches, or a faster disk"),
    ),
    "too_short": (
        ("mais treino ainda melhoraria o modelo", "more training would still improve the model"),
        (
            "o último terço trouxe {share:.0%} da queda da perda ({then:.3f} a {now:.3f}); os documentos foram vistos {epochs:.2f} vezes",
            "the last third brought {share:.0%} of the fall of the loss ({then:.3f} to {now:.3f}); the documents were seen {epochs:.2f} times",
        ),
        ("treine por mais passos", "train for more steps"),
    ),
    "unfinished": (
        ("o treino não terminou", "the run is not finished"),
        ("passo {step} de {steps}", "step {step} of {steps}"),
        ("o mesmo comando continua", "the same command continues it"),
    ),
    "too_few_lines": (
        ("ainda é cedo para dizer como vai", "it is too early to say how it goes"),
        ("linhas de perda registradas: {lines}; são precisas {needed}", "lines of loss logged: {lines}; it takes {needed}"),
        ("treine por mais passos, ou registre mais vezes", "train for more steps, or log more often"),
    ),
    "well": (
        ("tudo bem", "all well"),
        ("a perda caiu de {first:.3f} a {last:.3f}; na prova está em {heldout:.3f}", "the loss fell from {first:.3f} to {last:.3f}; held out it is {heldout:.3f}"),
        ("nada a mudar", "nothing to change"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A finding in words: what was found, by what evidence, what to do, and a command that does it ("" if none)."""

    key: str
    level: str
    what: str
    evidence: str
    advice: str
    command: str


def tell_finding(finding: Finding, facts: RunFacts, lang: str) -> Told:
    """Return a finding in words, in "pt" or else English."""
    place = 0 if lang == "pt" else 1
    numbers = {k: _shown(k, v, lang) for k, v in finding.numbers.items()}
    what, evidence, advice = (text[place].format(**numbers) for text in TEXT[finding.key])
    command = ""
    if finding.change:
        command = f"{facts.command} {shlex.join(finding.change)} --name {_new_name(facts, finding.key)}"
    return Told(finding.key, finding.level, what, evidence, advice, command)


def finding_tree(finding: Finding, facts: RunFacts, lang: str) -> dict[str, Any]:
    """Return a finding as plain data: its words and its numbers."""
    numbers = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in finding.numbers.items()}
    return {**asdict(tell_finding(finding, facts, lang)), "numbers": numbers, "change": list(finding.change)}


def _shown(name: str, value: Any, lang: str) -> Any:
    if name == "layer":
        return layer_name(value, lang)
    return value if name in SETTINGS else shown(value, lang)


def layer_name(layer: str, lang: str) -> str:
    """Return what a layer is called; layers count from 0, as in the names of the weights.

    >>> layer_name("layer 0 attention", "pt"), layer_name("layer 0 attention", "en")
    ('camada 0, atenção', 'layer 0, attention')
    """
    words = layer.split()
    if lang == "pt":
        words = [LAYER_WORDS.get(word, word) for word in words]
    return " ".join(words[:2]) + "".join(f", {word}" for word in words[2:])


def _new_name(facts: RunFacts, key: str) -> str:
    """Return a name for the next try that no run beside this one has."""
    base = {"rate_low": "faster", "too_short": "longer", "overfitting": "shorter"}.get(key, "calmer")
    names = (base, *(f"{base}-{i}" for i in range(2, 1000)))
    return next(name for name in names if not (facts.path.parent / name).exists())
