"""Every runtime that runs here computes the golden vectors: NumPy, and each compiled build."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import textwright
from textwright.generation import Generator
from textwright.kernels import BUILDS, available

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
MODELS = sorted(folder.parent.name for folder in GOLDEN.glob("*/vectors.json"))


@pytest.fixture(params=["off", *BUILDS])
def build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name != "off" and name not in available()[0]:
        pytest.skip(f"this processor, or its kernels as they were compiled, can't run {name}")
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", name)
    return name


def vectors(name: str) -> tuple[np.ndarray, np.ndarray]:
    found = json.loads((GOLDEN / name / "vectors.json").read_text(encoding="utf-8"))
    return np.array(found["tokens"]), np.array(found["logits"], np.float32)


def loaded(name: str, precision: str = "float32") -> Generator:
    return textwright.load(GOLDEN / name, precision=precision)


def test_all_families_have_vectors() -> None:
    families = {name.split("-")[0] for name in MODELS}
    assert families == {"lstm", "gru", "rnn", "gpt", "transformer"}
    assert "baseline" in available()[0] or not available()[0]


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_torch(name: str, build: str) -> None:
    tokens, expected = vectors(name)
    runtime = loaded(name).runtime
    assert type(runtime).__name__.startswith("Compiled") == (build != "off")
    logits, _ = runtime(tokens, runtime.initial_state())
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=1e-5)
    state = runtime.initial_state()
    for time in range(len(tokens)):
        row, state = runtime(tokens[time : time + 1], state)
        np.testing.assert_allclose(row[0], expected[time], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_int8_is_close(name: str, build: str) -> None:
    if build == "off":
        return
    tokens, expected = vectors(name)
    runtime = loaded(name, "int8").runtime
    logits, _ = runtime(tokens, runtime.initial_state())
    error = np.abs(logits - expected).max() / expected.std()
    assert 1e-4 < error < 0.2  # it is int8, and it is the same model
