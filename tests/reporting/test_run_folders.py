"""Run folders: which one a name means, which names are free, what a killed start leaves."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from textwright import runs
from textwright.errors import RunError
from textwright.generation import Models
from textwright.reporting import run_to_remove
from textwright.runs import Run, collection


def make(folder: Path, name: str, *files: str) -> Run:
    (folder / name).mkdir(parents=True)
    for file in files:
        (folder / name / file).write_text("", encoding="utf-8")
    return Run(folder / name)


def test_the_name_itself_comes_before_one_that_is_alike(tmp_path: Path) -> None:
    for name in ("my-novel", "my_novel"):
        make(tmp_path, name, "config.json", "run.toml")
    for name in ("my-novel", "my_novel"):
        assert runs.find(name, tmp_path).name == name
        assert run_to_remove(name, tmp_path).name == name
        (tmp_path / name / "model.safetensors").touch()
        (tmp_path / name / "tokenizer.json").touch()
    for name in ("my-novel", "my_novel"):
        with pytest.raises(RunError, match=f"run '{name}'"):  # the damaged one that was meant
            Models(tmp_path).load_model(name)


def test_a_name_that_is_alike_is_found_where_it_is_the_only_one(tmp_path: Path) -> None:
    make(tmp_path, "my-novel", "run.toml")
    assert run_to_remove("my_novel", tmp_path).name == "my-novel"


def test_a_new_run_is_not_called_like_another(tmp_path: Path) -> None:
    folder = tmp_path / "my runs"
    make(folder, "my-novel", "run.toml")
    with pytest.raises(RunError, match="'my-novel' exists already.*'my_novel' is the same") as info:
        runs.create("my_novel", "", folder)
    command = str(info.value).partition("remove it: ")[2]
    assert shlex.split(command) == ["textwright", "runs", "rm", "my-novel", "--runs", str(folder)]
    assert runs.create(None, "my_novel", folder).name == "my_novel-2"
    (folder / "notes").mkdir()
    (folder / "notes" / "novel.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(RunError, match="is no run; choose another --name"):
        runs.create("notes", "", folder)
    assert runs.create(None, "notes", folder).name == "notes-2"


@pytest.mark.parametrize(
    "name",
    ["con", "Aux.txt", "NUL .tar", "com1", "lpt¹", "prose.", "prose ", "my:novel", "a/b", "a\\b",
     "..", ".hidden", "-rf", "tab\t", "what?", "x" * 101, "词" * 70, "\udce9"],
)  # fmt: skip
def test_no_run_is_called_what_some_system_has_no_folder_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError):
        runs.create(name, "", tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [("CON", "run-con"), ("nul.tar.gz", "run-nul.tar.gz"), ("a:b\\c d?.txt", "a-b-c-d-.txt"),
     ("e\u0301te\u0301.txt", "été.txt"), ("words....txt", "words.txt"), ("...", "run"),
     ("词" * 80, "词" * 53)],
)  # fmt: skip
def test_a_name_of_its_own_suits_every_system(tmp_path: Path, text: str, name: str) -> None:
    assert runs.create(None, text, tmp_path).name == name == runs.check_name(name)
    assert runs.create(None, text, tmp_path).name.removeprefix(name) == "-2"


@pytest.mark.parametrize("name", ["prose", None])
def test_what_a_killed_start_left_is_no_run(tmp_path: Path, name: str | None) -> None:
    files = (".training", "tokenizer.json", ".start.safetensors", ".run.toml.1-2.partial")
    left = make(tmp_path, "prose", *files)
    assert runs.create(name, "prose", tmp_path) == left
    assert not list(left.path.iterdir())


@pytest.mark.parametrize("file", ["run.toml", "model.safetensors", "metrics.jsonl", "novel.txt"])
def test_anything_else_in_it_stays(tmp_path: Path, file: str) -> None:
    left = make(tmp_path, "prose", ".training", "tokenizer.json", "config.json", file)
    with pytest.raises(RunError):
        runs.create("prose", "", tmp_path)
    assert runs.create(None, "prose", tmp_path).name == "prose-2"
    assert len(list(left.path.iterdir())) == 4


def test_a_start_that_is_going_on_stays(tmp_path: Path) -> None:
    left = make(tmp_path, "prose", ".training", "tokenizer.json")
    code = (
        "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(left.lock_file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as trainer:
        assert trainer.stdout is not None
        trainer.stdout.readline()
        with pytest.raises(RunError):
            runs.create("prose", "", tmp_path)
        assert runs.create(None, "prose", tmp_path).name == "prose-2"
        trainer.communicate()
    assert runs.create("prose", "", tmp_path) == left


def test_commands_name_the_folder_of_runs_where_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTWRIGHT_RUNS", str(tmp_path / "runs"))
    usual, other = Run(tmp_path / "runs" / "my novel"), Run(tmp_path / "my runs" / "prose")
    elsewhere = ["--runs", str(tmp_path / "my runs")]
    assert runs.command_for(usual, "generate") == "textwright generate 'my novel'"
    assert shlex.split(runs.command_for(other, "runs rm"))[1:] == [
        "runs",
        "rm",
        "prose",
        *elsewhere,
    ]
    assert runs.resume_command(usual) == "textwright train --name 'my novel' --resume"
    words = shlex.split(runs.resume_command(other, "-"))[1:]
    assert words == ["train", "-", "--name", "prose", "--resume", *elsewhere]


def test_settings_hold_names_that_are_not_utf8(tmp_path: Path) -> None:
    run = make(tmp_path, "prose")
    run.write_settings({"corpus": {"sources": ["d\udce9j\udce0 vu.txt", None], "kept": "déjà"}})
    assert run.settings() == {"corpus": {"sources": [r"d\udce9j\udce0 vu.txt"], "kept": "déjà"}}


def test_a_model_that_is_being_copied_is_not_taken_for_what_a_killed_training_left(
    tmp_path: Path,
) -> None:
    copied = Run(tmp_path / "novel")
    copied.path.mkdir()
    copied.config_file.write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="exists already"):
        collection.create("novel", "prose", tmp_path)
    assert collection.create(None, "novel", tmp_path).name == "novel-2"
    assert copied.config_file.is_file()
    copied.lock_file.touch()  # every training has one
    collection.create("novel", "prose", tmp_path)
    assert not copied.config_file.exists()


def test_a_record_that_was_appended_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the next step, for that may be the one at which the machine is switched off."""
    run, found = make(tmp_path, "prose"), []

    def sync(descriptor: int) -> None:
        assert os.path.sameopenfile(descriptor, reading.fileno())
        found.append(reading.read())

    run.metrics_file.touch()
    monkeypatch.setattr(os, "fsync", sync)
    with run.metrics_file.open() as reading:
        run.append(run.metrics_file, {"step": 1})
        run.append(run.metrics_file, {"step": 2})
    assert found == ['{"step": 1}\n', '{"step": 2}\n']
