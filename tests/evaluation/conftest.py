"""What the tests of evaluation share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_curves(no_curves: None) -> None:
    """Nobody here looks at the reports of the runs that are trained."""
