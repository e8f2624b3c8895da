"""What a sweep tries, how far, and who goes on; nothing is trained here."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from textwright import torchrun
from textwright.cli.app import main
from textwright.errors import RequestError, RunError
from textwright.runs import Run
from textwright.training import trials
from textwright.training.sweep_workers import _own_gpu
from textwright.training.sweeping import _better, _bits, _seen, plan_sweep
from textwright.training.sweeps import Sweep, Trial, load_sweep


def test_values_are_split_and_combined() -> None:
    tries = trials.parse_tries(["size=nano, micro", "model.hidden_size=[64,32],[16,16]"])
    assert tries == {"size": ["nano", "micro"], "model.hidden_size": ["[64,32]", "[16,16]"]}
    found = trials.combinations(tries)
    assert len(found) == 4 and found[1] == {"size": "nano", "model.hidden_size": "[16,16]"}
    assert trials.arguments(found[0]) == ["--size=nano", "--set=model.hidden_size=[64,32]"]
    names = trials.trial_names(found)
    assert names[0] == "nano-hidden_size-64-32" and len(set(names)) == 4
    alike = trials.trial_names([{"val": "a/b"}, {"val": "a-b"}])
    assert alike == ["val-a-b", "val-a-b-2"]
    assert trials.as_typed(True) == "true" and trials.as_typed([64, 32]) == "[64, 32]"
    assert trials.as_typed(Path("a.txt")) == "a.txt"


@pytest.mark.parametrize("count", [2, 3, 4, 7, 16, 100])
@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_the_better_half_goes_on_and_no_core_is_idle(count: int, jobs: int) -> None:
    jobs = min(jobs, count)
    rungs = trials.plan_rungs(count, jobs)
    assert rungs[0].trials == count and rungs[-1].share == 1 and rungs[-1].keep == 1
    for rung, following in itertools.pairwise(rungs):
        assert following.share in (2 * rung.share, 4 * rung.share, 8 * rung.share)
        assert following.trials == rung.keep >= min(jobs, rung.trials)
        assert rung.keep in ((rung.trials + 1) // 2, jobs)
    each = trials.seconds_each(200, rungs, jobs)
    turns = [-(-rung.trials // jobs) for rung in rungs]
    shares = [0.0, *(rung.share for rung in rungs)]
    parts = [b - a for a, b in itertools.pairwise(shares)]
    whole = sum(n * part * each for n, part in zip(turns, parts, strict=True))
    assert whole + sum(turns) * trials._START_SECONDS == pytest.approx(12000)


def test_what_is_compared_is_at_the_same_share() -> None:
    metrics = [{"step": step, "val_bits_per_char": bits}
               for step, bits in ((0, 8.0), (10, 4.0), (30, 2.0), (40, 2.5))]  # fmt: skip
    assert trials.bits_at(metrics, 10) == 4.0
    assert trials.bits_at(metrics, 20) == 3.0
    assert trials.bits_at(metrics, 35) == 2.0 == trials.bits_at(metrics, 100)
    assert trials.bits_at(metrics[:1], 10) is None


def _trial(folder: Path, name: str, metrics: list[tuple[int, float]]) -> Trial:
    run = Run(folder / name)
    run.path.mkdir(parents=True)
    run.write_settings({"plan": {"steps": 40}, "result": {"status": "interrupted"}})
    for step, bits in metrics:
        run.append(run.metrics_file, {"step": step, "val_loss": bits, "val_bits_per_char": bits})
    return Trial(run, {"size": name}, "paused")


def test_the_worse_half_is_stopped_and_a_failed_one_too(tmp_path: Path) -> None:
    curves = {"a": [(0, 8.0), (10, 3.0)], "b": [(0, 8.0), (20, 1.0)], "c": [(0, 8.0), (10, 2.0)]}
    found = [_trial(tmp_path, name, metrics) for name, metrics in curves.items()]
    failed = Trial(Run(tmp_path / "d"), {"size": "d"}, "failed", "no memory")
    sweep = Sweep(tmp_path, "x", [], {}, 20.0, None, 2, 1, [*found, failed])
    # b is at 1.0 only at half of its plan; at a quarter it was between 8 and that
    bits = {one.run.name: _bits(one, sweep.rungs[0].share) for one in found}
    better = _better(sweep, sweep.trials, sweep.rungs[0], bits)
    assert [one.run.name for one in better] == ["c", "a"]
    assert [one.state for one in found] == ["paused", "stopped", "paused"]
    assert [row.state for row in sweep.rows()] == ["paused", "paused", "stopped", "failed"]


def test_each_worker_of_a_machine_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, value in (("RANK", 3), ("WORLD_SIZE", 4), ("LOCAL_RANK", 1), ("MASTER_PORT", 1)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _own_gpu() == {"CUDA_VISIBLE_DEVICES": "1"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    assert _own_gpu() == {"CUDA_VISIBLE_DEVICES": "7"}
    # a trial is no worker
    assert torchrun.environment_alone().keys().isdisjoint({"RANK", "WORLD_SIZE", "MASTER_ADDR"})


def test_workers_that_share_no_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a folder that all machines share"):
        _seen("mine", tmp_path, 1)


def test_a_sweep_is_found_again_as_it_was(tmp_path: Path, text_file: Path) -> None:
    sweep = plan_sweep(
        text_file, tries={"size": ["nano", "micro"], "seed": [1, 2]}, minutes=3, jobs=1,
        fixed={"model": "gpt"}, runs_folder=tmp_path, name="mine",
    )  # fmt: skip
    assert not list(tmp_path.glob("mine*"))
    sweep.folder.mkdir()
    sweep.trials[1].reason = "no memory"
    sweep.save()
    again = load_sweep(None, tmp_path)
    assert again.record() == sweep.record() and again.seconds_each == sweep.seconds_each
    assert [one.state for one in again.trials] == ["waiting", "failed", "waiting", "waiting"]
    assert again.words(again.trials[3])[-3:] == ["--model=gpt", "--size=micro", "--seed=2"]
    # all read the same part of the validation text, unless another is said
    same = [word for word in again.words(again.trials[0]) if "eval_tokens" in word]
    assert same == ["--set=training.eval_tokens=16384"]
    again.fixed = {"training.eval_tokens": "0"}
    assert "--set=training.eval_tokens=0" in again.words(again.trials[0])
    again.file.write_text('{"name": 3}')
    with pytest.raises(RequestError, match="is damaged"):
        load_sweep("mine", tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--try", "size=nano,micra"], "trial size=micra: unknown size 'micra'; did you mean"),
        (["--try", "model.dropout=0,7"], "trial model.dropout=7: model settings: dropout"),
        (["--try", "model.dropot=0,1"], "unknown setting model.dropot; did you mean"),
        (["--try", "seed=1,x"], "trial seed=x: seed is a whole number, not 'x'"),
        (["--try", "steps=1,2"], "how long is one for all trials"),
        (["--try", "size=nano,micro", "--steps", "0"], "take 1 or more"),
        (["--try", "size=nano"], "a sweep needs two trials or more"),
        (["--try", "size"], "write NAME=VALUE,VALUE"),
        (["--try", "size=nano,nano"], "a value comes twice"),
        (["--try", "size=nano,micro", "--set", "size=nano"], "both tried and set"),
        (["--try", "size=nano,micro", "--minutes", "0.1"], "give --minutes 0.3 or more"),
        (["--try", "size=nano,micro", "--minutes", "nan"], "--minutes nan: write a number"),
        (["--try", "size=nano,micro", "--minutes", "inf"], "--minutes inf: write a number"),
        (["--try", "val=a.txt,b.txt"], "by the same part of one text"),
        (["--try", "training.eval_tokens=0,99"], "say it for all, --set training.eval_tokens=0"),
        (["--try", "size=nano,micro", "--set", "val=nowhere.txt"], "nowhere.txt does not exist"),
        (["--try", "size=nano,micro", "--name", "../x"], "can't be the name of a run"),
        (["--resume"], "there is no sweep"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_trained(
    words: list[str], message: str, text_file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    text = [] if words == ["--resume"] else [str(text_file)]
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *text, *words])
    said = capsys.readouterr()
    assert ended.value.code == 2 and not said.out and message in said.err
    assert len(said.err.splitlines()) == 1 and not (tmp_path / "runs").exists()


def test_a_plan_says_what_would_be_done(
    text_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", str(text_file), "--try", "size=nano,micro", "--try", "model.dropout=0,0.1",
             "--minutes", "20", "--jobs", "2", "--plan"]  # fmt: skip
    with pytest.raises(SystemExit):
        main(words)
    assert "4 trials; the best 2 go on" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    plan = json.loads(capsys.readouterr().out)
    assert [rung["share"] for rung in plan["rungs"]] == [0.25, 1.0]
    assert 600 < plan["seconds_each"] < 960 and not (tmp_path / "runs").exists()
