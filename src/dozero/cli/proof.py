"""`dozero train --prove-resume`: a certificate that a killed run ends with the same bits, or the first difference."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from dozero.cli.display import Display, event_tree
from dozero.cli.language import narration
from dozero.cli.session import Job, ready_device
from dozero.config import load_config
from dozero.errors import CheckpointError
from dozero.hardware import cpu_name, usable_cores
from dozero.pipeline.prove import Killed, Proof, Undisturbed, prove_resume, shorten
from dozero.pipeline.stages import Prepared
from dozero.train.checkpoint import machine_facts

# Under each key: Portuguese, then English.
PROOF_MESSAGES: dict[str, tuple[str, str]] = {
    "undisturbed": (
        "cópia sem perturbação: {steps} passos em {seconds:.1f} s",
        "undisturbed copy: {steps} steps in {seconds:.1f} s",
    ),
    "killed": (
        "morta no passo {at_step} (vinha do passo {began_at}; refez {lost_steps} passos)",
        "killed at step {at_step} (it came from step {began_at}; made {lost_steps} steps again)",
    ),
    "title": ("CERTIFICADO DE RETOMADA", "CERTIFICATE OF RESUMPTION"),
    "machine": ("máquina", "machine"),
    "versions": ("versões", "versions"),
    "threads": ("threads", "threads"),
    "dataset": ("conjunto", "dataset"),
    "steps": ("passos", "steps"),
    "kills": ("mortes (SIGKILL)", "kills (SIGKILL)"),
    "lost": ("passos perdidos por morte, no máximo", "steps lost by a kill, at most"),
    "recovery": ("do início ao primeiro passo, p50 / p99", "from start to first step, p50 / p99"),
    "compared": ("comparado", "compared"),
    "compared_what": (
        "métricas, amostras, pesos, estado do otimizador",
        "metrics, samples, weights, optimizer state",
    ),
    "verdict": ("resultado", "result"),
    "identical": ("idênticos, bit a bit", "identical, bit for bit"),
    "different": (
        "DIFEREM: {file}, passo {step}, {where}: {undisturbed} sem perturbação, {killed} com mortes",
        "DIFFERENT: {file}, step {step}, {where}: {undisturbed} undisturbed, {killed} with kills",
    ),
}


def tell(lang: str, key: str, **values: object) -> str:
    """Return a message of the certificate in the narrated language nearest to `lang`."""
    return PROOF_MESSAGES[key][0 if narration(lang) == "pt" else 1].format(**values)


def prove_and_show(display: Display, job: Job, data: Prepared, kills: int) -> None:
    """Prove the resumption of a job's run on short copies beside it and print the certificate.

    Raises CheckpointError after it if a bit differs; the copies then stay, to be looked into.
    """
    config = shorten(load_config(job.begun, job.overrides) if job.begun is not None else job.config)
    device = ready_device(config)
    folder = Path(tempfile.mkdtemp(prefix=".proof-", dir=job.workspace.root))
    proof, is_proven = None, False
    try:
        for event in prove_resume(config, job.workspace.dataset, job.workspace.tokenizer, folder, kills):
            _show(display, event)
            proof = event
        assert isinstance(proof, Proof)
        facts = machine_facts(device.dtype)
        certificate = certificate_of(proof, facts, data.dataset.manifest.fingerprint)
        if display.as_json:
            display.print_json(certificate)
        for line in certificate_lines(display.lang, certificate):
            display.line(escape(line))
        is_proven = proof.difference is None
    finally:
        if is_proven or proof is None:
            shutil.rmtree(folder, ignore_errors=True)
    if not is_proven:
        raise CheckpointError("a killed run ended with other bits", where=folder, next="dozero doctor")


def certificate_of(proof: Proof, facts: dict[str, str], dataset: str) -> dict[str, Any]:
    """Return the certificate as plain data."""
    machine = {"cpu": cpu_name(), "cores": usable_cores(), "platform": facts["platform"]}
    about = {"event": "Certificate", "machine": machine, "facts": facts, "dataset": dataset}
    return about | asdict(proof) | {"identical": proof.difference is None}


def certificate_lines(lang: str, certificate: dict[str, Any]) -> list[str]:
    """Return the certificate as people read it."""
    facts, machine = certificate["facts"], certificate["machine"]
    versions = ", ".join(f"{name} {facts[name]}" for name in ("dozero", "torch", "python", "numpy"))
    rows = {
        "machine": f"{machine['cpu']}, {machine['cores']} CPUs, {machine['platform']}",
        "versions": versions,
        "threads": f"{facts['threads']}, {facts['dtype']}",
        "dataset": certificate["dataset"][:16],
        "steps": certificate["steps"],
        "kills": certificate["kills"],
        "lost": certificate["most_steps_lost"],
        "recovery": f"{certificate['recovery_p50_s']:.1f} s / {certificate['recovery_p99_s']:.1f} s",
        "compared": tell(lang, "compared_what"),
        "verdict": tell(lang, "identical") if certificate["identical"] else tell(lang, "different", **certificate["difference"]),
    }  # fmt: skip
    width = max(len(tell(lang, key)) for key in rows)
    return [tell(lang, "title"), *(f"  {tell(lang, key):<{width}}  {value}" for key, value in rows.items())]


def _show(display: Display, event: Undisturbed | Killed | Proof) -> None:
    if display.as_json and not isinstance(event, Proof):
        display.print_json(event_tree(event))
    elif isinstance(event, Undisturbed):
        display.line(tell(display.lang, "undisturbed", **asdict(event)))
    elif isinstance(event, Killed):
        display.line(tell(display.lang, "killed", **asdict(event)))
