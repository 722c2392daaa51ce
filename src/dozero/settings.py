"""The tree of settings: frozen objects that refuse unknown keys.

Every field's docstring is its help text, its label in forms and its row in the reference table. What follows from
other fields is a property. `config.py` fills the tree from presets, files and the command line.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """Base of all settings: frozen, no unknown keys, no NaN or infinity, docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, strict=True
    )


Names = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of names in TOML, a tuple here."""


class SourceConfig(Config):
    """One of several sources of text, `[[data.sources]]` in TOML."""

    path: str
    """File, folder, glob, URL, hf://owner/name or a name of the catalog."""
    name: str = ""
    """What it is called in reports and in the mix; empty takes the path."""
    licence: str = ""
    """Licence of its documents where they do not carry their own, such as CC-BY-4.0 or own."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the training rows that come from it, relative to the other weights; 1 everywhere mixes by size."""
    text_field: str = "text"
    """Field or column that holds the text in csv, jsonl and parquet."""


class DataConfig(Config):
    """Where the text comes from."""

    kind: Literal["words", "stories", "text"] = "words"
    """`words`: a list of words, one document each; `stories`: our own grammar; `text`: any files, curated."""
    source: str = ""
    """text: file, folder, glob, URL, hf://owner/name or catalog name; words: a file, one a line; empty: the built-in."""
    licence: str = ""
    """Licence of the text where documents do not carry their own, such as CC-BY-4.0 or own."""
    allow_unlicensed: bool = False
    """Keep documents whose licence is not known."""
    sources: Annotated[tuple[SourceConfig, ...], Field(strict=False)] = ()
    """More sources, each with a licence and a weight of its own."""
    lang: str = "en"
    """Language code of built-in words and stories, such as pt, en, es or de."""
    stories: int = Field(default=100_000, ge=100)
    """Number of stories that the grammar tells."""
    max_words: int = Field(default=0, ge=0)
    """words: keep only this many, the most frequent first; 0 keeps all."""
    min_letters: int = Field(default=2, ge=1)
    """words: shortest one kept, in letters."""
    max_letters: int = Field(default=20, ge=1)
    """words: longest one kept, in letters."""
    foreign_ratio: float = Field(default=3.0, ge=0)
    """words: drop one this many times more frequent in another large European language; 0 switches the filter off."""
    heldout_percent: float = Field(default=10.0, gt=0, lt=100)
    """Share of the documents kept out of training, chosen by a hash of the document itself."""

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Self:
        if self.min_letters > self.max_letters:
            raise ValueError(f"min_letters ({self.min_letters}) is larger than max_letters ({self.max_letters})")
        return self

    @property
    def all_sources(self) -> tuple[SourceConfig, ...]:
        """Every source of text, `source` first; licences not told apart are `licence`."""
        every = (*((SourceConfig(path=self.source),) if self.source else ()), *self.sources)
        return tuple(s if s.licence else s.model_copy(update={"licence": self.licence}) for s in every)


class CurateConfig(Config):
    """What of a text is kept: the filters of `data.kind = "text"`, in the order in which they run."""

    languages: Names = ()
    """Keep documents in these languages, such as ["pt", "en"]; empty keeps every language."""
    filters: Names = ("length", "language", "gopher_quality", "gopher_repetition", "c4", "fineweb")
    """Names of the rules applied to each document; `dozero curate --help` lists them."""
    exact_duplicates: bool = True
    """Drop a document whose text, but for case and space, was seen before."""
    near_duplicates: bool = True
    """Drop a document that MinHash finds almost equal to an earlier one."""
    shingle_words: int = Field(default=5, ge=1)
    """Words in one shingle of MinHash."""
    bands: int = Field(default=14, ge=1)
    """Bands of MinHash: a pair of Jaccard similarity s is caught with probability 1 - (1 - s^rows)^bands."""
    rows: int = Field(default=8, ge=1)
    """Rows in a band of MinHash."""
    evaluation: str = ""
    """Text file, folder or glob of evaluation texts; documents that share a long run of words with them are dropped."""
    personal_data: Literal["mask", "drop", "report", "off"] = "mask"
    """What becomes of personal data: masked by typed placeholders, the document dropped, or only counted."""
    personal_kinds: Names = ()
    """Kinds of personal data looked for, such as ["cpf", "email"]; empty looks for all."""


