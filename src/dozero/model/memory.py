"""The memory of training, from the settings alone: what is kept for the backward pass, and what is in use at its highest."""

from __future__ import annotations

from dataclasses import dataclass

from dozero.model.cost import Cost, model_cost, muon_stacks, rows_wait
from dozero.settings import ModelConfig, RunConfig

FLOAT32_BYTES = 4
ID_BYTES = 8
WRITTEN_OUT_POSITIONS = 256
"""Up to here the kernel "auto" writes attention out, on a CPU."""
LOSS_AT_ONCE = 2**20
"""Logits that the loss takes at once on a CPU, so that what it computes of them stays in a cache."""
HEAP_SHARE, HEAP_SHARE_AGAIN = 0.75, 1.1
"""Freed blocks that no other one fits, at most, as a share of those in use: a bound, from measurements (JOURNAL.md). The
second where activations are computed again."""
CODE_BYTES, LOW_CODE_BYTES = 8_000_000, 20_000_000
"""What torch makes for the products of a step: code for each shape, the second in bfloat16. Measured."""


@dataclass(frozen=True)
class SavedBytes:
    """What the forward pass keeps for the backward pass of some rows, the weights themselves left out."""

    block_bytes: int
    """The activations of one block."""
    block_copies_bytes: int
    """Copies of the weights of one block, in the dtype of the products or side by side."""
    ends_bytes: int
    """What is kept once: around the blocks, and what all of them look at."""
    mask_bytes: int
    """Which position may look at which: kept by the library's kernel, and for blocks that are computed again."""
    head_copy_bytes: int
    logit_gradient_bytes: int
    """Of every token of the vocabulary at every position; the loss has it from its forward pass."""
    entrance_bytes: int
    """What goes into a block: all that is kept of one whose inner values are computed again."""


def is_written_out(config: ModelConfig, kernel: str) -> bool:
    """Return whether attention by this kernel keeps what each position gives each other one, as the library's does not."""
    return kernel == "written" or (kernel == "auto" and config.max_seq_len <= WRITTEN_OUT_POSITIONS)


def saved_bytes(config: ModelConfig, vocab_size: int, rows: int, element_bytes: int, kernel: str) -> SavedBytes:
    """Return what the forward pass and the loss of so many full rows keep; products take `element_bytes` a number."""
    C, T, D = config.d_model, config.max_seq_len, config.head_dim
    N, heads = rows * T, config.n_heads + 2 * config.n_kv_heads
    low, copied = element_bytes, element_bytes < FLOAT32_BYTES
    matrices = C * D * (heads + config.n_heads) + 3 * C * config.d_ff
    scales = D * (config.n_heads + config.n_kv_heads) * config.qk_norm
    if kernel == "fused":
        numbers = 4 * C + (heads + config.n_heads) * D + 2 * config.d_ff
        return SavedBytes(
            block_bytes=N * (low * numbers + FLOAT32_BYTES * (2 + config.n_heads)),
            block_copies_bytes=low * (matrices if copied else C * D * heads + 2 * C * config.d_ff),
            ends_bytes=low * 2 * N * C + FLOAT32_BYTES * (T * D + N) + ID_BYTES * 2 * N,
            mask_bytes=0,
            head_copy_bytes=low * C * vocab_size * copied,
            logit_gradient_bytes=0,  # it takes the place of the logits
            entrance_bytes=low * N * C,
        )
    return SavedBytes(
        block_bytes=N * (low * _kept_numbers(config, kernel) + FLOAT32_BYTES * _kept_scales(config, kernel)),
        block_copies_bytes=low * (matrices if copied else C * D * heads) + FLOAT32_BYTES * scales,
        ends_bytes=low * (2 * N * C + 2 * T * D + D * D) + FLOAT32_BYTES * N + ID_BYTES * N,
        mask_bytes=low * rows * T * T,
        head_copy_bytes=low * C * vocab_size * copied,
        logit_gradient_bytes=low * N * vocab_size,
        entrance_bytes=low * N * C,
    )


