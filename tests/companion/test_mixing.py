"""A network with a table of n-grams beside it: one distribution, the same bits in any company."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from small_models import random_weights, small_config
from textwright import kernels
from textwright.companion.counting import COLUMNS, Lines, NGramModel, lengths, log_odds
from textwright.companion.mixing import Companion, MixedRuntime, with_companion
from textwright.companion.table import UNIT, Table, make_table
from textwright.configs import ModelConfig
from textwright.errors import RunError
from textwright.runtimes import Runtime, load_runtime

V = 40
NEWLINE = 5
LINES = Lines(NEWLINE, np.linspace(-2, 2, 9, dtype=np.float32))
BY_CONTEXT = tuple((0.9 - k / 10, 0.1 + k / 9) for k in range(6))
FAMILIES = [small_config("lstm"), small_config("gpt", block_size=70)]


def some_text(count: int, seed: int = 1) -> np.ndarray:
    """A text that repeats itself with faults, so that long n-grams are worth keeping."""
    draw, words = np.random.default_rng(seed), np.random.default_rng(0)
    phrases = [words.integers(0, V - 2, 12) for _ in range(8)]  # two tokens never occur
    text = np.concatenate([phrases[i] for i in draw.integers(0, 8, count // 12 + 1)])[:count]
    faults = draw.random(count) < 0.1
    return np.where(faults, draw.integers(0, V - 2, count), text)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "folded"])
def model(request: pytest.FixtureRequest) -> NGramModel:
    folded = np.arange(V)
    if request.param:
        folded[NEWLINE] = 9
    return NGramModel(some_text(6000), np.array([0, 2500, 2501]), V, 6, folded)


@pytest.fixture(scope="module")
def table(model: NGramModel) -> Table:
    return make_table(model)


def reading(table: Table, tokens: np.ndarray) -> np.ndarray:
    """The state after `tokens`."""
    state = table.initial_state()
    for token in tokens.tolist():
        table.advance(state, token)
    return state


def test_probabilities_are_of_one_whole_after_any_context(table: Table) -> None:
    draw = np.random.default_rng(3)
    seen = some_text(6000)
    contexts = [seen[start : start + draw.integers(0, 9)] for start in draw.integers(0, 5900, 200)]
    contexts += [draw.integers(0, V, draw.integers(0, 9)) for _ in range(200)]
    sums = [np.exp(table.scores(reading(table, one)) * UNIT).sum() for one in contexts]
    assert np.abs(np.array(sums) - 1).max() < 2e-3  # logarithms are whole 1024ths
    assert np.mean(sums) == pytest.approx(1, abs=2e-4)
    assert any((reading(table, one) >= 0).all() for one in contexts)  # some reach its end


def test_how_much_is_known_of_a_whole_text_at_once(table: Table) -> None:
    text = some_text(400, seed=2)
    text[::13] = V - 1  # never seen
    state, depths = table.initial_state(), []
    for token in text.tolist():
        table.advance(state, token)
        depths.append(table.known(state))
    assert table.known_along(text).tolist() == depths and set(depths) == set(range(table.order))


def test_a_table_of_everything_is_the_model_it_was_made_of(
    model: NGramModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.companion.table._LEAST_GAIN", -1e9)
    whole = make_table(model, 1 << 30)
    held = some_text(200, seed=2)
    held[::17] = V - 1  # never seen
    expected = model.log_probabilities(held, np.array([0]))
    state = whole.initial_state()
    for token, logarithm in zip(held.tolist(), expected, strict=True):
        assert whole.scores(state)[token] * UNIT == pytest.approx(logarithm, abs=6 * UNIT)
        whole.advance(state, token)


def test_what_is_pruned_is_what_saves_least(model: NGramModel) -> None:
    held = some_text(3000, seed=2)

    def bits(table: Table) -> float:
        state, total = table.initial_state(), 0
        for token in held.tolist():
            total -= table.scores(state)[token]
            table.advance(state, token)
        return float(total) * UNIT / len(held)

    sizes = [200, 1000, 4000]
    tables = [make_table(model, size) for size in sizes]
    assert all(0 < len(one.tokens) - V <= size for one, size in zip(tables, sizes, strict=True))
    losses = [bits(one) for one in tables]
    assert losses[0] > losses[1] > losses[2] - 0.01
    assert losses[1] < bits(make_table(NGramModel(some_text(6000), np.array([0]), V, 1)))


def mixed(config: ModelConfig, table: Table, monkeypatch: pytest.MonkeyPatch, on: str) -> Runtime:
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", on)
    network = load_runtime(config, random_weights(config))
    return with_companion(network, Companion(0.61, 0.37, table, BY_CONTEXT, LINES))


@pytest.mark.parametrize("config", FAMILIES, ids=lambda config: config.family)
def test_rows_are_the_same_bits_alone_in_pieces_and_in_a_batch(
    config: ModelConfig, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for build in kernels.available()[0] or ["off"]:
        runtime = mixed(config, table, monkeypatch, build)
        texts = [some_text(count, seed) for seed, count in enumerate((40, 7, 1, 23), start=5)]
        alone = [runtime(text, runtime.initial_state())[0] for text in texts]
        for text, rows in zip(texts, alone, strict=True):
            state = runtime.initial_state()
            for begin in range(0, len(text), 9):
                piece = text[begin : begin + 9]
                before = state.copy()
                row, state = runtime(piece, state, last_only=True)
                assert row.tobytes() == rows[begin + len(piece) - 1].tobytes()
                again, _ = runtime(piece, before)  # a copy is a place of its own
                assert again[-1].tobytes() == row.tobytes()
        together, states = runtime.batch(texts, [runtime.initial_state() for _ in texts])
        assert together.tobytes() == np.stack([rows[-1] for rows in alone]).tobytes()
        following, _ = runtime.batch([np.array([3])] * len(texts), states)
        single = [runtime(np.append(t, 3), runtime.initial_state())[0][-1] for t in texts]
        assert following.tobytes() == np.stack(single).tobytes()


def test_numpy_and_every_build_mix_the_same_bits(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network's logits differ between NumPy and the kernels; what is made of them does not."""

    class Fixed:
        vocab_size, block_size, weight_bytes = V, None, 0

        def initial_state(self) -> np.ndarray:
            return np.zeros(0)

        def __call__(self, tokens, state, *, last_only=False):  # type: ignore[no-untyped-def]
            draw = np.random.default_rng(len(tokens))
            rows = draw.normal(0, 4, (len(tokens), V)).astype(np.float32)
            return rows[-1:] if last_only else rows, state

        def batch(self, tokens, states):  # type: ignore[no-untyped-def]
            return np.concatenate([self(one, None)[0][-1:] for one in tokens]), states

    found = set()
    for build in ["off", *kernels.available()[0]]:
        monkeypatch.setenv("TEXTWRIGHT_KERNELS", build)
        runtime = MixedRuntime(Fixed(), Companion(0.61, 0.37, table, BY_CONTEXT, LINES), table)
        rows, _ = runtime(some_text(300, seed=9), runtime.initial_state())
        last, _ = runtime.batch([some_text(30, seed=4)], [runtime.initial_state()])
        found.add(rows.tobytes() + last.tobytes())
    assert len(found) == 1
    text, expected = some_text(300, seed=9), []
    logits, _ = Fixed()(text, None)
    known, columns = table.known_along(text), lengths(text, NEWLINE)
    state = table.initial_state()
    for token, row, depth, column in zip(text.tolist(), logits, known, columns, strict=True):
        table.advance(state, token)
        network, weight = BY_CONTEXT[depth]
        expected.append(network * row + weight * UNIT * table.scores(state))
        expected[-1][NEWLINE] += LINES.terms[min(column, 8)]
    assert rows == pytest.approx(np.array(expected), abs=1e-4)
    assert set(columns) > {0, 1, 8, 9}


