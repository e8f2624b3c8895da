"""Runs side by side."""

from __future__ import annotations

import io
import sys

import pytest
from made_runs import MakeRun, curve, evaluations

from textwright.cli import app
from textwright.configs import GPTConfig, RecurrentConfig
from textwright.errors import RunError
from textwright.reporting import RunSummary, compare
from textwright.reporting.comparison import sparklines
from textwright.runs import Run


def read(*runs: Run) -> list[RunSummary]:
    return [RunSummary.read(run) for run in runs]


def test_only_what_differs_is_told(make_run: MakeRun) -> None:
    wider = GPTConfig(vocab_size=65, block_size=128, num_layers=4, hidden_size=256, num_heads=8)
    comparison = compare(
        *read(make_run("a"), make_run("b", config=wider, changes={"training": {"seed": 7}}))
    )
    assert comparison.settings["training.seed"] == [1, 7]
    assert comparison.settings["model.hidden_size"] == [128, 256]
    assert comparison.settings["model.dropout"] == [0.1, 0.0]
    assert "model.num_layers" not in comparison.settings
    assert comparison.numbers["parameters"] == [820_864, wider.parameter_count()]
    assert comparison.warnings == ()


def test_a_setting_of_one_family_only(make_run: MakeRun) -> None:
    lstm = RecurrentConfig(vocab_size=65, block_size=64, num_layers=2)
    found = compare(*read(make_run("a"), make_run("b", config=lstm))).settings
    assert found["model.num_heads"] == [4, None]
    assert found["model.embedding_size"] == [None, 128]


def test_other_tokenizers_on_the_same_text(make_run: MakeRun) -> None:
    words = {"tokenizer": {"kind": "word", "vocab_size": 5000}}
    found = compare(*read(make_run("a"), make_run("b", changes=words))).warnings
    assert len(found) == 1
    assert "tokenizers differ" in found[0]
    assert found[0].endswith("; bits a character do")


def test_other_validation_text(make_run: MakeRun) -> None:
    for other in (
        {"data": {"sha256": "00ff"}},
        {"corpus": {"validation": "other.txt"}},
        {"data": {"validation_characters": 55_770}},
        {"plan": {"eval_tokens": 4096}},
    ):
        runs = read(make_run("a"), make_run("b", changes=other))
        found = compare(*runs).warnings
        assert len(found) == 1
        assert "neither losses nor bits a character compare" in found[0]
        for run in runs:
            run.run.remove()


def test_unknown_validation_text(make_run: MakeRun) -> None:
    bare = make_run("b")
    bare.settings_file.unlink()
    found = compare(*read(make_run("a"), bare)).warnings
    assert any("not every run says" in warning for warning in found)


def test_two_at_least(make_run: MakeRun) -> None:
    with pytest.raises(RunError, match="two runs"):
        compare(*read(make_run()))


def test_curves_stand_on_one_scale(make_run: MakeRun) -> None:
    short, long = range(0, 1001, 100), range(0, 2001, 100)
    better = [curve(step, 1.0) for step in long]
    worse = [curve(step, 2.0) for step in short]
    lines = sparklines(
        read(
            make_run("a", records=evaluations(short, worse, worse, 1000)),
            make_run("b", records=evaluations(long, better, better, 2000)),
        ),
        width=20,
    )
    assert len(lines[1]) == 20
    assert 10 <= len(lines[0]) <= 11  # it ended half way
    assert lines[1][-1] == "▁"
    assert lines[0][-1] > lines[1][9]  # the blocks' code points rise with their height
    assert list(lines[1]) == sorted(lines[1], reverse=True)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_curves_in_what_the_output_has(
    make_run: MakeRun,
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = range(0, 1001, 100)
    losses = [curve(step, 1.0) for step in steps]
    runs = [make_run(name, records=evaluations(steps, losses, losses, 1000)) for name in "ab"]
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    monkeypatch.setenv("PYTHONIOENCODING", encoding)  # as a terminal of it would have
    with pytest.raises(SystemExit) as end:
        app.main(["runs", "compare", *(str(run.path) for run in runs)])
    # Typer writes UTF-8 where it is told ASCII, which it takes for a mistake
    text = written.getvalue().decode("utf-8" if encoding == "ascii" else encoding)
    assert end.value.code == 0 and "lacks" not in capsys.readouterr().err
    curves = text.partition("over the steps")[2].splitlines()[1:3]
    (drawn,) = {line.split(maxsplit=1)[1].strip() for line in curves}
    assert ("▁" in drawn) == (encoding == "utf-8") and len(set(drawn)) > 3, text
    assert drawn.isascii() == (encoding != "utf-8") and "?" not in drawn


def test_a_comparison_as_json_has_names_and_curves(make_run: MakeRun) -> None:
    data = compare(*read(make_run("a"), make_run("b"))).to_json()
    assert data["runs"] == ["a", "b"]
    assert data["curves"][0][0] == {
        "step": 0, "tokens": 0, "seconds": 0.0, "val_loss": pytest.approx(4.17)
    }  # fmt: skip