def _kept_numbers(config: ModelConfig, kernel: str) -> int:
    """Return how many numbers of a position one block keeps for its backward pass."""
    C, T, H, K, D = config.d_model, config.max_seq_len, config.n_heads, config.n_kv_heads, config.head_dim
    around = 4 * C + 4 * config.d_ff + H * D  # both norms in and out; gate, silu, up and their product; before o_proj
    projected = (H + 2 * K) * D
    if is_written_out(
        config, kernel
    ):  # q, k and v in the order of the product; each position's share of each other one
        return around + projected * config.qk_norm + 3 * H * D + H * T
    shared = K < H  # then k and v are there once for each query head, too
    values = projected if config.qk_norm or not shared else 0
    return around + values + (H + K) * D + 2 * H * D * shared


def _kept_scales(config: ModelConfig, kernel: str) -> int:
    """Return how many scales in fp32 a block keeps of a position: of each norm, and of the softmax of the kernel."""
    H, K = config.n_heads, config.n_kv_heads
    return 2 + (H + K) * config.qk_norm + H * (not is_written_out(config, kernel))


@dataclass(frozen=True)
class TrainingMemory:
    """What training holds in one process, in bytes by kind: of each kind the most it ever is."""

    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    """Momentum of Muon, both means of AdamW."""
    activations_bytes: int
    """What the forward pass keeps for the backward pass, copies of the weights included."""
    logits_bytes: int
    """Logits and their gradients, and what the loss computes of a portion of them."""
    update_bytes: int
    """What an update computes on its way."""
    look_bytes: int
    """The weights before an update that is looked at closely."""
    alive_bytes: int
    """The most of all at one moment, which is less than their sum: not all are there at once."""
    code_bytes: int
    """What torch makes to multiply matrices of these shapes."""
    heap_bytes: int
    """The most that the allocator holds beside it: freed blocks that no other one fits. A bound; the others are counted."""

    @property
    def peak_bytes(self) -> int:
        """The most that the process holds."""
        return self.alive_bytes + self.code_bytes + self.heap_bytes


def training_memory(config: RunConfig, vocab_size: int, element_bytes: int, kernel: str = "auto") -> TrainingMemory:
    """Return what a run on one process holds; its products take numbers of so many bytes, its attention this kernel.

    The moments that can be the highest are the gradient of the loss, the backward pass of the last and of the first
    block, and the update. What torch and its allocator hold without a model comes on top.
    """
    model, cost = config.model, model_cost(config.model, vocab_size)
    rows = min(config.rows_at_once or config.rows_per_step, config.rows_per_step)
    saved = saved_bytes(model, vocab_size, rows, element_bytes, kernel)
    inside = saved.block_bytes + saved.block_copies_bytes
    again = config.train.checkpoint_activations
    of_block, computed_again = (saved.entrance_bytes, inside - saved.entrance_bytes) if again else (inside, 0)
    mask = saved.mask_bytes if again or not is_written_out(model, kernel) else 0
    ends = saved.ends_bytes + saved.head_copy_bytes + mask
    logits = rows * model.max_seq_len * vocab_size * element_bytes
    copies = 1 + (element_bytes < FLOAT32_BYTES)
    portion = FLOAT32_BYTES * copies * min(LOSS_AT_ONCE, rows * model.max_seq_len * vocab_size) * (kernel != "fused")
    loss = logits + saved.logit_gradient_bytes + portion
    weights, state = FLOAT32_BYTES * cost.params, _state_bytes(model, cost)
    before = weights if rows < config.rows_per_step else 0  # gradients of the portions before
    look = weights if config.train.observe_every else 0
    update = _update_bytes(model, cost, element_bytes, kernel)
    # The last norm has let go of what goes in and out of it.
    at_block = ends - 2 * saved.entrance_bytes + computed_again + logits
    at_block += _backward_bytes(model, rows, element_bytes, kernel)
    head = FLOAT32_BYTES * vocab_size * model.d_model
    head_and_others = head + FLOAT32_BYTES * cost.block_params * (model.n_layers - 1) // model.n_layers
    highest = max(
        before + ends + model.n_layers * of_block + loss,
        max(before, head) + model.n_layers * of_block + at_block,
        max(before, head_and_others) + of_block + at_block,
        weights + update,
    )
    alive = weights + state + look + 3 * ID_BYTES * config.rows_per_step * model.max_seq_len + highest
    return TrainingMemory(
        weights_bytes=weights, gradients_bytes=weights, optimizer_bytes=state,
        activations_bytes=ends + model.n_layers * of_block + computed_again, logits_bytes=loss, update_bytes=update,
        look_bytes=look, alive_bytes=alive,
        code_bytes=CODE_BYTES if element_bytes == FLOAT32_BYTES else LOW_CODE_BYTES,
        heap_bytes=round((HEAP_SHARE_AGAIN if again else HEAP_SHARE) * alive),
    )  # fmt: skip


