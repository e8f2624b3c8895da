"""A training on Hugging Face Jobs, by the real library, against a stand-in that runs the job."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_stand_in import TOKEN, Hub, hub_stand_in
from jobs_stand_in import Jobs

import textwright
from textwright.cli.app import main
from textwright.jobs.launch import plan_job
from textwright.runs import Run

SMALL = ["model.num_layers=1", "model.hidden_size=32", "model.block_size=16", "model.num_heads=1",
         "training.batch_size=4"]  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_stand_in() as hub:
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        hub.jobs = Jobs(folder)
        yield hub
        for job in hub.jobs.all.values():
            job.cancel()
            job.follow()


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "textwright", *words, "--on", "hf",
            "--runs", str(folder / "back")]  # fmt: skip


def environment(hub: Hub, folder: Path) -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "home"), "HF_TOKEN": TOKEN}
    return keep | own


@pytest.mark.slow
def test_a_training_goes_to_a_job_and_comes_back(hub: Hub, text_file: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "textwright-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"not looked into: the job's uv is none")
    options = [word for change in SMALL for word in ("--set", change)]
    words = ["train", str(text_file), "--model", "gpt", "--steps", "2000", "--eval-every", "1000"]
    words += ["--checkpoint-every", "20", "--name", "novel", "--wheel", str(wheel), *options]
    env = environment(hub, tmp_path)
    with subprocess.Popen(
        command(tmp_path, *words), env=env, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stderr is not None and hub.jobs is not None
        said = ""
        while "is started" not in said:
            line = watching.stderr.readline()
            assert line, said
            said += line
        (job,) = hub.jobs.all.values()
        run = hub.jobs.folder / "job" / "run"
        while not list(run.glob("checkpoints/step-*0")) and job.process.poll() is None:
            time.sleep(0.05)
        watching.send_signal(signal.SIGINT)
        said += watching.stderr.read()
    assert watching.returncode == 130, said
    assert f"hf jobs cancel ann/{job.id}" in said and "--name novel --resume" in said
    assert "$0.40 an hour; at most $0.80" in said and job.process.poll() is None

    # ended there: it saves, and pushes what it has
    job.cancel()
    job.follow()
    files = hub.repositories["model", "ann/textwright-novel"]
    assert {"input/prose.txt", "job.sh", wheel.name, "run/run.toml"} <= files.keys(), job.log
    assert any(name.startswith("run/checkpoints/step-") for name in files)
    assert hub.created[0]["name"] == "textwright-novel" and "private" in str(hub.created[0])

    # the same words with --resume: a new job goes on from there, to the end
    def resume(*more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(tmp_path, *words, "--resume", *more), env=env, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    again = resume()
    back = Run(Path(again.stdout.strip()))
    assert back.path == tmp_path / "back" / "novel" and not back.checkpoints_folder.exists()
    assert back.settings()["result"]["status"] == "finished"
    assert textwright.load(back).generate("The", max_tokens=5, seed=1).tokens
    assert re.search(r"step 2000/2000 .*val_loss \d", again.stderr)
    first, second = hub.jobs.all.values()
    assert "step 0/" not in "".join(second.log)
    assert f"./{wheel.name}[train]" in second.request["command"][2]
    # once more: nothing is started; to further steps: a third job goes on from the end
    once_more = resume()
    assert once_more.stdout == again.stdout and "is here" in once_more.stderr
    words[words.index("--steps") + 1] = "+100"
    further = resume()
    (third,) = list(hub.jobs.all.values())[2:]
    longer = Run(Path(further.stdout.strip()))
    assert longer.name == "novel-2" and longer.settings()["plan"]["steps"] == 2100
    assert b"--steps=+100" in files["job.sh"]
    assert "novel-2" in longer.report_file.read_text(encoding="utf-8") and "step 0/" not in "".join(
        third.log
    )
    # the token went to the job as a secret, and nowhere else
    assert first.request["secrets"] == {"HF_TOKEN": TOKEN}
    assert TOKEN.encode() not in b"".join(files.values())
    assert TOKEN not in said + again.stderr + again.stdout + "".join(first.log + second.log)
    assert not hub.unknown


@pytest.mark.slow
def test_a_sweep_is_one_job(hub: Hub, text_file: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "textwright-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"not looked into: the job's uv is none")
    words = ["sweep", str(text_file), "--try", "seed=1,2", "--set", "model=gpt", "--jobs", "1"]
    words += ["--steps", "20", "--name", "best", "--wheel", str(wheel)]
    words += [word for change in SMALL for word in ("--set", change)]
    for more, said in (((), "is started"), (("--resume",), "is here")):
        done = subprocess.run(
            command(tmp_path, *words, *more), env=environment(hub, tmp_path),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and said in done.stderr, done.stderr
        assert f"winner: {tmp_path / 'back' / 'best'}" in done.stdout
    assert hub.jobs is not None and len(hub.jobs.all) == 1
    back = tmp_path / "back"
    assert textwright.load(Run(back / "best")).generate("The", max_tokens=5, seed=1).tokens
    assert {"best", "best-sweep"} == {each.name for each in back.iterdir()}
    trials = back / "best-sweep"
    assert not list(trials.glob("*/checkpoints")) and (trials / "seed-2.log").is_file()
    assert "is the run best" in (trials / "sweep.html").read_text(encoding="utf-8")
    # its checkpoints stay there, for a sweep that goes on
    files = hub.repositories["model", "ann/textwright-best"]
    assert any(name.startswith("run-sweep/seed-1/checkpoints/") for name in files)


def test_a_dry_run_prints_what_is_sent(
    text_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    held_out = tmp_path / "held out.txt"
    held_out.write_text("what is held out", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["train", str(text_file), "--on", "hf", "--minutes", "30", "--flavor", "l4x1", "--val",
              str(held_out), "--set", "model.dropout=0.2", "--lowercase", "--dry-run"])  # fmt: skip
    said = capsys.readouterr()
    assert ended.value.code == 0 and TOKEN not in said.out + said.err
    calls = {call["operation"]: call["parameters"] for call in json.loads(said.out)}
    assert list(calls) == ["list_jobs_hardware", "create_repo", "upload_folder", "run_job"]
    assert calls["create_repo"]["private"] is True
    files = calls["upload_folder"]["files"]
    assert {"input/prose.txt", "validation/held out.txt", "job.sh"} == files.keys()
    train = next(line for line in files["job.sh"].splitlines() if line.startswith("textwright"))
    assert "--minutes=30" in train and "--val=validation" in train and "--lowercase" in train
    assert "--set=model.dropout=0.2" in train
    job = calls["run_job"]
    assert (
        job["timeout"] == 3000
        and job["flavor"] == "l4x1"
        and job["labels"] == {"textwright": "prose"}
    )
    # what is printed is what the library takes
    import inspect

    from huggingface_hub import HfApi

    for operation, parameters in calls.items():
        known = inspect.signature(getattr(HfApi, operation)).parameters
        assert parameters.keys() - {"files"} <= known.keys()
    checked = subprocess.run(["bash", "-n"], input=files["job.sh"], text=True, check=False)
    assert checked.returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--on", "hf", "--plan"], "are for a training here"),
        (["--dry-run"], "add --on hf"),
        (["--on", "hf", "--dry-run", "--timeout", "soon"], "write minutes or hours"),
        (["--on", "hf", "--dry-run", "--wheel", "x.whl"], "is no wheel of textwright"),
        (["--on", "hf", "--dry-run", "--repo", "ann"], "write user/name"),
        (["--on", "hf", "--dry-run", "--size", "nono"], "unknown size"),
    ],
)
def test_what_is_wrong_with_a_job_is_one_line(
    words: list[str], message: str, text_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", str(text_file), *words])
    said = capsys.readouterr()
    assert ended.value.code == 2 and not said.out and message in said.err
    assert len(said.err.splitlines()) == 1


@pytest.fixture
def here(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The Hub that this process talks to."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


@pytest.mark.usefixtures("here")
def test_a_flavor_that_isnt_there_is_named() -> None:
    from textwright.errors import RequestError
    from textwright.jobs.launch import cost

    plan = plan_job(["shakespeare"], [], flavor="t5", user="ann")
    with pytest.raises(RequestError, match="the Hub has cpu-basic, cpu-upgrade, t4-small"):
        cost(plan)


def test_a_job_that_is_out_of_sight_goes_on(here: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    from textwright.cli.jobs import _follow
    from textwright.errors import DownloadError

    here.refuses["/api/jobs"] = (503, "down")
    plan = plan_job(["shakespeare"], [], flavor="t4-small", user="ann")
    with pytest.raises(DownloadError, match="answered 503"):
        _follow("5" * 24, plan, "train", "ann", None, ["shakespeare"])
    said = capsys.readouterr().err
    assert "the job goes on" in said and "train shakespeare --on hf" in said


def test_no_text_of_an_earlier_try_stays(here: Hub, tmp_path: Path) -> None:
    from textwright.errors import TextwrightError
    from textwright.jobs.launch import start

    here.refuses["/api/jobs"] = (503, "down")
    for names in (("a.txt", "b.txt", "c.txt"), ("d.txt", "e.txt")):
        texts = [tmp_path / name for name in names]
        for text in texts:
            text.write_text(text.name, encoding="utf-8")
        *learned, held_out = map(str, texts)
        plan = plan_job(
            learned, [], flavor="t4-small", user="ann", name="novel", validation=held_out
        )
        with pytest.raises(TextwrightError, match="answered 503"):
            start(plan)
        there = here.repositories["model", "ann/textwright-novel"]
        assert {*plan.files, "job.sh"} == there.keys() - {".gitattributes"}