class ScaleConfig(Config):
    """Where a corpus is made when one machine is too small."""

    executor: Literal["here", "local", "slurm", "ray"] = "here"
    """`here`: our own processes; else those of datatrove: on this machine, on a Slurm or on a Ray cluster."""
    tasks: int = Field(default=16, ge=1)
    """Portions of the input; a portion is what is run again when its task dies."""
    workers: int = Field(default=0, ge=0)
    """Tasks under way at once; 0 takes the cores of this machine (local) or sets no limit."""
    partition: str = ""
    """slurm: the partition to submit to."""
    time: str = "24:00:00"
    """slurm: longest time of a task."""
    memory_gb: int = Field(default=2, ge=1)
    """slurm and ray: memory of a task."""
    setup: str = ""
    """slurm: command that readies the environment of a task, such as source /shared/venv/bin/activate."""

    @model_validator(mode="after")
    def _slurm_has_a_partition(self) -> Self:
        if self.executor == "slurm" and not self.partition:
            raise ValueError('executor = "slurm" needs a partition')
        return self


class TokenizerConfig(Config):
    """How text becomes tokens."""

    kind: Literal["char", "bpe"] = "char"
    """`char`: one token for each character of the training text; `bpe`: byte-level pairs, merged by frequency."""
    vocab_size: int = Field(default=2048, ge=300, le=2**20)
    """bpe: number of tokens, special ones included."""


class ModelConfig(Config):
    """The shape of the transformer."""

    d_model: int = Field(default=128, ge=8)
    """C: width of the residual stream."""
    n_layers: int = Field(default=2, ge=1)
    """L: number of blocks."""
    n_heads: int = Field(default=4, ge=1)
    """H: query heads in each block."""
    n_kv_heads: int = Field(default=4, ge=1)
    """K: key/value heads, shared by groups of query heads when fewer than n_heads."""
    head_dim: int = Field(default=32, ge=2, multiple_of=2)
    """D: width of one head."""
    d_ff: int = Field(default=384, ge=8)
    """F: inner width of the MLP."""
    max_seq_len: int = Field(default=64, ge=8)
    """Longest context, in tokens; also the length of a training row."""
    qk_norm: bool = True
    """Normalise queries and keys (the model is then a Qwen3, otherwise a Llama)."""
    attention_bias: bool = False
    """Biases on the query, key and value projections (Qwen2); goes with qk_norm = false."""
    tie_embeddings: bool = False
    """Use one matrix for embedding and output head."""
    rope_theta: float = Field(default=10000.0, gt=0)
    """Base of the rotary position angles."""
    norm_eps: float = Field(default=1e-6, gt=0)
    """Added to the mean square in each norm."""

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})")
        if self.attention_bias and self.qk_norm:
            raise ValueError("attention_bias needs qk_norm = false: no published architecture has both")
        return self

    @property
    def architecture(self) -> str:
        """The Hugging Face class that opens this model unconverted."""
        if self.qk_norm:
            return "Qwen3ForCausalLM"
        return "Qwen2ForCausalLM" if self.attention_bias else "LlamaForCausalLM"


class OptimConfig(Config):
    """How weights move: Muon on the matrices inside the blocks, AdamW on everything else."""

    muon_lr: float = Field(default=0.03, gt=0)
    """Peak learning rate of Muon."""
    adam_lr: float = Field(default=0.01, gt=0)
    """Peak learning rate of AdamW."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Momentum of Muon."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of AdamW's mean of gradients."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """Decay of AdamW's mean of squared gradients."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to AdamW's denominator."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of the matrices, times the learning rate at each step."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the whole gradient; a longer one is scaled down to it."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps during which the learning rate rises."""
    decay: float = Field(default=0.6, ge=0, le=1)
    """Share of the steps, at the end, during which it falls to zero."""

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        if self.warmup + self.decay > 1:
            raise ValueError(f"warmup ({self.warmup}) + decay ({self.decay}) is more than the whole run")
        return self


