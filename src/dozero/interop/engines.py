"""Other programs that run an exported model, each asked the same few things, so that theirs can be held against ours."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dozero.errors import ModelMismatch
from dozero.interop.packages import need
from dozero.model.transformer import Transformer
from dozero.tokenizer.chat import Messages, render_chat
from dozero.tokenizer.tokenizer import Tokenizer

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is reached by no proxy
Logits = Float[Tensor, "V"]


@runtime_checkable
class Engine(Protocol):
    """A model that another program has opened, or ours."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def gives_logarithms(self) -> bool:
        """Whether `logits` are logarithms of probabilities: logits but for one number added to all."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without what begins every text."""
        ...

    def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logits of the token after the ids."""
        ...

    def continue_greedily(self, ids: Sequence[int], count: int) -> list[int]:
        """Return the `count` likeliest tokens one after another, cached, or fewer where a token ends the text."""
        ...

    def chat(self, messages: Messages) -> str:
        """Return the text of a chat up to where the answer begins."""
        ...


@dataclass(frozen=True)
class Ours:
    """Our own model, in fp32."""

    model: Transformer
    tokenizer: Tokenizer
    name: str = "dozero"
    gives_logarithms: bool = False

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return self.tokenizer.encode(text).tolist()

    def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logits of the token after the ids."""
        with torch.no_grad():
            return self.model(torch.tensor([list(ids)]))[0, -1]

    def continue_greedily(self, ids: Sequence[int], count: int) -> list[int]:
        """Return the likeliest tokens one after another."""
        cache, new, found = self.model.new_cache(1, len(ids) + count), list(ids), list[int]()
        with torch.no_grad():
            for _ in range(count):
                new = [int(self.model(torch.tensor([new]), cache=cache)[0, -1].argmax())]
                found += new
                if new[0] == self.tokenizer.end_id:
                    break
        return found

    def chat(self, messages: Messages) -> str:
        """Return the text of a chat."""
        return render_chat(self.tokenizer, messages)


@dataclass(frozen=True)
class TransformersEngine:
    """A folder that transformers has opened, in fp32."""

    model: Any
    tokenizer: Any
    name: str = "transformers"
    gives_logarithms: bool = False

    @classmethod
    @contextmanager
    def open(cls, folder: Path, gguf_file: str | None = None) -> Iterator[TransformersEngine]:
        """Open a folder, or a GGUF file in it, offline and without running code that comes with it."""
        transformers = need("transformers")
        if gguf_file is not None:
            need("accelerate")
        transformers.utils.logging.disable_progress_bar()
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=gguf_file, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
        model.generation_config.max_length = None  # each call says how many tokens it wants
        yield cls(model.eval(), open_tokenizer_of(folder, gguf_file))

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logits of the token after the ids."""
        with torch.no_grad():
            return self.model(torch.tensor([list(ids)])).logits[0, -1]

    def continue_greedily(self, ids: Sequence[int], count: int) -> list[int]:
        """Return the likeliest tokens one after another, by transformers' own generate."""
        given = torch.tensor([list(ids)])
        settings = need("transformers").GenerationConfig(
            do_sample=False, max_new_tokens=count, eos_token_id=self.model.config.eos_token_id,
            pad_token_id=self.model.config.pad_token_id,
        )  # fmt: skip
        found = self.model.generate(given, attention_mask=torch.ones_like(given), generation_config=settings)
        return found[0, len(ids) :].tolist()

    def chat(self, messages: Messages) -> str:
        """Return the text of a chat."""
        return self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)


def open_tokenizer_of(folder: Path, gguf_file: str | None = None) -> Any:
    """Return the tokenizer of a folder as transformers opens it."""
    auto = need("transformers").AutoTokenizer
    more = {} if gguf_file is None else {"gguf_file": gguf_file}
    return auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **more)


