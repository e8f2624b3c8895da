"""What a training counts at its end, and whether it is kept."""

from __future__ import annotations

import math
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import textwright
from textwright.companion.counting import NGramModel
from textwright.companion.table import make_table
from textwright.engine import Engine
from textwright.errors import RequestError, TrainingError
from textwright.evaluation import Score, evaluate_run
from textwright.models import build
from textwright.page import offline_page
from textwright.runs import Run
from textwright.training import companion, pipeline
from textwright.training.companion import OfOneToken, fit_weights
from textwright.training.planning.presets import model_settings


def train(text: Path, **options: object) -> Run:
    changes = ["model.num_layers=1", "model.hidden_size=64", "model.block_size=32"]
    changes += ["training.batch_size=4", "training.threads=1"]
    if options.get("model") == "gpt":
        changes.append("model.num_heads=2")
    return textwright.train(text, steps=6, size="nano", changes=changes, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("family", "tokenizer"),
    [("lstm", "char"), pytest.param("gpt", "bpe", marks=pytest.mark.slow)],
)
def test_it_is_kept_where_it_helps_and_everything_has_it(
    text_file: Path, family: str, tokenizer: str
) -> None:
    run = train(text_file, model=family, tokenizer=tokenizer)
    assert run.companion_file.stat().st_size < 4 << 20
    gained = run.settings()["companion"]
    assert gained["bits_per_char"] < gained["network_bits_per_char"] - 0.1
    mixed, alone = evaluate_run(run), evaluate_run(run, companion="off")
    assert isinstance(mixed, Score) and isinstance(alone, Score) and mixed.companion is not None
    assert mixed.companion.network_loss == alone.loss and alone.companion is None
    assert mixed.companion.unfitted == (gained["network_bits_per_char"], gained["bits_per_char"])
    assert mixed.loss < alone.loss
    named = evaluate_run(run, [str(text_file)])  # a text on which nothing was fitted
    assert isinstance(named, Score) and named.companion is not None
    assert named.companion.unfitted is None

    model = textwright.load(run)
    text = text_file.read_text(encoding="utf-8")[-600:]
    said = model.explain(text)
    network = textwright.load(run, companion="off").explain(text)
    surprise, without = (
        sum(-math.log(one.probability) for one in which) for which in (said, network)
    )
    assert surprise < without
    whole = sum(one for _, one in model.next_distribution("The ", top=None))
    assert whole == pytest.approx(1)

    options = {"max_tokens": 30, "seed": 4, "logprobs": 2}
    by_itself = model.generate("The ", **options)  # type: ignore[arg-type]
    assert by_itself.text == "".join(model.stream("The ", **options))  # type: ignore[arg-type]
    with Engine(workers=2) as engine:
        jobs = [engine.stream(model, "The ", **options) for _ in range(3)]  # type: ignore[arg-type]
        assert {job.result().text for job in jobs} == {by_itself.text}
        assert jobs[0].result().logprobs == by_itself.logprobs
    off = textwright.load(run, companion="off").generate("The ", **options)  # type: ignore[arg-type]
    assert off.text != by_itself.text


def test_off_leaves_the_network_alone(text_file: Path) -> None:
    run = train(text_file, companion="off")
    assert not run.companion_file.exists() and "companion" not in run.settings()
    for use in (textwright.load, evaluate_run):
        with pytest.raises(RequestError, match="auto or off"):
            use(run, companion="on")  # type: ignore[operator]


