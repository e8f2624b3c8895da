"""The wheel that a Space or a job gets where this version of textwright is on no index."""

from __future__ import annotations

from pathlib import Path

import pytest

from textwright.errors import RequestError
from textwright.publishing import wheel


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def test_the_file_that_was_installed_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "textwright-0.1.0-py3-none-any.whl"
    file.touch()
    monkeypatch.setattr(wheel, "_installed_from", lambda: file)
    assert wheel.wheel_for_hub(tmp_path) == file


def test_without_a_source_nothing_is_pushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "_installed_from", lambda: None)
    monkeypatch.setattr(wheel, "_is_on_index", lambda scratch: False)
    with pytest.raises(RequestError, match=r"is on no package index, .*could start there"):
        wheel.wheel_for_hub(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'broken'\n")
    monkeypatch.setattr(wheel, "_installed_from", lambda: tmp_path)
    with pytest.raises(RequestError, match=r"no wheel of textwright can be made \(.+\): nothing"):
        wheel.wheel_for_hub(tmp_path)
