"""What the pages tell people to type works: commands, Python, settings, examples.

Everything in a `sh` or `python` block is run, in order, a page at a time, in a folder that has what
the pages talk about, and so is what stands after `$` in a `console` block, whose output is compared
with what is shown (`sessions.py`). Only budgets are cut: `--minutes 5` becomes a few steps, each of
little text. The two commands at the top of README make environments of their own; `.ci/run` runs
those as they stand.
"""

from __future__ import annotations

import inspect
import io
import json
import logging
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from pydoc_data import topics
from typing import Any

import pytest
from pages import PAGES, ROOT, Block, blocks, command_lines, first_column, section
from sessions import RUN_ONCE, difference, sessions

import lent_compiler
import textwright
from textwright import models
from textwright.cli.app import main
from textwright.configs import CONFIG_CLASSES, Settings

STEPS = 4
"""All that a budget comes to here."""

LITTLE = " --set training.batch_size=2 --set training.eval_tokens=600"

TEXT = "\n\n".join(topics.topics[name].strip() for name in sorted(topics.topics))[:18_000]

RUNNABLE = [
    pytest.param(
        page,
        id=str(page.relative_to(ROOT)),
        marks=[] if page.name == "README.md" else [pytest.mark.slow],
    )
    for page in PAGES
    if any(
        block.language in ("sh", "python")
        or any(line.startswith("textwright ") for line, _ in sessions(block))
        for block in blocks(page)
    )
    and page.name not in RUN_ONCE
]
"""The pages with something to type; what README says is in the fast tier of the tests."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the texts and runs that the pages name."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "my_novel.txt").write_text(TEXT[:15_000], encoding="utf-8")
    (folder / "another.txt").write_text(TEXT[15_000:], encoding="utf-8")
    words = TEXT.split()
    for name, first, count in (("my_chats", 0, 60), ("held_out", 60, 12)):
        (folder / f"{name}.jsonl").write_text(_conversations(words, first, count), encoding="utf-8")
    (folder / "corpora").mkdir()
    (folder / "corpora" / "tinyshakespeare.txt").write_text(TEXT[:15_000], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTWRIGHT_CACHE", str(folder / "cache"))
        train = {"runs_folder": folder / "runs", "steps": STEPS, "eval_every": 2, "size": "nano",
                 "changes": ["training.batch_size=2", "training.eval_tokens=600"]}  # fmt: skip
        run = textwright.train(folder / "my_novel.txt", **train)
        textwright.train(folder / "my_novel.txt", name="my_gpt", model="gpt", **train)
    for name in ("old-run", "other-run"):
        shutil.copytree(run.path, folder / "runs" / name)
    return folder


def _conversations(words: list[str], first: int, count: int) -> str:
    """So many conversations of four turns of ten words each, a line each."""
    lines = []
    for number in range(first, first + count):
        said = [" ".join(words[40 * number + 10 * turn :][:10]) for turn in range(4)]
        turns = [{"agent": f"agent_{turn % 2}", "text": text} for turn, text in enumerate(said)]
        lines.append(json.dumps({"turns": turns}) + "\n")
    return "".join(lines)


@pytest.fixture
def here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The workspace as the current folder; what the command sets up for a process is undone."""
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("TEXTWRIGHT_RUNS", "runs")
    monkeypatch.setenv("TEXTWRIGHT_CACHE", str(workspace / "cache"))
    monkeypatch.setenv("TEXTWRIGHT_CORPORA", str(workspace / "corpora"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hello!\n"))
    for name, value in lent_compiler.variables().items():  # for the wheels that go along
        monkeypatch.setenv(name, value)
    # How long a training would take need not be told exactly
    monkeypatch.setattr("textwright.training.planning.planner._MEASURING_SECONDS", 0.05)
    logger = logging.getLogger("textwright")
    before = (list(logger.handlers), logger.level, logger.propagate)
    families = (list(models.FAMILIES), list(CONFIG_CLASSES))
    yield workspace
    logger.handlers, logger.level, logger.propagate = before
    models.FAMILIES[:], CONFIG_CLASSES[:] = families


@pytest.mark.parametrize("page", RUNNABLE)
def test_what_a_page_says_works(page: Path, here: Path, done: set[str]) -> None:
    ran = 0
    for block in blocks(page):
        _write_toml(block, here)
    for block in blocks(page):
        if block.language == "python":
            _run_python(block, here)
            ran += 1
        elif block.language == "sh":
            for line in block.text.splitlines():
                ran += _run_command(line, block, done)
        for line, shown in sessions(block):
            if line.startswith("curl "):  # tests/serving/test_clients.py has a server
                continue
            assert line.startswith("textwright "), f"{block.place}: nobody runs this: {line}"
            printed = _printed(_cut(line), block)
            wrong = difference(shown, printed)
            assert not wrong, f"{block.place}: {line}\nshown: {wrong}\nprinted:\n{printed}"
            ran += 1
    assert ran or page.name in ("CONTRIBUTING.md",), f"nothing in {page.name} was run"


@pytest.fixture(scope="module")
def done() -> set[str]:
    """Command lines that were run already; a second page may show them again."""
    return set()


def _run_command(line: str, block: Block, done: set[str]) -> bool:
    if not line.startswith("textwright "):
        known = re.match(
            r"python3 -m venv |\.venv/bin/(pip|pytest|ruff|mypy) |python examples/", line
        )
        assert known, f"{block.place}: nobody checks that this works: {line}"
        return False
    line = _cut(line)
    if line not in done:
        done.add(line)
        _printed(line, block)
    return True


def _cut(line: str) -> str:
    """A command with a budget of a few steps of little text, where it has one."""
    if line.startswith("textwright sweep "):  # is planned alone
        return line
    line = re.sub(r"--(minutes|steps|epochs) \S+", f"--steps {STEPS}", line)
    return line + LITTLE * (line.startswith("textwright train ") and "--resume" not in line)


def _printed(line: str, block: Block) -> str:
    """Run a command; what it printed, as on a terminal."""
    both = io.StringIO()
    with redirect_stdout(both), redirect_stderr(both), pytest.raises(SystemExit) as end:
        main(shlex.split(line)[1:])
    assert end.value.code == 0, f"{block.place}: {line}\n{both.getvalue()}"
    return both.getvalue()


def _run_python(block: Block, folder: Path) -> None:
    """Run a block as the script it would be, numbered as the page, for tracebacks."""
    text = re.sub(r"\bminutes=\d+", f"steps={STEPS}", block.text)
    text = re.sub(r"\bsteps=\d+", f"steps={STEPS}", text)
    text = re.sub(r"\beval_every=\d+", "eval_every=2", text)
    script = folder / f"{block.page.stem}.py"
    script.write_text("\n" * (block.line - 1) + text, encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")


def _write_toml(block: Block, folder: Path) -> None:
    """A block that begins with `# name.toml` is the file of that name."""
    name = re.match(r"# (\S+\.toml)\n", block.text)
    if name and block.language == "toml":
        text = re.sub(r"^steps = \d+", f"steps = {STEPS}", block.text, flags=re.M)
        (folder / name[1]).write_text(text, encoding="utf-8")


def test_what_a_page_shows_is_held_against_what_is_printed() -> None:
    shown = "trained in 1 min 3 s\n...\nloss  1.25 nats, 12 kB\n  | To be\nreport  runs/a...\n"
    printed = (
        "trained in 53 s\nmore\n\nloss   0.9 nats, 1.5 MB\n  | Or not\nreport  runs/a/b.html\n"
    )
    assert not difference(shown, printed)
    assert difference(shown, printed.replace("nats", "bits")).startswith("loss")
    assert difference(shown.replace("...\n", "", 1), printed).startswith("loss")
    assert difference("trained in 53 s\n", printed).startswith("(its end)")
    assert difference(shown, printed.replace("trained", "done"))


@pytest.mark.slow
def test_every_example_runs(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {
        "train_and_generate.py": ["my_novel.txt", "--steps", str(STEPS)],
        "watch_probabilities.py": ["my_novel", "It was", "--tokens", "20"],
    }
    scripts = sorted((ROOT / "examples").glob("*.py"))
    elsewhere = "sagemaker_entry.py"  # tests/sagemaker/test_aws_training.py runs it
    scripts.remove(ROOT / "examples" / elsewhere)
    assert [script.name for script in scripts] == sorted(arguments)
    for script in scripts:
        monkeypatch.setattr(sys, "argv", [str(script), *arguments[script.name]])
        runpy.run_path(str(script), run_name="__main__")
        assert len(capsys.readouterr().out) > 20
    for settings in sorted((ROOT / "examples").glob("*.toml")):
        if settings.name == "sagemaker.toml":  # tests/sagemaker/test_requests.py has it
            continue
        with pytest.raises(SystemExit) as end:
            main(["train", "my_novel.txt", "--config", str(settings), "--steps", "1", "--plan"])
        assert end.value.code == 0, capsys.readouterr().err


def test_command_lines_in_pages_parse() -> None:
    """Also of those that are shown and not run, every option exists and every value is possible."""
    import typer

    lines = [(page, line) for page in PAGES for line in command_lines(page)]
    assert len(lines) > 30
    whole: Any = typer.main.get_command(textwright.cli.app.app)  # type: ignore[attr-defined]
    for page, line in lines:
        words = shlex.split(line)[1:]
        command = whole
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        try:
            command.make_context("textwright", words)
        except Exception as error:
            pytest.fail(f"{page.relative_to(ROOT)}: {line}\n{error!r}")


def test_the_arguments_in_the_pages_are_those_there_are() -> None:
    listed = first_column(section(ROOT / "docs" / "python.md", "Training, watched"))
    assert sorted(name.lstrip("*") for name in listed) == sorted(
        inspect.signature(textwright.train).parameters
    )


def test_the_settings_in_the_pages_are_those_there_are() -> None:
    table = section(ROOT / "docs" / "training.md", "Every setting")
    documented = dict(re.findall(r"^\| `([a-z_.0-9]+)` \| (?:`([^`|]*)`)? *\|", table, flags=re.M))
    defaults = {
        f"{name}.{setting}": "" if value is None else json.dumps(value)
        for name, values in Settings().model_dump().items()
        for setting, value in values.items()
    }
    assert documented == defaults

    named = first_column(section(ROOT / "docs" / "models.md", "Settings"))
    there = {f"model.{field}" for config in CONFIG_CLASSES for field in config.model_fields}
    assert set(named) == there - {"model.family", "model.vocab_size"}