def test_what_does_not_help_is_not_kept(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise has nothing to count; and where only the temperature is off, that alone is kept."""
    letters = np.random.default_rng(1).choice(list("abcdefgh"), 22_000)
    text_file.write_text("".join(letters), encoding="utf-8")
    run = train(text_file)
    assert not run.settings().get("companion", {}).get("weight")
    monkeypatch.setattr(companion, "WORTH", 10.0)
    assert companion.WORTH == 10.0 and not train(text_file).companion_file.exists()


def test_ctrl_c_while_it_is_counted_keeps_the_rest(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "add_companion", interrupted)
    run = train(text_file)
    assert run.settings()["result"]["status"] == "finished" and run.report_file.is_file()


def test_a_damaged_one_is_named(text_file: Path) -> None:
    run = train(text_file)
    run.companion_file.write_bytes(run.companion_file.read_bytes()[:-20])
    for use in (textwright.load, evaluate_run):
        with pytest.raises(textwright.errors.RunError, match="delete it to go without") as caught:
            use(run)  # type: ignore[operator]
        assert str(caught.value).startswith(f"run {run.name!r}")


def test_one_of_another_vocabulary_is_named(text_file: Path, tmp_path: Path) -> None:
    run = train(text_file)
    other = tmp_path / "other.txt"
    other.write_text(text_file.read_text(encoding="utf-8").replace("a", "ä"), encoding="utf-8")
    beside = train(other)
    assert beside.config().vocab_size == run.config().vocab_size
    run.companion_file.write_bytes(beside.companion_file.read_bytes())
    for use in (textwright.load, evaluate_run, offline_page):
        with pytest.raises(textwright.errors.RunError, match="tokens of another vocabulary"):
            use(run)  # type: ignore[operator]
        use(run, companion="off")  # type: ignore[operator]


def test_a_wrapped_text_has_its_line_ends_by_their_length(text_file: Path) -> None:
    """What a book of Project Gutenberg is; where there are no lines, nothing is said of them."""
    words = text_file.read_text(encoding="utf-8").split()
    text_file.write_text(textwrap.fill(" ".join(words), 50), encoding="utf-8")
    run = train(text_file)
    gained = run.settings()["companion"]
    assert gained["lines"] and gained["folded"]
    model = textwright.load(run)
    short, long = (
        dict(model.next_distribution("\n" + "the " * count + "the", top=None))["\n"]
        for count in (2, 11)
    )
    assert short < 0.1 < 0.3 < long
    text_file.write_text(" ".join(words), encoding="utf-8")
    assert not train(text_file).settings()["companion"]["lines"]


def test_fitted_weights_are_the_best_there_are() -> None:
    draw = np.random.default_rng(1)
    truth, other = draw.normal(0, 2, (2, 4000, 7)).astype(np.float32)
    odds = np.exp(0.8 * truth + 0.3 * other)
    targets = (draw.random((4000, 1)) > (odds / odds.sum(1, keepdims=True)).cumsum(1)).sum(1)
    weights, loss = fit_weights([truth, other], targets)
    assert weights == pytest.approx([0.8, 0.3], abs=0.05)
    for nudge in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        first, second = np.array(weights) + nudge
        scores = np.asarray(first * truth + second * other)
        there = np.log(np.exp(scores).sum(1)) - scores[np.arange(4000), targets]
        assert there.mean() > loss
    with pytest.raises(TrainingError, match="finite"):
        fit_weights([np.full_like(truth, np.nan)], targets)
    held, _ = fit_weights([truth, other], targets, [0.5, 0.5], [1e12, 1e12])
    assert held == [0.5, 0.5]
    near, _ = fit_weights([truth, other], targets, [0.5, 0.5], [1e4, 1e4])
    assert 0.5 < near[0] < weights[0] and weights[1] < near[1] < 0.5


def test_scores_of_one_token_are_those_of_a_whole_row() -> None:
    draw = np.random.default_rng(1)
    truth, values = draw.normal(0, 2, (500, 7)), draw.normal(0, 1, 500)
    whole = np.zeros((500, 7))
    whole[:, 3] = values
    targets = draw.integers(0, 7, 500)
    thin = fit_weights([truth, OfOneToken(3, values, 7)], targets)
    assert thin == fit_weights([truth, whole], targets)


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_few_predictions_of_a_large_vocabulary_are_far_apart(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are fitted on what the whole of the text says, in as little memory as before."""
    network = build(model_settings(family, "pico", 20, {}), seed=1).eval()
    tokens = np.random.default_rng(1).integers(20, size=2_001)
    monkeypatch.setattr(companion, "_FIT_VALUES", 100 * 20)
    sample = companion._collect(network, tokens)
    assert len(sample.targets) == len(sample.logits) == 100
    assert sample.targets.tolist() == tokens[1::20].tolist()
    with torch.inference_mode():
        block = network.config.block_size
        place = 280 if family == "lstm" else 280 % block  # where it began to read
        whole = network(torch.from_numpy(tokens[280 - place : 281])[None])[0][0, -1]
    assert sample.logits[14] == pytest.approx(whole.numpy(), abs=1e-3)
    table = make_table(NGramModel(tokens, np.zeros(1, np.int64), 20, 3))
    scores = companion._scores(table, sample)
    every = companion._scores(table, replace(sample, counted=np.ones_like(sample.counted)))
    assert scores.shape == (100, 20) and (scores == every[::20]).all()
