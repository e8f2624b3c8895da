"""A model pool: the memory that counts is what weights take, and a failed load is retried."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import pytest

from textwright.engine import ModelPool, model_pool
from textwright.errors import ModelUnavailableError
from textwright.generation import Generator, load
from textwright.runs import Run

MakeRun = Callable[..., Run]


def test_memory_is_counted_as_it_is_held(make_run: MakeRun) -> None:
    first, second = make_run("gpt", name="first"), make_run("gpt", name="second")
    sizes = {kind: load(first, precision=kind).runtime.weight_bytes for kind in ("float32", "int8")}
    if sizes["int8"] == sizes["float32"]:
        pytest.skip("needs compiled kernels: install a C compiler, then `python hatch_build.py`")
    assert sizes["int8"] < 0.6 * sizes["float32"]
    for kind, both in (("float32", False), ("int8", True)):
        pool = ModelPool(
            [first, second],
            memory=int(1.5 * sizes["float32"]),
            loader=lambda run, kind=kind: load(run, precision=kind),
        )
        for name in ("first", "second"):
            pool.get(name)
        assert (pool.statuses["first"].status == "Loaded") == both
        assert pool.statuses["second"].status == "Loaded"


def test_a_failure_that_passes(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.g. of a disk that was away, or for want of memory."""
    monkeypatch.setattr(model_pool, "RETRY_SECONDS", 0.0)
    run, tries = make_run("gpt", name="only"), 0

    def loader(run_to_load: Run) -> Generator:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("not now")
        return load(run_to_load)

    pool = ModelPool([run], loader=loader)
    for _ in range(2):
        pool.load_all()
        assert pool.statuses["only"].status == "Failed"
        with pytest.raises(ModelUnavailableError, match="OSError"):
            pool.get("only")
    pool.load_all()
    assert pool.statuses["only"].status == "Loaded"
    assert pool.get("only").name == "only"
    pool.load_all()
    assert tries == 3


def test_the_wait_for_another_try_doubles_up_to_ten_minutes(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, tries = 0.0, []

    def loader(run: Run) -> Generator:
        tries.append(now)
        raise OSError("not now")

    monkeypatch.setattr(model_pool, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    pool = ModelPool([make_run("gpt", name="only")], loader=loader)
    while now < 2000:
        pool.load_all()
        now += 1
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]


def test_the_one_that_was_used_longest_ago_makes_room(make_run: MakeRun) -> None:
    runs = [make_run("gpt", name=name) for name in ("first", "second", "third")]
    size = load(runs[0]).runtime.weight_bytes
    pool = ModelPool(runs, memory=int(2.5 * size))
    for name in ("first", "second", "first", "third"):
        pool.get(name)
    loaded = {name: status.status for name, status in pool.statuses.items()}
    assert loaded == {"first": "Loaded", "second": "Unloaded", "third": "Loaded"}


def test_what_is_learned_elsewhere_joins_and_what_only_begins_is_no_model(
    make_run: MakeRun,
) -> None:
    run, late = make_run("gpt", name="first"), make_run("gpt", name="late")
    pool = ModelPool([run])
    weights = late.weights_file.read_bytes()
    late.weights_file.unlink()
    late.lock_file.touch()
    followed = ModelPool([], run.path.parent)
    assert set(followed.statuses) == {"first"}  # not as one that failed
    late.weights_file.write_bytes(weights)
    pool.add(late)
    pool.add(late)
    followed.add(late)  # it is found there anyway
    for each in (pool, followed):
        each.refresh()
        each.refresh()
        each.load_all()
        assert each.get("late").name == "late"
        assert list(each.statuses) == ["first", "late"]


def test_statuses_while_models_come_and_go(make_run: MakeRun) -> None:
    """No look at them fails because a name leaves meanwhile."""
    run = make_run("lstm")
    pool = ModelPool([run])
    stopped = threading.Event()

    def come_and_go() -> None:
        while not stopped.is_set():
            for number in range(50):
                pool._entries[f"passing{number}"] = pool._entries[run.name]
            for number in range(50):
                del pool._entries[f"passing{number}"]

    changing = threading.Thread(target=come_and_go)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    changing.start()
    try:
        for _ in range(300):
            assert run.name in pool.statuses
            assert run.name in pool.names()
    finally:
        stopped.set()
        changing.join()
        sys.setswitchinterval(interval)