def _state_bytes(config: ModelConfig, cost: Cost) -> int:
    """Return the bytes of the optimizer's state: AdamW keeps two numbers of a parameter, Muon one."""
    muon = sum(count * rows * cols for count, rows, cols in muon_stacks(config))
    return FLOAT32_BYTES * (muon + 2 * (cost.params - muon))


def _backward_bytes(config: ModelConfig, rows: int, element_bytes: int, kernel: str) -> int:
    """Return the most that the backward pass of a block adds, gradients of its weights included, less what it lets go of.

    That is in the MLP, where the gradients of its three inner values stand beside two of them; or in attention, which
    comes later: the MLP's values are gone then, and its weights have gradients instead of copies.
    """
    N, C, F, HD = rows * config.max_seq_len, config.d_model, config.d_ff, config.n_heads * config.head_dim
    if kernel == "fused":  # all that has a name there stays until it returns
        T, D, projected = config.max_seq_len, config.head_dim, HD + 2 * config.n_kv_heads * config.head_dim
        before, matrices = (
            C * (HD + 3 * F),
            C * (projected + HD + 3 * F),
        )  # gradients of weights, attention's own to come
        own = FLOAT32_BYTES * T * (16 * D + 64)  # of one thread, about: a head's rows, their packed forms and gradients
        in_attention = element_bytes * (N * HD + before) + own
        in_norm = element_bytes * (N * 2 * C + matrices)
        copied = FLOAT32_BYTES * matrices * (element_bytes < FLOAT32_BYTES)
        at_end = element_bytes * (N * C + matrices) + copied
        return element_bytes * N * (2 * C + F + projected) + max(in_attention, in_norm, at_end)
    in_mlp = element_bytes * N * (C + 2 * F) + FLOAT32_BYTES * C * F
    written = is_written_out(config, kernel)
    shares = 2 * config.n_heads * config.max_seq_len - C - HD  # of each position in each other one, and their scores
    gradients = 3 * C * F * (FLOAT32_BYTES - element_bytes * (element_bytes < FLOAT32_BYTES))
    in_attention = element_bytes * N * ((shares if written else 4 * HD - C) - 4 * F) + gradients
    return max(in_mlp, in_attention)


def _update_bytes(config: ModelConfig, cost: Cost, element_bytes: int, kernel: str) -> int:
    """Return the most an update computes on its way: Muon for its largest stack, or AdamW for its one long vector.

    Of a stack that is the gradients in fp32 and in the dtype of the products, the matrices before and after a round,
    and two square ones; of the vector the gradients, their spread and the moves. Fused, all is in the dtype of the
    products, and the vector takes nothing.
    """
    stacks = list(muon_stacks(config))
    muon = sum(count * rows * cols for count, rows, cols in stacks)
    if kernel == "fused":
        return max(n * rows * _numbers_of_row(rows, cols, element_bytes) * element_bytes for n, rows, cols in stacks)
    copy = element_bytes * (element_bytes < FLOAT32_BYTES)
    rounds = max(
        count * rows * (cols * (FLOAT32_BYTES + copy + 2 * element_bytes) + 2 * rows * element_bytes)
        for count, rows, cols in stacks
    )
    return max(rounds, 3 * FLOAT32_BYTES * (cost.params - muon))


def _numbers_of_row(rows: int, cols: int, element_bytes: int) -> int:
    """Return how many numbers Muon's rounds hold for each row of a matrix, its direction included.

    Those of the row before and after a round, and of two square matrices; or, where long rows wait for what is done on
    their Gram matrix, of up to five.
    """
    on_gram = 5 * rows if rows_wait(rows, cols, element_bytes) else 0
    return 2 * cols + max(cols + 2 * rows, on_gram)
