"""report.md of a finished run: what it learned from, what it is, how it went, what it cost, and how to repeat it."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from dozero.artifact import versions
from dozero.device import Device
from dozero.durable import explain_os_errors
from dozero.errors import DozeroError, MissingExtra
from dozero.eval.surprise import Surprise
from dozero.hardware import cpu_name
from dozero.model.cost import model_cost
from dozero.train.diagnose import diagnose
from dozero.train.energy import energy_row
from dozero.train.findings import tell_finding
from dozero.train.foretold import read_foretold
from dozero.train.peak import find_peak
from dozero.train.plots import draw_run_plots
from dozero.train.report_evaluations import evaluation_lines, run_results
from dozero.train.report_text import MARKS, report_text
from dozero.train.run_facts import RunFacts, read_facts

REPORT, PLOTS = "report.md", "plots"
SAMPLES = 5
SAMPLE_CHARACTERS = 600

Rows = list[tuple[str, str]]


def write_run_report(run: Path, device: Device, lang: str, command: str) -> Path:
    """Write report.md and its pictures to the folder of a finished run, in "pt" or "en", and return the page.

    Whatever keeps the pictures from being drawn is told on the page; `command` is what the user typed.
    """
    facts = read_facts(run)
    pictures, why_not = _draw(facts, run / PLOTS, lang)
    page = "\n".join(_sections(facts, device, lang, command, pictures, why_not)) + "\n"
    with explain_os_errors(run):
        temporary = run / f".{REPORT}.writing"
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(run / REPORT)
    return run / REPORT


def _draw(facts: RunFacts, folder: Path, lang: str) -> tuple[Sequence[Path], str]:
    """Return the pictures drawn, or why there are none.

    They are drawn in a thread of its own: matplotlib, while it is imported, leaves exceptions behind that keep the
    frames of all its callers alive, and with them the mapped files of the dataset.
    """
    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(draw_run_plots, facts, folder, lang).result(), ""
    except MissingExtra as error:
        return (), report_text(lang, "no_plots", install=error.next or "")
    except DozeroError as error:
        return (), str(error)
    except Exception as error:  # noqa: BLE001 - whatever a drawing library raises, the model is trained and its report written
        return (), f"{type(error).__name__}: {error}"


def _sections(
    facts: RunFacts, device: Device, lang: str, command: str, pictures: Sequence[Path], why_not: str
) -> Iterator[str]:
    def say(key: str, **values: object) -> str:
        return report_text(lang, key, **values)

    yield say("title", name=facts.path.name)
    yield from ("", _summary(facts, lang), "", say("result"), "", *_table(_result_rows(facts, lang)))
    yield from ("", say("diagnosis"), "")
    for finding in diagnose(facts):
        told = tell_finding(finding, facts, lang)
        yield f"* {MARKS[told.level]} **{told.what}**: {told.evidence}." + (f" {told.advice}." if told.command else "")
        if told.command:
            yield f"  `{told.command}`"
    yield ""
    if pictures or why_not:
        yield from (say("curves"), "")
    yield from (f"![{picture.stem}]({PLOTS}/{picture.name})\n" for picture in pictures)
    if why_not:
        yield why_not + "\n"
    yield from (*evaluation_lines(run_results(facts.path), lang, str(facts.path)), "")
    yield from (say("data"), "", *_table(_data_rows(facts, lang)))
    yield from ("", say("model"), "", *_table(_model_rows(facts, lang)))
    yield from ("", say("cost"), "", *_table(_cost_rows(facts, device, lang)))
    yield from ("", say("samples"), "", *_samples(facts, lang))
    yield from (say("repeat"), "", say("repeat_what"), "", "```bash", command)
    if command != facts.command:
        yield f"{facts.command} --name {facts.path.name}"
    yield shlex.join(["dozero", "reproduce", str(facts.path)])
    made_with = facts.manifest.versions if facts.manifest else versions()
    machine = f"{cpu_name() if device.type == 'cpu' else device.type}, {device.threads} threads, {_dtype(device.dtype)}"
    yield from ("```", "", *_table([
        (say("seed"), str(facts.config.seed)),
        (say("settings"), "[run.toml](run.toml)"),
        (say("dataset"), f"`{facts.manifest.inputs['dataset']}`" if facts.manifest else "?"),
        (say("versions"), ", ".join(f"{name} {version}" for name, version in made_with.items())),
        (say("machine"), machine),
    ]))  # fmt: skip


def _summary(facts: RunFacts, lang: str) -> str:
    about, heldout = facts.data.get("about", {}), _heldout(facts)
    return report_text(
        lang, "summary", params=facts.data.get("params", 0), source=about.get("source", "?"),
        language=about.get("language", "?"), steps=facts.step, bits=heldout.bits_per_byte if heldout else float("nan"),
    )  # fmt: skip


def _heldout(facts: RunFacts) -> Surprise | None:
    return Surprise(**facts.manifest.about["heldout"]) if facts.manifest else None


def _result_rows(facts: RunFacts, lang: str) -> Rows:
    def say(key: str, **values: object) -> str:
        return report_text(lang, key, **values)

    heldout, rows = _heldout(facts), []
    if heldout:
        rows.append((say("final", documents=heldout.documents), say(
            "figures", byte=heldout.bits_per_byte, char=heldout.bits_per_character, nats=heldout.nats_per_token
        )))  # fmt: skip
    foretold = read_foretold(facts.path)
    if heldout and foretold and facts.manifest:
        rows.append((say("foretold"), say(
            "foretold_figures", byte=foretold.bits_per_byte, seconds=foretold.training_s,
            off=heldout.bits_per_byte / foretold.bits_per_byte - 1,
            late=facts.manifest.seconds / foretold.training_s - 1,
        )))  # fmt: skip
    if facts.heldout:
        best = min(facts.heldout, key=lambda line: line["heldout_loss"])
        bits = best.get("heldout_bits_per_byte", float("nan"))
        rows.append((say("best"), say("best_figures", byte=bits, nats=best["heldout_loss"], step=best["step"])))
    if facts.losses:
        last = facts.losses[-1]
        bits = last.get("bits_per_byte", float("nan"))
        rows.append((say("train_last"), say("best_figures", byte=bits, nats=last["loss"], step=last["step"])))
    return rows


def _data_rows(facts: RunFacts, lang: str) -> Rows:
    data, about = facts.data, facts.data.get("about", {})
    rows = [(report_text(lang, key), about.get(key, "?")) for key in ("source", "licence", "language")]
    splits = [split for split in ("train", "heldout") if split in data]
    rows += [(report_text(lang, f"{split}_text"), report_text(lang, "amounts", **data[split])) for split in splits]
    if facts.epochs is not None:
        rows.append((report_text(lang, "epochs"), report_text(lang, "times", times=facts.epochs)))
    if "train" in data:
        per_token = data["train"]["bytes"] / max(1, data["train"]["tokens"])
        kind = facts.config.tokenizer.kind
        text = report_text(lang, "vocabulary", kind=kind, size=data["vocab_size"], bytes=per_token)
        rows.append((report_text(lang, "tokenizer"), text))
    return rows


def _model_rows(facts: RunFacts, lang: str) -> Rows:
    shape, data = facts.config.model, facts.data
    text = report_text(
        lang, "shape_figures", layers=shape.n_layers, width=shape.d_model, heads=shape.n_heads,
        kv=shape.n_kv_heads, ff=shape.d_ff, context=shape.max_seq_len,
    )  # fmt: skip
    rows = [(report_text(lang, "architecture"), shape.architecture), (report_text(lang, "shape"), text)]
    if "vocab_size" in data:
        cost = model_cost(shape, data["vocab_size"])
        rows.append((report_text(lang, "params"), report_text(
            lang, "params_figures", params=cost.params, embedding=cost.embedding_params, blocks=cost.block_params,
            head=cost.head_params,
        )))  # fmt: skip
    return rows


def _cost_rows(facts: RunFacts, device: Device, lang: str) -> Rows:
    """Return what training took; the share of this machine's peak only where that was measured."""
    timed = [line for line in facts.timings if "tokens_per_s" in line]
    resident = [line["resident_bytes"] for line in facts.timings if "resident_bytes" in line]
    seconds = facts.manifest.seconds if facts.manifest else timed[-1]["seconds"] if timed else 0.0
    tokens = facts.losses[-1]["tokens"] if facts.losses else 0
    rows = [
        (report_text(lang, "steps"), report_text(lang, "steps_figures", steps=facts.step, tokens=tokens)),
        (report_text(lang, "time"), report_text(lang, "seconds", seconds=seconds)),
        energy_row(seconds, facts.config.eval.watts, lang),
    ]
    flops = facts.data.get("flops_per_token")
    if flops:
        rows.append((report_text(lang, "operations"), report_text(lang, "tflop", tflop=flops * tokens / 1e12)))
    if timed:
        speed = statistics.median(line["tokens_per_s"] for line in timed)
        rows.append((report_text(lang, "speed"), report_text(lang, "tokens_per_s", speed=round(speed))))
        peak = find_peak(device, seconds)
        if peak and flops and speed * flops < peak:
            gflops, share = speed * flops / 1e9, speed * flops / peak
            text = report_text(lang, "used_figures", share=share, gflops=gflops, peak=peak / 1e9)
            rows.append((report_text(lang, "used"), text))
        else:
            rows.append((report_text(lang, "used"), report_text(lang, "used_unknown")))
    if resident:
        rows.append((report_text(lang, "memory"), report_text(lang, "megabytes", mb=max(resident) / 1e6)))
    return rows


def _samples(facts: RunFacts, lang: str) -> Iterator[str]:
    """Show a handful of samples, first and last among them."""
    last = len(facts.samples) - 1
    chosen = sorted({round(i * last / max(1, SAMPLES - 1)) for i in range(SAMPLES)}) if facts.samples else []
    for i in chosen:
        sample = facts.samples[i]
        text = sample["text"][:SAMPLE_CHARACTERS] + ("..." if len(sample["text"]) > SAMPLE_CHARACTERS else "")
        yield from (report_text(lang, "sample", step=sample["step"]), "")
        yield from (f"    {line}" for line in text.splitlines() or [""])
        yield ""


def _table(rows: Rows) -> Iterator[str]:
    yield from ("| | |", "|---|---|")
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.replace("|", r"\|").split()) for cell in row) + " |"


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
