"""Trainings in processes of their own, without the seconds that each would import torch for."""

from __future__ import annotations

import pytest
from crew import crew

crew = pytest.fixture(scope="session")(crew)
