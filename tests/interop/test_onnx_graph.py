"""The graph computes our logits in onnxruntime: whole or cached, in batches, with padding on the left."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.interop.onnx_graph import IR_VERSION, OPSET, make_onnx

SHAPE_NAMES = ("Llama", "Llama, heads wider together than the model", "Qwen2", "Qwen3", "Qwen3, one head for all")


@pytest.fixture(scope="module")
def opened(ours, others):
    """Each shape's model and the session that runs its graph."""
    made = {}
    for shape in SHAPE_NAMES:
        model = ours(**others.shapes[shape]).model
        proto = make_onnx(model)
        onnx.checker.check_model(proto, full_check=True)
        made[shape] = (model, onnxruntime.InferenceSession(proto.SerializeToString()))
    return made


def run(session, ids, past=None, mask=None, positions=None):
    """The logits and the cache after the ids, (B, T), that follow what is in the cache."""
    caches = [i for i in session.get_inputs() if i.name.startswith("past")]
    rows = ids.shape[0]
    past = past or {i.name: np.zeros((rows, i.shape[1], 0, i.shape[3]), np.float32) for i in caches}
    seen = next(iter(past.values())).shape[2]
    total = seen + ids.shape[1]
    given = {
        "input_ids": ids,
        "attention_mask": np.ones((rows, total), np.int64) if mask is None else mask,
        "position_ids": np.tile(np.arange(seen, total), (rows, 1)) if positions is None else positions,
    }
    logits, *present = session.run(None, given | past)
    return logits, dict(zip(past, present, strict=True))


def ours_of(model, ids):
    with torch.no_grad():
        return model(torch.from_numpy(ids)).numpy()


@pytest.mark.parametrize("shape", SHAPE_NAMES)
@given(rows=st.integers(1, 3), cuts=st.lists(st.integers(1, 20), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_logits_are_ours_however_the_ids_are_portioned(opened, shape, rows, cuts, seed):
    model, session = opened[shape]
    cuts = cuts[
        : next((i for i in range(1, len(cuts) + 1) if sum(cuts[:i]) > model.config.max_seq_len), len(cuts) + 1) - 1
    ]
    cuts = cuts or [5]
    ids = np.random.default_rng(seed).integers(model.vocab_size, size=(rows, sum(cuts)))
    past, parts = None, []
    for part in np.split(ids, np.cumsum(cuts)[:-1], axis=1):
        logits, past = run(session, part, past)
        parts.append(logits)
    assert np.abs(np.concatenate(parts, axis=1) - ours_of(model, ids)).max() <= 1e-4


@pytest.mark.parametrize("shape", SHAPE_NAMES)
def test_rows_padded_on_the_left_give_what_they_give_alone(opened, shape):
    model, session = opened[shape]
    ids = np.random.default_rng(0).integers(model.vocab_size, size=(2, 12))
    mask = np.ones((2, 12), np.int64)
    mask[1, :5] = 0
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    logits, _ = run(session, ids, mask=mask, positions=positions)
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - ours_of(model, ids)[0]).max() <= 1e-4
    assert np.abs(logits[1, 5:] - ours_of(model, ids[1:, 5:])[0]).max() <= 1e-4


def test_names_and_shapes_are_those_that_optimum_and_transformers_js_look_for(opened):
    model, session = opened["Qwen3"]
    L, K, D = model.config.n_layers, model.config.n_kv_heads, model.config.head_dim
    caches = [f"{i}.{kind}" for i in range(L) for kind in ("key", "value")]
    assert [i.name for i in session.get_inputs()] == [
        "input_ids", "attention_mask", "position_ids", *(f"past_key_values.{c}" for c in caches),
    ]  # fmt: skip
    assert [o.name for o in session.get_outputs()] == ["logits", *(f"present.{c}" for c in caches)]
    assert session.get_inputs()[-1].shape == ["batch_size", K, "past_sequence_length", D]
    assert session.get_outputs()[0].shape == ["batch_size", "sequence_length", model.vocab_size]


def test_the_file_asks_for_nothing_newer_than_it_says(ours):
    proto = make_onnx(ours().model)
    assert (proto.ir_version, [(o.domain, o.version) for o in proto.opset_import]) == (IR_VERSION, [("", OPSET)])
    for node in proto.graph.node:
        assert onnx.defs.get_schema(node.op_type, OPSET).since_version <= OPSET


def test_a_tied_head_is_stored_once(ours):
    for tied in (True, False):
        proto = make_onnx(ours(tie_embeddings=tied).model)
        assert ("lm_head.weight" in {t.name for t in proto.graph.initializer}) is not tied
