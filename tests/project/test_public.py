"""What is public, and that the page on Python says so."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import textwright

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_page_names_what_the_package_hands_on() -> None:
    table = set(re.findall(r"^\| `tw\.(\w+)", PAGE, re.M))
    assert table == set(textwright.__all__) - {"__version__"}
    assert set(textwright.__all__) <= set(dir(textwright))


def test_the_page_names_every_argument_of_train() -> None:
    begin = PAGE.index("### The arguments of tw.train")
    section = PAGE[begin : PAGE.index("\n## ", begin)]
    named = set(re.findall(r"`\*?(\w+)`", section))
    assert set(inspect.signature(textwright.train).parameters) <= named


@pytest.mark.parametrize("room", ["training", "evaluation", "generation", "engine"])
def test_a_name_that_the_page_imports_is_handed_on(room: str) -> None:
    """Beyond the package itself, only what these rooms' faces name is promised."""
    face = importlib.import_module(f"textwright.{room}")
    for names in re.findall(rf"from textwright\.{room} import ([\w, ]+)", PAGE):
        for name in names.split(", "):
            assert name in face.__all__ and getattr(face, name) is not None