class TrainConfig(Config):
    """How long, in which portions, on what, and how often to look."""

    steps: int = Field(default=1000, ge=1)
    """Number of updates of the weights."""
    max_seconds: float = Field(default=0.0, ge=0)
    """End the run sooner, its learning rate brought down in good order, if it would train longer than this; 0 lets it."""
    expected_steps: int = Field(default=0, ge=0)
    """Of `steps`, how many should fit max_seconds: just these are made if that takes no more than slack_seconds more or less. 0: no idea."""
    slack_seconds: float = Field(default=0.0, ge=0)
    """How far from max_seconds a run of the expected steps may end."""
    batch_tokens: int = Field(default=4096, ge=8)
    """Token positions in one step, rounded down to whole rows."""
    micro_batch_tokens: int = Field(default=0, ge=0)
    """Token positions that a process computes at once; gradients of a step's portions add up. 0: the whole step at once."""
    checkpoint_activations: bool = False
    """Compute each block again in the backward pass instead of keeping what it computed: less memory, a third more time."""
    shard: bool = False
    """Under torchrun, keep only a share of weights and optimizer state in each process (FSDP2): for what does not fit."""
    verify_slots: int = Field(default=0, ge=0)
    """Cut each step into so many slots and add their gradients in order: the same bits on 1, 2, 4 ... processes. 0: off."""
    peer_timeout_s: float = Field(default=600.0, gt=0)
    """Under torchrun, how long a process waits for another one before it gives up."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    dtype: str = "auto"
    """What matrix products are computed in: auto, float32 or bfloat16. Weights and updates stay in float32."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 takes the physical cores."""
    attention: Literal["auto", "written", "library", "fused"] = "auto"
    """How attention is computed: written out, by torch's own kernel, fused with all of its block in C, or what is fastest here."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the blocks for the steps of training, which takes some 15 s the first time; auto does if it saves more than that."""
    log_every: int = Field(default=10, ge=1)
    """Steps between two lines of metrics.jsonl."""
    observe_every: int = Field(default=50, ge=0)
    """Steps between two closer looks at gradient, update and activations of each layer, one more early; never at 0, or in shards."""
    eval_every: int = Field(default=100, ge=1)
    """Steps between two measurements of the held-out loss on a part of the held-out documents."""
    sample_every: int = Field(default=100, ge=1)
    """Steps between two samples."""
    save_every: int = Field(default=200, ge=1)
    """Steps between two checkpoints."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints kept; older ones are deleted once a newer one is verified."""
    on_divergence: Literal["raise", "skip", "rollback"] = "raise"
    """At a loss that jumps or is not finite: end the run, make no update, or go back a checkpoint and pass over the data since."""
    spike_sigma: float = Field(default=6.0, ge=0)
    """A loss so many standard deviations above the mean of the last 128 is a jump; 0 lets all finite ones pass."""
    most_skips: int = Field(default=5, ge=1)
    """skip, rollback: end the run when more than so many in a row, or back to one checkpoint, would be needed."""
    on_full_disk: Literal["stop", "continue"] = "stop"
    """When a checkpoint does not fit the disk: end the run at the last one, or train on without."""
    log_to: Names = ()
    """Also tell what happens to "tensorboard" or "wandb" (offline); each needs the extra of its name."""


class EvalConfig(Config):
    """What is measured while training, and assumed in its report."""

    heldout_docs: int = Field(default=1000, ge=1)
    """Held-out documents scored at each eval_every, spread evenly over all; the end of a run scores all."""
    watts: float = Field(default=30.0, gt=0)
    """Power that the machine is assumed to draw while it trains, for the estimate of energy in the report."""


