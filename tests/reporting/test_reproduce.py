"""The command that trains a run again."""

from __future__ import annotations

import itertools
import shlex

import pytest
from made_runs import MakeRun

from textwright.configs import RecurrentConfig
from textwright.reporting import RunSummary
from textwright.reporting.facts import commands, exact_command, typed_command
from textwright.training.planning.request import make_request


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("textwright train novel.txt", "textwright train novel.txt"),
        ("/usr/local/bin/textwright train 'my novel.txt'", "textwright train 'my novel.txt'"),
        ("/x/textwright/__main__.py train --steps 5", "textwright train --steps 5"),
        ("textwright.exe train", "textwright train"),
        ("notebook.py", None),
        ("textwright train 'open", None),
        ("", None),
    ],
)
def test_the_command_as_typed(make_run: MakeRun, recorded: str, expected: str | None) -> None:
    run = make_run(changes={"run": {"command": recorded}})
    assert typed_command(RunSummary.read(run)) == expected


def test_counted_steps_need_no_second_command(make_run: MakeRun) -> None:
    assert len(commands(RunSummary.read(make_run("a", minutes=None)))) == 1
    assert len(commands(RunSummary.read(make_run("b", minutes=3)))) == 2


def test_steps_that_a_file_counts_are_not_called_timed(make_run: MakeRun) -> None:
    typed = {"command": "textwright train --config novel.toml"}
    for minutes, timed in ((None, False), (3, True)):
        run = make_run(f"run-{minutes}", minutes=minutes, changes={"run": typed})
        (note, command), (_, exact) = commands(RunSummary.read(run))
        assert command == typed["command"] and "--steps 3000" in exact
        assert ("machine's speed" in note) == timed


def test_the_exact_command_asks_for_what_was_in_force(make_run: MakeRun) -> None:
    """What the command line makes of it is what the run recorded, to the last setting."""
    config = RecurrentConfig(
        vocab_size=65, block_size=64, num_layers=2, hidden_size=[96, 64], dropout=0.2
    )
    odd = {
        "sample_prompt": ' "It\'s" $HOME\n7',
        "threads": 2,
        "minutes": 3.0,
        "learning_rate": 4e-3,
    }
    summary = RunSummary.read(make_run(config=config, changes={"training": odd}))
    command = exact_command(summary)
    assert command is not None
    words = shlex.split(command)
    assert words[:3] == ["textwright", "train", "shakespeare"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options["--steps"] == "3000"
    changes = [after for before, after in itertools.pairwise(words) if before == "--set"]
    request = make_request(
        model=options["--model"],
        steps=int(options["--steps"]),
        seed=int(options["--seed"]),
        eval_every=int(options["--eval-every"]),
        changes=changes,
    )
    assert request.values["training.sample_prompt"] == odd["sample_prompt"]
    training = request.settings().training.model_dump()
    recorded = {name.removeprefix("training."): value for name, value in summary.settings().items()
                if name.startswith("training.")}  # fmt: skip
    for name, value in recorded.items():
        if name != "minutes":  # the steps stand for them
            assert training[name] == value, name
    assert training["minutes"] is None
    model = request.section("model")
    assert model == config.model_dump(exclude={"family", "vocab_size"})


def test_a_bare_model_folder_has_none(make_run: MakeRun) -> None:
    run = make_run()
    run.settings_file.unlink()
    assert commands(RunSummary.read(run)) == []
