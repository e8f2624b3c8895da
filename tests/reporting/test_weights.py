"""Values of weights that aren't finite are refused, whichever they are."""

from __future__ import annotations

import numpy as np
import pytest

from textwright.errors import RunError
from textwright.runs.weights import take


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite(value: float) -> None:
    with pytest.raises(RunError, match="aren't finite"):
        take({"a": np.array([1.0, value], np.float32)}, "a", 2)
