"""A GGUF file written by llama.cpp (the package xllamacpp): the same settings, the same completions.

Its seeds are its own, so a text drawn there is not the one drawn here; the greedy one is, but for ties.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dozero.errors import ArtifactError, DataError, MissingExtra
from dozero.generate.batch import Finish
from dozero.generate.language_model import Completion, TokenLogprob
from dozero.hardware import usable_cores
from dozero.settings import GenerateConfig

MAGIC = b"GGUF"


@dataclass(frozen=True)
class LlamaCpp:
    """A GGUF file that llama.cpp has opened."""

    server: Any
    file: Path

    @classmethod
    @contextmanager
    def open(cls, file: Path, threads: int = 0) -> Iterator[LlamaCpp]:
        """Open a file until leaving; ArtifactError when llama.cpp cannot read it."""
        try:
            import xllamacpp
        except ImportError:
            raise MissingExtra("xllamacpp", extra="llamacpp") from None
        check_magic(file)
        params = xllamacpp.CommonParams()  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs
        params.model.path = str(file)
        params.n_ctx = 0  # that of the file
        params.n_parallel = 1
        params.warmup = False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or usable_cores()
        params.verbosity = -1
        try:
            server = xllamacpp.Server(params)  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs
        except RuntimeError as error:
            raise ArtifactError(f"llama.cpp cannot open it ({error})", where=file) from None
        server.handle_completions(
            {"prompt": " ", "max_tokens": 1}
        )  # its loop has begun: closed before, it waits for ever
        try:
            yield cls(server, file)
        finally:
            del server

    def finish(
        self,
        prompt: str,
        config: GenerateConfig,
        seed: int = 0,
        top: int | None = None,
        schema: dict[str, Any] | bool | None = None,
    ) -> Completion:
        """Return the finished continuation of a prompt; DataError with llama.cpp's words where it refuses."""
        answer = self.server.handle_completions(request_of(prompt, config, seed, top, schema))
        if "error" in answer or answer.get("code"):
            error = answer.get("error", answer)
            message = str(error.get("message", error)).splitlines()[0]
            raise DataError(f"llama.cpp refuses ({message})", where=self.file)
        choice = answer["choices"][0]
        finish: Finish = "length" if choice["finish_reason"] == "length" else "stop"
        tokens = [_logprob_of(token) for token in (choice.get("logprobs") or {}).get("content", [])]
        ids = [token.id for token in tokens] or [-1] * int(answer["usage"]["completion_tokens"])
        return Completion(prompt, choice["text"], seed, finish, ids, tokens if top is not None else [])


def request_of(
    prompt: str, config: GenerateConfig, seed: int, top: int | None, schema: dict[str, Any] | bool | None
) -> dict[str, Any]:
    """Return the settings of sampling in llama.cpp's words, its own rules beyond them switched off."""
    request: dict[str, Any] = {
        "prompt": prompt,
        "max_tokens": config.max_tokens,
        "temperature": config.temperature,
        "top_k": config.top_k if config.temperature else 1,
        "top_p": config.top_p,
        "min_p": config.min_p,
        "repeat_penalty": config.repetition_penalty,
        "repeat_last_n": len(prompt.encode()) + config.max_tokens,  # all of the text: a token has a byte at least
        "presence_penalty": config.presence_penalty,
        "frequency_penalty": config.frequency_penalty,
        "logit_bias": [[token, bias] for token, bias in config.biases.items()],
        "stop": list(config.stop),
        "seed": seed % 2**32,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
        "stream": False,
    }
    if top is not None:
        request["logprobs"] = max(1, top)
    if schema is not None:
        request["json_schema"] = schema
    return request


def _logprob_of(token: dict[str, Any]) -> TokenLogprob:
    top = [(int(t["id"]), str(t["token"]), float(t["logprob"])) for t in token.get("top_logprobs", [])]
    return TokenLogprob(int(token["id"]), str(token["token"]), float(token["logprob"]), top)


def check_magic(file: Path) -> None:
    """Raise ArtifactError for a file that is no GGUF: what it declares is llama.cpp's to check."""
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(MAGIC))
    except OSError as error:
        raise ArtifactError(f"cannot be read ({error.strerror})", where=file) from None
    if begins != MAGIC:
        raise ArtifactError("not a GGUF file", where=file, expected="a file that begins with GGUF")


def find_gguf(path: Path) -> Path:
    """Return the GGUF file that a path means: itself, or the only or newest one in the folder; ArtifactError if none."""
    if path.is_file():
        return path
    found = sorted(path.rglob("*.gguf"), key=lambda file: file.stat().st_mtime) if path.is_dir() else []
    if not found:
        raise ArtifactError("holds no GGUF file", where=path, next=f"dozero export {path} --to gguf")
    return found[-1]
