"""What the page knows and does without a browser, run in Node."""

from __future__ import annotations

from pathlib import Path

import pytest
from node import modules, run_script

from textwright.page import WEB


@pytest.mark.parametrize("script", ["state.mjs", "tab_state.mjs"])
def test_texts_tokens_addresses_and_state(tmp_path: Path, script: str) -> None:
    run_script(script, modules(tmp_path))


def test_no_file_is_long_and_views_know_nothing_of_each_other() -> None:
    for file in WEB.rglob("*.*"):
        text = file.read_text(encoding="utf-8")
        if file.parent.name != "words":
            assert text.count("\n") <= 300, f"{file.name} has more than 300 lines"
        if file.parent.name == "parts":
            assert 'from "../views/' not in text, file.name
        if file.parent.name == "state":
            assert 'from "../views/' not in text, file.name
