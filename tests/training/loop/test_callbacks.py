"""`--log`: what it asks for, in a line, before any work."""

import sys

import pytest

from textwright.errors import MissingPackageError, RequestError
from textwright.training.loop.callbacks import log_observers


def test_tensorboard_is_an_extra_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingPackageError) as raised:
        log_observers(["csv", "tensorboard"], None)
    assert "pip install 'textwright[tensorboard]'" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert log_observers(["csv"], None) == []


def test_an_unknown_log_is_named() -> None:
    with pytest.raises(RequestError, match="tensorbord.*tensorboard"):
        log_observers(["tensorbord"], None)
