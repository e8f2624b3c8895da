"""Character models of Keras as runs: the logits of Keras itself, on its torch backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textwright
from textwright.errors import RequestError
from textwright.publishing import import_model

CHARACTERS = "\n !,.abcdefghijklmnopqrstuvwxyzé"
TOKENS = [5, 9, 1, 0, 30, 22, 7, 7, 12, 3, 2, 19]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def made(keras: Any, kind: str, widths: list[int], rows: int, **layer: Any) -> Any:
    """A model with every weight random, biases too."""
    build = getattr(keras.layers, kind)
    stack = [build(width, return_sequences=True, **layer) for width in widths]
    model = keras.Sequential(
        [keras.Input((None,)), keras.layers.Embedding(rows, 8), *stack,
         keras.layers.Dropout(0.2), keras.layers.Dense(rows)]
    )  # fmt: skip
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    return model


def expected(model: Any, tokens: list[int]) -> Any:
    return np.asarray(model(np.array([tokens])).detach())[0]


def own(run: Any, tokens: list[int]) -> Any:
    runtime = textwright.load(run).runtime
    return runtime(np.array(tokens), runtime.initial_state())[0]


@pytest.mark.parametrize(
    ("kind", "end"), [("LSTM", ".keras"), ("GRU", ".weights.h5"), ("SimpleRNN", ".keras")]
)
def test_logits_are_those_of_keras(kind: str, end: str, keras: Any, tmp_path: Path) -> None:
    model = made(keras, kind, [16, 10, 16], len(CHARACTERS))
    file = tmp_path / f"bard{end}"
    model.save(file) if end == ".keras" else model.save_weights(file)
    (tmp_path / "text.txt").write_text(CHARACTERS * 2, encoding="utf-8")
    run = import_model(
        file, "keras", tokenizer=tmp_path / "text.txt", runs_folder=tmp_path / "runs"
    )
    assert run.name == "bard"
    np.testing.assert_allclose(own(run, TOKENS), expected(model, TOKENS), atol=2e-5)
    assert textwright.load(run).generate("it", seed=1, max_tokens=5).text


def test_the_row_of_unknown_characters_is_left_out(keras: Any, tmp_path: Path) -> None:
    model = made(keras, "LSTM", [16], 1 + len(CHARACTERS))
    model.save(tmp_path / "bard.keras")
    (tmp_path / "list.json").write_text(json.dumps(["[UNK]", *CHARACTERS]), encoding="utf-8")
    (tmp_path / "text.txt").write_text(CHARACTERS, encoding="utf-8")
    for number, tokenizer in enumerate(("list.json", "text.txt")):
        run = import_model(
            tmp_path / "bard.keras", "keras", name=f"bard-{number}",
            tokenizer=tmp_path / tokenizer, runs_folder=tmp_path / "runs",
        )  # fmt: skip
        theirs = expected(model, [token + 1 for token in TOKENS])[:, 1:]
        np.testing.assert_allclose(own(run, TOKENS), theirs, atol=2e-5)


def test_what_is_computed_otherwise_is_refused_in_one_line(keras: Any, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(CHARACTERS, encoding="utf-8")
    rows = len(CHARACTERS)
    good = made(keras, "LSTM", [16], rows)
    cases = {
        "relu": (made(keras, "LSTM", [16], rows, activation="relu"), "LSTM's activation is 'relu'"),
        "old": (made(keras, "GRU", [16], rows, reset_after=False), "reset_after is False"),
        "bare": (made(keras, "LSTM", [16], rows, use_bias=False), "have no biases"),
        "two": (
            keras.Sequential([keras.Input((None,)), *good.layers, keras.layers.Dense(4)]),
            "one dense output: it",
        ),
        "deep": (
            keras.Sequential([keras.Input((None,)), keras.layers.Embedding(rows, 8),
                              keras.layers.Conv1D(4, 2), keras.layers.Dense(rows)]),
            "a layer Conv1D",
        ),
    }  # fmt: skip
    (tmp_path / "junk.keras").write_bytes(b"junk")
    (tmp_path / "junk.weights.h5").write_bytes(b"junk")
    for name, (model, _) in cases.items():
        model.save(tmp_path / f"{name}.keras")
    says = {f"{name}.keras": said for name, (_, said) in cases.items()} | {
        "junk.keras": "can't be read as", "junk.weights.h5": "can't be read as",
        "none.keras": "there is no file",
    }  # fmt: skip
    for file, said in says.items():
        with pytest.raises(RequestError, match=said) as caught:
            import_model(tmp_path / file, "keras", tokenizer=tmp_path / "text.txt",
                         runs_folder=tmp_path / "runs")  # fmt: skip
        assert "\n" not in str(caught.value)
    good.save(tmp_path / "good.keras")
    with pytest.raises(RequestError, match="name with --tokenizer the text"):
        import_model(tmp_path / "good.keras", "keras", runs_folder=tmp_path / "runs")
    (tmp_path / "short.txt").write_text("abc")
    with pytest.raises(RequestError, match=f"has 3 characters, and the model has {rows} rows"):
        import_model(tmp_path / "good.keras", "keras", tokenizer=tmp_path / "short.txt",
                     runs_folder=tmp_path / "runs")  # fmt: skip
    assert not (tmp_path / "runs").exists()
