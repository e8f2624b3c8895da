"""`textwright runs` and `textwright report`, as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from made_runs import MakeRun
from typer.testing import CliRunner, Result

from textwright.cli.app import app
from textwright.errors import RequestError, RunError


def call(*words: str | Path, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=answer)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_the_newest_first_with_its_numbers(make_run: MakeRun, folder: Path) -> None:
    old = make_run("old")
    make_run("new", status="stopped early")
    for file in old.path.iterdir():
        os.utime(file, (1_500_000_000, 1_500_000_000))
    result = call("runs", "list", "--runs", folder)
    assert result.exit_code == 0
    heading, new, old_line = result.stdout.splitlines()
    assert heading.split()[:3] == ["name", "model", "parameters"]
    assert new.split()[:2] == ["new", "gpt"]
    assert "stopped early" in new
    assert "0.82 M" in new
    assert f"{old.metrics()[-1]['val_loss']:.4f}" in old_line
    assert "2017-07-14" in old_line
    assert call("runs", "--runs", folder).stdout == result.stdout  # `runs` alone lists too


def test_list_as_json(make_run: MakeRun, folder: Path) -> None:
    run = make_run()
    found = json.loads(call("runs", "list", "--json", "--runs", folder).stdout)
    assert found[0]["name"] == "shakespeare"
    assert found[0]["parameters"] == 820_864
    assert found[0]["val_loss"] == run.metrics()[-1]["val_loss"]
    assert found[0]["damage"] is None
    assert found[0]["verdict"].startswith("still improving")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", "{", "config.json is damaged"),
        ("config.json", '{"model_type": "zzz"}', "unknown model_type 'zzz'"),
        ("config.json", None, "no config.json"),
        ("run.toml", "[x", "run.toml is damaged"),
        ("model.safetensors", None, "model.safetensors missing"),
    ],
)
def test_damaged_runs_are_listed_with_the_reason(
    make_run: MakeRun, folder: Path, file: str, content: str | None, reason: str
) -> None:
    make_run("sound")
    path = make_run("broken").path / file
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    result = call("runs", "--runs", folder)
    assert result.exit_code == 0
    assert reason in result.stdout
    assert "finished" in result.stdout
    status = {run["name"]: run["status"] for run in
              json.loads(call("runs", "list", "--json", "--runs", folder).stdout)}  # fmt: skip
    assert status == {"sound": "finished", "broken": "damaged"}


def test_no_runs_yet(folder: Path) -> None:
    result = call("runs", "--runs", folder)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "textwright train FILE" in result.stderr
    assert not folder.exists()


def test_compare_shows_what_differs_and_whether_losses_compare(
    make_run: MakeRun, folder: Path
) -> None:
    make_run("a_1")
    make_run("b", changes={"training": {"seed": 7}, "tokenizer": {"kind": "bpe"}})
    result = call("runs", "compare", "a-1", "b", "--runs", folder)
    assert result.exit_code == 0
    assert "training.seed   1     7" in result.stdout
    assert "▁" in result.stdout
    assert "bits a character do" in result.stderr
    data = json.loads(call("runs", "compare", "a_1", "b", "--json", "--runs", folder).stdout)
    assert data["settings"]["training.seed"] == [1, 7]
    assert isinstance(call("runs", "compare", "b", "c", "--runs", folder).exception, RunError)


def test_removing_asks_first(make_run: MakeRun, folder: Path) -> None:
    run = make_run()
    assert call("runs", "rm", "shakespeare", "--runs", folder, answer="n\n").exit_code == 0
    assert run.path.is_dir()
    silence = call("runs", "rm", "shakespeare", "--runs", folder, answer="")
    assert isinstance(silence.exception, RequestError)
    assert "--yes" in str(silence.exception)
    assert run.path.is_dir()
    assert call("runs", "rm", "shakespeare", "--runs", folder, answer="y\n").exit_code == 0
    assert not run.path.exists()
    assert folder.is_dir()


def test_removing_several_or_none(make_run: MakeRun, folder: Path) -> None:
    runs = [make_run(name) for name in ("a", "b", "c")]
    assert isinstance(call("runs", "rm", "a", "bb", "--yes", "--runs", folder).exception, RunError)
    assert all(run.path.is_dir() for run in runs), "one name is wrong: nothing is deleted"
    assert call("runs", "rm", "a", runs[1].path, "-y", "--runs", folder).exit_code == 0
    assert [run.path.is_dir() for run in runs] == [False, False, True]


def test_only_runs_below_the_runs_folder_can_be_removed(
    make_run: MakeRun, folder: Path, tmp_path: Path
) -> None:
    run = make_run()
    outside = make_run("outside")
    outside.path.rename(tmp_path / "outside")
    (folder / "notes").mkdir()
    (folder / "notes" / "novel.txt").write_text("years of work", encoding="utf-8")
    linked = folder / "linked"
    linked.symlink_to(tmp_path / "outside", target_is_directory=True)
    for reference in (
        tmp_path / "outside", "../outside", folder / ".." / "outside", "notes", folder / "notes",
        "linked", linked, ".", "..", folder, "/", run.path / "..", "", run.path / "checkpoints",
    ):  # fmt: skip
        result = call("runs", "rm", reference, "--yes", "--runs", folder)
        assert isinstance(result.exception, RunError), reference
    assert (tmp_path / "outside" / "config.json").is_file()
    assert (folder / "notes" / "novel.txt").is_file()
    assert run.path.is_dir()


def test_a_damaged_run_can_be_removed(make_run: MakeRun, folder: Path) -> None:
    run = make_run()
    run.config_file.unlink()
    assert call("runs", "rm", "shakespeare", "--yes", "--runs", folder).exit_code == 0
    assert not run.path.exists()


def test_a_run_in_training_stays(make_run: MakeRun, folder: Path) -> None:
    run = make_run(status="running")
    code = (
        "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.lock_file)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as trainer:  # fmt: skip
        assert trainer.stdout is not None
        trainer.stdout.readline()
        result = call("runs", "rm", "shakespeare", "--yes", "--runs", folder)
        assert "is being trained" in str(result.exception)
        assert "running" in call("runs", "--runs", folder).stdout
        trainer.communicate()
    assert "interrupted" in call("runs", "--runs", folder).stdout
    filelock.FileLock(run.lock_file, timeout=0).acquire().lock.release()  # asking took nothing
    assert call("runs", "rm", "shakespeare", "--yes", "--runs", folder).exit_code == 0


def test_report_prints_its_path(make_run: MakeRun, folder: Path) -> None:
    run = make_run()
    result = call("report", "shakespeare", "--runs", folder)
    assert result.exit_code == 0
    assert Path(result.stdout.strip()) == run.report_file
    assert "<!doctype html>" in run.report_file.read_text(encoding="utf-8")


def test_report_of_a_bare_model_folder(make_run: MakeRun, folder: Path) -> None:
    run = make_run()
    run.settings_file.unlink()
    run.metrics_file.unlink()
    result = call("report", "shakespeare", "--runs", folder)
    assert isinstance(result.exception, RequestError)
    assert not run.report_file.exists()
