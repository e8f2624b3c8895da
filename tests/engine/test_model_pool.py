"""Which models are held: what they take counts, and a failure that passes is not for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from textwright.engine import Library, model_pool
from textwright.errors import ModelUnavailableError
from textwright.generation import Generator, load
from textwright.runs import Run

MakeRun = Callable[..., Run]


def test_memory_is_counted_as_it_is_held(make_run: MakeRun) -> None:
    first, second = make_run("gpt", name="first"), make_run("gpt", name="second")
    sizes = {kind: load(first, precision=kind).runtime.held_bytes for kind in ("float32", "int8")}
    if sizes["int8"] == sizes["float32"]:
        pytest.skip("needs compiled kernels: install a C compiler, then `python hatch_build.py`")
    assert sizes["int8"] < 0.6 * sizes["float32"]
    for kind, both in (("float32", False), ("int8", True)):
        held = Library(
            [first, second],
            memory=int(1.5 * sizes["float32"]),
            loader=lambda run, kind=kind: load(run, precision=kind),
        )
        for name in ("first", "second"):
            held.get(name)
        assert (held.statuses["first"].status == "Loaded") == both
        assert held.statuses["second"].status == "Loaded"


def test_a_failure_that_passes(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.g. of a disk that was away, or for want of memory."""
    monkeypatch.setattr(model_pool, "RETRY_SECONDS", 0.0)
    run, tries = make_run("gpt", name="only"), 0

    def loader(asked: Run) -> Generator:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("not now")
        return load(asked)

    held = Library([run], loader=loader)
    for _ in range(2):
        held.load_all()
        assert held.statuses["only"].status == "Failed"
        with pytest.raises(ModelUnavailableError, match="OSError"):
            held.get("only")
    held.load_all()
    assert held.statuses["only"].status == "Loaded"
    assert held.get("only").name == "only"
    held.load_all()
    assert tries == 3


def test_what_is_learned_elsewhere_joins_and_what_only_begins_is_no_model(
    make_run: MakeRun,
) -> None:
    run, late = make_run("gpt", name="first"), make_run("gpt", name="late")
    held = Library([run])
    weights = late.weights_file.read_bytes()
    late.weights_file.unlink()
    late.lock_file.touch()
    followed = Library([], run.path.parent)
    assert set(followed.statuses) == {"first"}  # not as one that failed
    late.weights_file.write_bytes(weights)
    held.add(late)
    held.add(late)
    followed.add(late)  # it is found there anyway
    for library_of in (held, followed):
        library_of.refresh()
        library_of.refresh()
        library_of.load_all()
        assert library_of.get("late").name == "late"
        assert list(library_of.statuses) == ["first", "late"]
