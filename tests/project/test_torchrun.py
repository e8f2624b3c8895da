"""Several workers only where all that torchrun sets is there: others set some of it."""

from __future__ import annotations

import pytest

from textwright import torchrun
from textwright.errors import RequestError

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def told(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    for text in values:
        monkeypatch.setenv(*text.split("="))


def test_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, "RANK=2", "WORLD_SIZE=4", "MASTER_ADDR=10.0.0.1", "MASTER_PORT=7777")
    assert (torchrun.world_size(), torchrun.rank(), torchrun.is_first()) == (4, 2, False)
    told(monkeypatch, "RANK=0")
    assert torchrun.is_first()


@pytest.mark.parametrize(
    "values",
    [[], ["RANK=1"], ["RANK=3", "WORLD_SIZE=1"], ["WORLD_SIZE=4"], ["RANK=x"], ["RANK="],
     ["MASTER_ADDR=here", "RANK=2"]],
)  # fmt: skip
def test_what_says_less_is_a_process_by_itself(
    values: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, *values)
    assert (torchrun.world_size(), torchrun.rank(), torchrun.is_first()) == (1, 0, True)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["RANK=0", "WORLD_SIZE=2"], "MASTER_ADDR, where they meet, is not"),
        (["RANK=0", "WORLD_SIZE=2", "MASTER_ADDR=here"], "MASTER_PORT, where they meet, is not"),
        (["RANK=2", "WORLD_SIZE=2"], "RANK is 2 and WORLD_SIZE 2, but ranks go from 0 to 1"),
        (["RANK=-1", "WORLD_SIZE=2"], "ranks go from 0 to 1"),
        (["RANK=0", "WORLD_SIZE=two"], "WORLD_SIZE is 'two', which is no number"),
        (["RANK=", "WORLD_SIZE=2"], "RANK is '', which is no number"),
    ],
)
def test_what_contradicts_itself_is_one_line_with_a_remedy(
    values: list[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, *values)
    with pytest.raises(RequestError, match=why) as raised:
        torchrun.world_size()
    assert "unset RANK and WORLD_SIZE" in str(raised.value)
