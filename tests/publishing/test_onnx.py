"""An ONNX file, read back: what goes in and out of its graph, and what it computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textwright.configs import AttentionConfig, RecurrentConfig
from textwright.publishing import export, to_onnx
from textwright.runs import Run
from textwright.version import VERSION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the consumers' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
MODELS = sorted(folder.parent.name for folder in GOLDEN.glob("*/vectors.json"))

Shapes = dict[str, tuple[str, list[int | str]]]


@pytest.fixture(autouse=True, scope="module")
def _packages() -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs the package {package}")


def state_shapes(config: Any) -> dict[str, list[int | str]]:
    """What a model carries from one call to the next."""
    if isinstance(config, RecurrentConfig):
        parts = ("h", "c") if config.family == "lstm" else ("h",)
        return {f"{part}.{number}": ["batch", width]
                for number, width in enumerate(config.layer_sizes) for part in parts}  # fmt: skip
    assert isinstance(config, AttentionConfig)
    held: list[int | str] = ["batch", config.num_heads, "held", config.head_size]
    return {f"{part}.{number}": held
            for number in range(config.num_layers) for part in ("keys", "values")}  # fmt: skip


def shapes(values: Any) -> Shapes:
    """Type and shape by name; a size that is free by its own name."""
    import onnx

    found = {}
    for value in values:
        tensor = value.type.tensor_type
        sizes = [size.dim_param or size.dim_value for size in tensor.shape.dim]
        found[value.name] = (onnx.TensorProto.DataType.Name(tensor.elem_type), sizes)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_what_goes_in_and_out_is_as_documented(name: str, tmp_path: Path) -> None:
    import onnx

    run = Run(GOLDEN / name)
    config = run.config()
    model = onnx.load(export(run, "onnx", tmp_path / "out") / "model.onnx")
    onnx.checker.check_model(model, full_check=True)  # infers every shape, and compares
    state = state_shapes(config)
    assert shapes(model.graph.input) == {
        "tokens": ("INT64", ["batch", "time"]),
        **{part: ("FLOAT", shape) for part, shape in state.items()},
    }
    grown = {part: ["all" if size == "held" else size for size in shape]
             for part, shape in state.items()}  # fmt: skip
    assert model.graph.output[0].name == "logits"
    assert shapes(model.graph.output) == {
        "logits": ("FLOAT", ["batch", "time", config.vocab_size]),
        **{f"new.{part}": ("FLOAT", shape) for part, shape in grown.items()},
    }
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert (model.ir_version, model.producer_version) == (9, VERSION)
    about = {"family": config.family, "vocab_size": str(config.vocab_size)}
    if isinstance(config, AttentionConfig):
        about["block_size"] = str(config.block_size)
    assert {entry.key: entry.value for entry in model.metadata_props} == about


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_the_golden_vectors(name: str, tmp_path: Path) -> None:
    from onnx_runtime import OnnxRuntime

    vectors = json.loads((GOLDEN / name / "vectors.json").read_text(encoding="utf-8"))
    out = export(Run(GOLDEN / name), "onnx", tmp_path / "out")
    runtime = OnnxRuntime(out / "model.onnx")
    count = vectors["block_size"] or len(vectors["tokens"])
    assert runtime.block_size == vectors["block_size"]
    tokens, expected = vectors["tokens"][:count], np.array(vectors["logits"])[:count]
    pieces = ([tokens], [tokens[:3], *([one] for one in tokens[3:])], [tokens[:1], tokens[1:]])
    for piecewise in pieces:
        state, rows = runtime.initial_state(), []
        for piece in piecewise:
            logits, state = runtime(piece, state)
            rows.append(logits)
        difference = np.abs(np.concatenate(rows) - expected).max()
        print(f"{name}: largest difference {difference:.1e}")
        assert difference <= 1e-4


def test_weights_too_large_for_one_file_get_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnx_runtime import OnnxRuntime

    vectors = json.loads((GOLDEN / "gpt" / "vectors.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(to_onnx, "_LARGEST", 1000)
    out = export(Run(GOLDEN / "gpt"), "onnx", tmp_path / "out")
    file, weights = out / to_onnx.MODEL_FILE, out / to_onnx.WEIGHTS_FILE
    assert weights.stat().st_size > file.stat().st_size
    runtime = OnnxRuntime(file)
    logits, _ = runtime(vectors["tokens"][:8], runtime.initial_state())
    np.testing.assert_allclose(logits, np.array(vectors["logits"])[:8], atol=1e-4)


@pytest.mark.parametrize("name", ["gpt", "transformer-learned", "lstm", "gru"])
def test_sequences_of_a_batch_are_each_as_if_alone(name: str, tmp_path: Path) -> None:
    import onnxruntime

    out = export(Run(GOLDEN / name), "onnx", tmp_path / "out")
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])

    def logits(tokens: np.ndarray) -> np.ndarray:
        sizes = {"batch": len(tokens), "held": 0}
        state = {
            value.name: np.zeros([sizes.get(size, size) for size in value.shape], np.float32)
            for value in session.get_inputs()
            if value.name != "tokens"
        }
        found: np.ndarray = session.run(["logits"], {"tokens": tokens, **state})[0]
        return found

    tokens = np.random.default_rng(0).integers(0, 30, (3, 9))
    alone = np.concatenate([logits(tokens[row : row + 1]) for row in range(3)])
    np.testing.assert_allclose(logits(tokens), alone, atol=1e-5)