class GenerateConfig(Config):
    """How the next token is chosen from the probabilities."""

    temperature: float = Field(default=1.0, ge=0)
    """Below 1 sharpens the probabilities, above 1 flattens them; 0 always takes the likeliest token."""
    top_k: int = Field(default=0, ge=0)
    """Choose among this many likeliest tokens; 0 means all."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Choose among the likeliest tokens that together hold this probability."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Choose among tokens at least this fraction as likely as the likeliest."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Above 1 makes tokens of the prompt and of the text so far less likely (their logits divided, or multiplied below 0)."""
    presence_penalty: float = 0.0
    """Taken off the logit of each token that the continuation already holds."""
    frequency_penalty: float = 0.0
    """Taken off the logit of a token once for each time that the continuation holds it."""
    logit_bias: Names = ()
    """Added to the logits of tokens, by their id, such as ["12=-5", "40=2.5"]; -100 rules a token out."""
    stop: Names = ()
    """The text ends before the first of these strings; none of it shows, not even a part."""
    speculate: int = Field(default=0, ge=0)
    """Tokens guessed ahead from what followed the same words before, and checked at once: the same text, sooner. 0: off."""
    max_tokens: int = Field(default=64, ge=1)
    """Longest continuation, in tokens."""

    @model_validator(mode="after")
    def _texts_are_usable(self) -> Self:
        if "" in self.stop:
            raise ValueError("stop holds an empty string, before which every text ends")
        for entry in self.logit_bias:
            token, _, bias = entry.partition("=")
            if not (token.isascii() and token.isdigit() and _is_finite(bias)):
                raise ValueError(f"logit_bias is written id=number, such as 12=-5, not {entry!r}")
        return self

    @property
    def biases(self) -> dict[int, float]:
        """What is added to the logit of each token named in `logit_bias`."""
        return {int(token): float(bias) for token, _, bias in (entry.partition("=") for entry in self.logit_bias)}


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class RunConfig(Config):
    """Everything that decides what a run computes."""

    seed: int = Field(default=0, ge=0)
    """Source of all randomness."""
    data: DataConfig = DataConfig()
    """Where the text comes from."""
    curate: CurateConfig = CurateConfig()
    """What of a text is kept."""
    scale: ScaleConfig = ScaleConfig()
    """Where a corpus is made; the documents are the same anywhere."""
    tokenizer: TokenizerConfig = TokenizerConfig()
    """How text becomes tokens."""
    model: ModelConfig = ModelConfig()
    """The shape of the transformer."""
    optim: OptimConfig = OptimConfig()
    """How weights move."""
    train: TrainConfig = TrainConfig()
    """How long, in which portions, on what, and how often to look."""
    eval: EvalConfig = EvalConfig()
    """What is measured while training, and assumed in its report."""
    generate: GenerateConfig = GenerateConfig()
    """How the next token is chosen."""

    @model_validator(mode="after")
    def _batch_holds_a_row(self) -> Self:
        if self.train.batch_tokens < self.model.max_seq_len:
            raise ValueError(
                f"train.batch_tokens ({self.train.batch_tokens}) is less than one row of "
                f"model.max_seq_len ({self.model.max_seq_len}) tokens"
            )
        if 0 < self.train.micro_batch_tokens < self.model.max_seq_len:
            raise ValueError(
                f"train.micro_batch_tokens ({self.train.micro_batch_tokens}) is less than one row of "
                f"model.max_seq_len ({self.model.max_seq_len}) tokens"
            )
        if self.train.verify_slots > self.rows_per_step:
            raise ValueError(
                f"train.verify_slots ({self.train.verify_slots}) is more than the {self.rows_per_step} rows of a step"
            )
        if self.train.verify_slots and self.train.shard:
            raise ValueError(
                "train.verify_slots and train.shard do not go together: shards are summed in another order"
            )
        return self

    @property
    def rows_per_step(self) -> int:
        """Rows of max_seq_len tokens in one step."""
        return self.train.batch_tokens // self.model.max_seq_len

    @property
    def rows_at_once(self) -> int:
        """Rows of max_seq_len tokens that a process computes at once; 0 for all of its step."""
        return self.train.micro_batch_tokens // self.model.max_seq_len