@dataclass(frozen=True)
class OnnxEngine:
    """A model.onnx that onnxruntime has opened; the tokenizer beside it is opened by transformers."""

    session: Any
    tokenizer: Any
    end_id: int
    name: str = "onnxruntime"
    gives_logarithms: bool = False

    @classmethod
    @contextmanager
    def open(cls, file: Path) -> Iterator[OnnxEngine]:
        """Open a model with its cache."""
        runtime = need("onnxruntime")
        tokenizer = open_tokenizer_of(file.parent)
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        yield cls(session, tokenizer, int(tokenizer.eos_token_id))

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def _run(self, ids: Sequence[int], past: dict[str, Any], seen: int) -> tuple[Any, dict[str, Any]]:
        """Return the logits after each of the ids, and the cache with them."""
        total = seen + len(ids)
        given = {
            "input_ids": np.array([ids], dtype=np.int64),
            "attention_mask": np.ones((1, total), dtype=np.int64),
            "position_ids": np.arange(seen, total, dtype=np.int64)[None],
        }
        logits, *present = self.session.run(None, given | past)
        return logits[0], dict(zip(past, present, strict=True))

    def _nothing(self) -> dict[str, Any]:
        """Return the cache before the first token."""
        caches = [one for one in self.session.get_inputs() if one.name.startswith("past_key_values")]
        return {one.name: np.zeros((1, one.shape[1], 0, one.shape[3]), dtype=np.float32) for one in caches}

    def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logits of the token after the ids."""
        return torch.from_numpy(self._run(ids, self._nothing(), 0)[0][-1])

    def continue_greedily(self, ids: Sequence[int], count: int) -> list[int]:
        """Return the likeliest tokens one after another."""
        past, new, seen, found = self._nothing(), list(ids), 0, list[int]()
        while len(found) < count and self.end_id not in found:
            logits, past = self._run(new, past, seen)
            seen, new = seen + len(new), [int(logits[-1].argmax())]
            found += new
        return found

    def chat(self, messages: Messages) -> str:
        """Return the text of a chat."""
        return self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)


@dataclass(frozen=True)
class LlamaCppEngine:
    """A GGUF file that llama.cpp has opened, asked over its own API on the loopback interface."""

    server: Any
    tokenizer: Tokenizer
    """Ours, of the same model."""
    file: Path
    name: str = "llama.cpp"
    gives_logarithms: bool = True
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @classmethod
    @contextmanager
    def open(cls, file: Path, tokenizer: Tokenizer, context: int) -> Iterator[LlamaCppEngine]:
        """Open a file, its keys and values in fp32; ModelMismatch when llama.cpp cannot read it."""
        its = need("xllamacpp")
        params = its.CommonParams()
        params.model.path = str(file)
        params.hostnames, params.port, params.ui = ["127.0.0.1"], 0, False
        params.n_ctx, params.n_parallel = context, 1
        params.warmup = params.fit_params = False
        params.n_gpu_layers, params.verbosity = 0, -1
        params.cache_type_k = params.cache_type_v = its.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = its.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
        try:
            server = its.Server(params)
        except RuntimeError as error:
            raise ModelMismatch(f"llama.cpp cannot open it ({error})", where=file) from None
        try:
            engine = cls(server, tokenizer, file)
            engine.continue_greedily([0], 1)  # so that its loop has begun: closed before that, it waits for ever
            yield engine
        finally:
            del server

    @property
    def _whole_character(self) -> int:
        """A token that is text by itself."""
        texts = (token.decode(errors="replace") for token in self.tokenizer.tokens)
        return next(i for i, text in enumerate(texts) if text.isalnum())

    def _ask(self, path: str, **request: Any) -> dict[str, Any]:
        url = self.server.listening_address + path
        asked = urllib.request.Request(url, json.dumps(request).encode(), self.headers)
        try:
            with _DIRECT.open(asked) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")[:200]
            raise ModelMismatch(f"llama.cpp refuses ({told})", where=self.file) from None

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return self._ask("/tokenize", content=text, add_special=False, parse_special=False)["tokens"]

    def logits(self, ids: Sequence[int]) -> Logits:
        """Return the logarithms of the probabilities of the token after the ids."""
        # The probabilities told are those before any rule, but of a token that ends the text, or only part of a
        # character, none are told: so a whole character is made to come.
        answer = self._ask(
            "/completion", prompt=list(ids), n_predict=1, n_probs=self.tokenizer.vocab_size, temperature=0,
            cache_prompt=False, logit_bias=[[self._whole_character, 1e6]],
        )  # fmt: skip
        found = torch.full((self.tokenizer.vocab_size,), -torch.inf)
        for token in answer["completion_probabilities"][0]["top_logprobs"]:
            found[token["id"]] = token["logprob"]
        return found

    def continue_greedily(self, ids: Sequence[int], count: int) -> list[int]:
        """Return the likeliest tokens one after another; the one that ends the text is left out."""
        answer = self._ask("/completion", prompt=list(ids), n_predict=count, temperature=0, return_tokens=True)
        return answer["tokens"]

    def chat(self, messages: Messages) -> str:
        """Return the text of a chat, without the token that begins every text: llama.cpp puts that there later."""
        return self._ask("/apply-template", messages=list(messages))["prompt"]
