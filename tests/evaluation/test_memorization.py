"""Copied or invented, of real runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

import textwright
from textwright import evaluation
from textwright.cli.app import app
from textwright.data import BUILT_INS, TextPart, open_corpus
from textwright.data.training_corpus import find_training_corpus
from textwright.errors import RunError
from textwright.evaluation import memorization
from textwright.runs import Run, shipped

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(name="run")
def _run(text_file: Path, tmp_path: Path) -> Run:
    """A small model that says it was trained on `text_file`."""
    return trained_on(text_file, tmp_path / "runs" / "mine")


def trained_on(file: Path, folder: Path) -> Run:
    shutil.copytree(GOLDEN / "rnn", folder)
    run = Run(folder)
    corpus = {"sources": [str(file)], "validation_fraction": 0.1, "form": "auto"}
    run.write_settings({"corpus": corpus, "data": {"sha256": open_corpus([str(file)]).sha256}})
    return run


def told(*words: str | Path) -> dict[str, object]:
    result = CliRunner().invoke(app, ["eval", *map(str, words), "--novelty", "--json"])
    assert result.exception is None, result.exception
    return json.loads(result.stdout.splitlines()[-1])


def test_what_was_learned_is_copied_and_what_was_held_out_is_not(run: Run, text_file: Path) -> None:
    text = text_file.read_text(encoding="utf-8")
    copy, other = text[5000:5300], "Colourless green ideas sleep furiously, or so I heard it said."
    found = evaluation.novelty(run, [f"{other}{copy}{other}", other])
    assert [passage.share for passage in found.passages][1] == 0
    (stretch,) = found.passages[0].stretches
    assert copy in stretch.text and len(stretch.text) < 310
    assert (stretch.source, stretch.line) == (
        str(text_file),
        text[: stretch.offset].count("\n") + 1,
    )
    assert found.whole.longest == stretch.length
    # Of the last tenth, which is no training text, only what the source says twice
    assert 0 < found.held_out.characters <= len(text) // 10 + 1
    assert found.held_out.share < 0.5
    assert evaluation.novelty(run, [text[-300:]]).whole.share < 1
    assert found.record()["passages"][0]["stretches"][0]["source"] == text_file.name


def test_passages_of_what_was_held_out_are_at_even_distances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However the text comes in pieces."""
    monkeypatch.setattr(memorization, "HELD_OUT", 90)
    text = "".join(f"{number:05d}" for number in range(200))
    for size in (7, 50, 340, 1000):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        part = Mock(TextPart, characters=len(text), chunks=lambda pieces=pieces: iter(pieces))
        expected = [text[start : start + 30] for start in (0, 333, 666)]
        assert memorization.sample_passages(part, 30) == expected


def test_the_command_tells_it(run: Run, text_file: Path) -> None:
    record = told(run.path, "--count", "3", "-n", "120", "--seed", "7", "--minimum", "20")
    texts = record["passages"]
    assert [one["seed"] for one in texts] == [7, 8, 9]
    assert texts[1]["text"] == textwright.load(run).generate("", max_tokens=120, seed=8).text
    assert record["characters"] == 360
    assert record["share"] < 0.2 and record["minimum"] == 20
    assert record["held_out"]["characters"] > 1000
    result = CliRunner().invoke(app, ["eval", str(run.path), "--novelty", "--count", "1"])
    assert "copied" in result.stdout and "held-out text" in result.stdout


def test_a_text_that_is_gone_or_changed_is_named(
    run: Run, text_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moved = text_file.rename(tmp_path / "moved.txt")
    with pytest.raises(RunError, match="was trained on is gone: .*prose.txt"):
        evaluation.novelty(run, ["anything"])
    assert told(run.path, moved, "--count", "1", "-n", "20")["corpus"] == "moved"
    assert not caplog.messages
    text_file.write_text(moved.read_text(encoding="utf-8") + "More.", encoding="utf-8")
    with pytest.raises(RunError, match="has changed since"):
        evaluation.novelty(run, ["anything"])
    told(run.path, text_file, "--count", "1", "-n", "20")
    assert "is not the text that" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "2"], "--seed needs --novelty"),
        (["--novelty", "--window", "8"], "--window can't go with --novelty"),
        (["--novelty", "--minimum", "9"], "at least 16 characters, not 9"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], message: str) -> None:
    error = CliRunner().invoke(app, ["eval", "shakespeare", *words]).exception
    assert message in str(error)


def test_of_conversations_the_words_are_compared(tmp_path: Path) -> None:
    """A conversation is a line of JSON, where quotes and line ends stand otherwise."""
    lines = []
    for number in range(30):
        said = f'I said "{number} bottles"\nand meant every single one of them, my friend.'
        turns = [{"role": "user", "content": said}, {"role": "assistant", "content": "Yes?"}]
        lines.append(json.dumps({"messages": turns}))
    file = tmp_path / "talks.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    run = trained_on(file, tmp_path / "run")
    talks = list(find_training_corpus(run).train.conversations())
    words = talks[3][0][1]
    found = evaluation.novelty(run, [words])
    assert found.unit == "conversation"
    (stretch,) = found.passages[0].stretches
    assert (stretch.text, stretch.line) == (words, 4)


def test_a_run_that_does_not_say_is_told_of(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "rnn", tmp_path / "pulled")
    with pytest.raises(RunError, match=r"doesn't say .* eval pulled .*FILE --novelty"):
        evaluation.novelty(Run(tmp_path / "pulled"), ["anything"])


@pytest.mark.slow
def test_it_needs_no_torch() -> None:
    """A server that compares is no larger than one that writes."""
    look = "import sys, textwright.studio; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", look], check=True)


def test_what_comes_with_the_package_names_its_text() -> None:
    from textwright.data.training_corpus import _builtin_of_card

    own_text = [run for run in shipped() if run.name != "english"]  # its own is made by a script
    assert {_builtin_of_card(run) for run in own_text} <= set(BUILT_INS)


@pytest.mark.slow
def test_a_model_that_knows_its_text_by_heart_is_found_out(tmp_path: Path) -> None:
    """A small text, read many times: most of what it writes is copied."""
    from pydoc_data import topics

    file, same = tmp_path / "short.txt", tmp_path / "same.txt"
    for one in (file, same):  # judged by what it learns, the last weights are the best
        one.write_text(topics.topics["with"][:2500], encoding="utf-8")
    run = textwright.train(
        file, validation=same, model="lstm", steps=300,
        changes=["model.hidden_size=128", "model.dropout=0", "training.batch_size=8"],
    )  # fmt: skip
    record = told(run.path, "--count", "6", "-n", "400", "--temperature", "0.3")
    assert record["share"] > 0.3
    assert record["longest"] > 80