def test_odds_of_a_lines_end_by_its_length() -> None:
    tokens = np.array([7, 7, NEWLINE, 7, 7, NEWLINE, NEWLINE, 7, 7, 7, *[7] * 300])
    assert lengths(tokens[:8], NEWLINE).tolist() == [1, 2, 0, 1, 2, 0, 0, 1]
    odds = np.exp(log_odds(tokens, np.array([0]), NEWLINE))
    # Of 4 lines none ends after 1 token, of which all go on; 2 of 3 after 2
    assert odds[1:3] == pytest.approx([0.5 / 3.5, 2.5 / 1.5])
    assert odds[0] == pytest.approx(1.5 / 3.5) and odds.shape == (COLUMNS,)
    assert odds[-1] < 0.01  # the last is of all longer ones
    cut = np.exp(log_odds(tokens, np.array([0, 4]), NEWLINE))
    assert cut[1] == pytest.approx(0.5 / 2.5)  # a stretch that begins there begins a line


def test_tokens_outside_the_vocabulary_are_refused(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = mixed(FAMILIES[0], table, monkeypatch, "auto")
    for tokens in ([V], [-1], [3, V, 3], []):
        with pytest.raises(IndexError, match="vocabulary"):
            runtime(np.array(tokens, np.int64), runtime.initial_state())


def test_a_file_has_all_of_it(table: Table, tmp_path: Path) -> None:
    file = tmp_path / "companion.safetensors"
    by_context = tuple((round(a, 4), round(b, 4)) for a, b in BY_CONTEXT)
    written = set()
    for _ in range(8):
        Companion(0.6123, 0.3571, table, by_context, LINES).write(file)
        written.add(file.read_bytes())
    assert len(written) == 1, "the same counts are the same bytes"
    again = Companion.read(file, V)
    assert (again.network, again.weight) == (0.6123, 0.3571) and again.table is not None
    assert again.by_context == by_context and again.lines is not None
    assert again.lines.newline == NEWLINE and np.array_equal(again.lines.terms, LINES.terms)
    for text in (some_text(9), np.array([V - 1, V - 2, 0])):
        states = [reading(one, text) for one in (table, again.table)]
        scores = [
            one.scores(state) for one, state in zip((table, again.table), states, strict=True)
        ]
        assert np.array_equal(*states) and np.array_equal(*scores)
    Companion(0.9).write(file)
    assert Companion.read(file, V) == Companion(0.9)


def test_a_file_of_another_vocabulary_of_the_same_size_is_refused(
    table: Table, tmp_path: Path
) -> None:
    file = tmp_path / "companion.safetensors"
    Companion(0.6, 0.4, table).write(file, "that")
    assert Companion.read(file, V, "that").table is not None
    assert Companion.read(file, V).network == 0.6
    with pytest.raises(RunError, match="another vocabulary.*delete it to go without"):
        Companion.read(file, V, "this")
    Companion(0.6, 0.4, table).write(file)  # as files were written before
    assert Companion.read(file, V, "this").network == 0.6


def test_a_file_of_before_reads_as_it_was_meant(table: Table, tmp_path: Path) -> None:
    """Its format was `textwright companion 1`: tokens as themselves, two weights, no lines."""
    file = tmp_path / "companion.safetensors"
    plain = replace(table, folded=np.arange(V, dtype=np.int32))
    Companion(0.61, 0.37, plain).write(file)
    tensors = load_file(file)
    del tensors["folded"]
    facts = {"format": "textwright companion 1", "network": "0.61", "companion": "0.37",
             "sizes": " ".join(map(str, table.sizes))}  # fmt: skip
    save_file(tensors, file, metadata=facts)
    again = Companion.read(file, V)
    assert (again.network, again.weight, again.by_context, again.lines) == (0.61, 0.37, (), None)
    assert again.table is not None
    text = some_text(50, seed=3)
    assert np.array_equal(
        plain.scores(reading(plain, text)), again.table.scores(reading(again.table, text))
    )


@pytest.mark.parametrize(
    "fault",
    ["cut", "vocabulary", "children", "tokens", "folded", "missing", "type", "weights", "depths",
     "lines", "newline", "format"],
)  # fmt: skip
def test_a_damaged_file_is_one_line(table: Table, tmp_path: Path, fault: str) -> None:
    file = tmp_path / "companion.safetensors"
    Companion(0.6, 0.4, table, BY_CONTEXT, LINES).write(file)
    tensors = load_file(file)
    with safe_open(file, "numpy") as opened:
        facts = opened.metadata()
    if fault == "children":
        tensors["children"] = tensors["children"].copy()
        tensors["children"][0] += 1
    elif fault == "tokens":
        tensors["tokens"] = np.full_like(tensors["tokens"], V)
    elif fault == "folded":
        tensors["folded"] = np.full_like(tensors["folded"], V)
    elif fault == "lines":
        tensors["lines"] = np.full_like(tensors["lines"], np.inf)
    elif fault == "newline":
        facts["newline"] = str(V)
    elif fault == "depths":
        facts["by_context"] = facts["by_context"].rsplit(" ", 2)[0]
    elif fault == "missing":
        del tensors["backoffs"]
    elif fault == "type":
        tensors["tokens"] = tensors["tokens"].astype(np.int16)
    elif fault == "weights":
        facts["network"] = "nan"
    elif fault == "format":
        facts["format"] = "another 1"
    save_file(tensors, file, metadata=facts)
    if fault == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RunError, match="companion.safetensors is damaged") as caught:
        Companion.read(file, V + (fault == "vocabulary"))
    assert "\n" not in str(caught.value)
