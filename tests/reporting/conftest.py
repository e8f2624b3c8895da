"""Run folders for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_runs import MakeRun, make_run

from textwright.runs import Run


@pytest.fixture(name="make_run")
def _make_run(tmp_path: Path) -> MakeRun:
    """`make_run` in a folder of the test's own."""

    def make(name: str = "shakespeare", **facts: Any) -> Run:
        return make_run(tmp_path / "runs", name, **facts)

    return make
