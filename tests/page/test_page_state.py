"""What the page knows and does without a browser, run in Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from textwright.page import WEB

NODE = shutil.which("node")


@pytest.mark.parametrize("script", ["state.mjs", "tab_state.mjs"])
def test_texts_tokens_addresses_and_state(tmp_path: Path, script: str) -> None:
    if NODE is None:
        pytest.skip("needs Node on the PATH: apt-get install nodejs")
    shutil.copytree(WEB, tmp_path, dirs_exist_ok=True)
    (tmp_path / "package.json").write_text('{"type": "module"}\n', encoding="utf-8")
    words = [NODE, str(Path(__file__).with_name(script)), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr


def test_no_file_is_long_and_views_know_nothing_of_each_other() -> None:
    for file in WEB.rglob("*.*"):
        text = file.read_text(encoding="utf-8")
        if file.parent.name != "words":
            assert text.count("\n") <= 300, f"{file.name} has more than 300 lines"
        if file.parent.name == "parts":
            assert 'from "../views/' not in text, file.name
        if file.parent.name == "state":
            assert 'from "../views/' not in text, file.name
