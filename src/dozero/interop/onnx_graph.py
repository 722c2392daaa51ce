"""The arithmetic of `transformer.py` as an ONNX graph, node by node, with keys and values going in and out.

Names of inputs and outputs are those of the field (optimum, transformers.js): input_ids, attention_mask, position_ids and
past_key_values.N.key/value in; logits and present.N.key/value out. Operators are of opset 17, which runtimes of 2022 know.

Shapes: B batch, T positions, P positions before them, S = P + T, C d_model, H query heads, K key/value heads, G = H/K,
D head_dim, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dozero.interop.packages import need
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig

OPSET, IR_VERSION = 17, 8
_HIDDEN = float(np.finfo(np.float32).min)  # not -inf: a row of padding may look nowhere, and softmax would give NaN


@dataclass
class _Graph:
    """A graph being written: nodes in their order and the tensors they name."""

    onnx: Any
    nodes: list[Any] = field(default_factory=list)
    tensors: dict[str, Any] = field(default_factory=dict)

    def put(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add a node of one output and return the output's name."""
        name = out or f"v{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def hold(self, name: str, values: NDArray[Any]) -> str:
        """Keep a tensor in the file and return its name."""
        if name not in self.tensors:
            self.tensors[name] = self.onnx.numpy_helper.from_array(values, name)
        return name

    def ints(self, *values: int) -> str:
        """Return the name of a list of whole numbers."""
        return self.hold("i_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        """Return the name of a number."""
        return self.hold(f"f_{value!r}", np.array(value, dtype=np.float32))


def make_onnx(model: Transformer) -> Any:
    """Return the model as an ONNX ModelProto in fp32."""
    onnx = need("onnx")
    config, graph = model.config, _Graph(onnx)
    for name, p in model.named_parameters(remove_duplicate=True):
        values = p.detach().cpu().float().numpy()
        is_product = values.ndim == 2 and not name.startswith("model.embed_tokens")
        graph.hold(name, np.ascontiguousarray(values.T) if is_product else values)  # MatMul wants what F.linear turns
    cos, sin = _turns(graph, config)
    mask = _mask(graph)
    x = graph.put("Gather", "model.embed_tokens.weight", "input_ids")  # B T C
    for layer in range(config.n_layers):
        x = _block(graph, config, layer, x, cos, sin, mask)
    x = _normalized(graph, x, "model.norm.weight", config.norm_eps)
    head = "lm_head.weight"
    if config.tie_embeddings:
        head = graph.put("Transpose", "model.embed_tokens.weight", perm=[1, 0])
    graph.put("MatMul", x, head, out="logits")
    return _sealed(onnx, graph, config, model.vocab_size)


def _turns(graph: _Graph, config: ModelConfig) -> tuple[str, str]:
    """Add cosine and sine of each position's angles, B 1 T D (RoPE)."""
    pairs = np.arange(0, config.head_dim, 2, dtype=np.float32)
    speeds = np.tile(np.float32(config.rope_theta) ** (-pairs / config.head_dim), 2)
    graph.hold("rope.speeds", speeds.astype(np.float32))
    positions = graph.put("Unsqueeze", graph.put("Cast", "position_ids", to=1), graph.ints(1, 3))  # B 1 T 1
    angles = graph.put("Mul", positions, "rope.speeds")
    return graph.put("Cos", angles), graph.put("Sin", angles)


def _mask(graph: _Graph) -> str:
    """Add what is added to the scores, B 1 1 T S: 0 where a position may look, hardly any chance where not."""
    zero, one = graph.hold("zero", np.array(0, dtype=np.int64)), graph.hold("one", np.array(1, dtype=np.int64))
    S = graph.put("Gather", graph.put("Shape", "attention_mask"), one)
    T = graph.put("Gather", graph.put("Shape", "input_ids"), one)
    keys = graph.put("Range", zero, S, one)
    queries = graph.put("Unsqueeze", graph.put("Range", graph.put("Sub", S, T), S, one), graph.ints(1))
    before = graph.put("LessOrEqual", keys, queries)  # T S
    there = graph.put("Unsqueeze", graph.put("Cast", "attention_mask", to=9), graph.ints(1, 2, 3))  # B 1 1 1 S
    return graph.put("Where", graph.put("And", before, there), graph.number(0.0), graph.number(_HIDDEN))


def _block(graph: _Graph, config: ModelConfig, layer: int, x: str, cos: str, sin: str, mask: str) -> str:
    """Add one block and return the residual stream after it."""
    at = f"model.layers.{layer}"
    inside = _normalized(graph, x, f"{at}.input_layernorm.weight", config.norm_eps)
    x = graph.put("Add", x, _attention(graph, config, layer, inside, cos, sin, mask))
    inside = _normalized(graph, x, f"{at}.post_attention_layernorm.weight", config.norm_eps)
    gate = graph.put("MatMul", inside, f"{at}.mlp.gate_proj.weight")
    gated = graph.put("Mul", graph.put("Mul", gate, graph.put("Sigmoid", gate)),
                      graph.put("MatMul", inside, f"{at}.mlp.up_proj.weight"))  # fmt: skip
    return graph.put("Add", x, graph.put("MatMul", gated, f"{at}.mlp.down_proj.weight"))


def _attention(graph: _Graph, config: ModelConfig, layer: int, x: str, cos: str, sin: str, mask: str) -> str:
    """Add the attention of a block; query heads that share keys and values stand on an axis of their own."""
    at, H, K, D = f"model.layers.{layer}.self_attn", config.n_heads, config.n_kv_heads, config.head_dim

    def heads(kind: str, count: int) -> str:
        y = graph.put("MatMul", x, f"{at}.{kind}_proj.weight")
        if config.attention_bias:
            y = graph.put("Add", y, f"{at}.{kind}_proj.bias")
        y = graph.put("Reshape", y, graph.ints(0, 0, count, D))  # B T heads D
        if config.qk_norm and kind != "v":
            y = _normalized(graph, y, f"{at}.{kind}_norm.weight", config.norm_eps)
        return graph.put("Transpose", y, perm=[0, 2, 1, 3])  # B heads T D

    q, k = (_turned(graph, heads(kind, count), cos, sin, D // 2) for kind, count in (("q", H), ("k", K)))
    k = graph.put("Concat", f"past_key_values.{layer}.key", k, axis=2, out=f"present.{layer}.key")  # B K S D
    v = graph.put("Concat", f"past_key_values.{layer}.value", heads("v", K), axis=2, out=f"present.{layer}.value")
    q = graph.put("Reshape", graph.put("Mul", q, graph.number(D**-0.5)), graph.ints(0, K, H // K, -1, D))  # B K G T D
    turned = graph.put("Transpose", graph.put("Unsqueeze", k, graph.ints(2)), perm=[0, 1, 2, 4, 3])  # B K 1 D S
    scores = graph.put("Add", graph.put("MatMul", q, turned), mask)
    y = graph.put("MatMul", graph.put("Softmax", scores, axis=-1), graph.put("Unsqueeze", v, graph.ints(2)))
    y = graph.put("Transpose", y, perm=[0, 3, 1, 2, 4])  # B T K G D
    return graph.put("MatMul", graph.put("Reshape", y, graph.ints(0, 0, H * D)), f"{at}.o_proj.weight")


def _turned(graph: _Graph, x: str, cos: str, sin: str, half: int) -> str:
    """Add x with each pair (a, b) of coordinates i and i + D/2 turned: (a cos - b sin, b cos + a sin)."""
    a = graph.put("Slice", x, graph.ints(0), graph.ints(half), graph.ints(-1))
    b = graph.put("Slice", x, graph.ints(half), graph.ints(2 * half), graph.ints(-1))
    swapped = graph.put("Concat", graph.put("Neg", b), a, axis=-1)
    return graph.put("Add", graph.put("Mul", x, cos), graph.put("Mul", swapped, sin))


def _normalized(graph: _Graph, x: str, weight: str, eps: float) -> str:
    """Add x / rms(x) * weight."""
    squares = graph.put("ReduceMean", graph.put("Mul", x, x), axes=[-1], keepdims=1)
    rms = graph.put("Sqrt", graph.put("Add", squares, graph.number(eps)))
    return graph.put("Mul", graph.put("Div", x, rms), weight)


def _sealed(onnx: Any, graph: _Graph, config: ModelConfig, vocab_size: int) -> Any:
    """Return the model of a finished graph, its inputs and outputs declared."""
    ids, real, helper = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT, onnx.helper
    batch, new, past, total = "batch_size", "sequence_length", "past_sequence_length", "total_sequence_length"
    inputs = [
        helper.make_tensor_value_info("input_ids", ids, [batch, new]),
        helper.make_tensor_value_info("attention_mask", ids, [batch, total]),
        helper.make_tensor_value_info("position_ids", ids, [batch, new]),
    ]
    outputs = [helper.make_tensor_value_info("logits", real, [batch, new, vocab_size])]
    for layer in range(config.n_layers):
        for kind in ("key", "value"):
            shape = [batch, config.n_kv_heads, past, config.head_dim]
            inputs.append(helper.make_tensor_value_info(f"past_key_values.{layer}.{kind}", real, shape))
            shape = [batch, config.n_kv_heads, total, config.head_dim]
            outputs.append(helper.make_tensor_value_info(f"present.{layer}.{kind}", real, shape))
    made = helper.make_graph(graph.nodes, "dozero", inputs, outputs, list(graph.tensors.values()))
    return helper.make_model(
        made, producer_name="dozero", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
