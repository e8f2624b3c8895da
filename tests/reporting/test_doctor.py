"""`textwright doctor`: always answers, whatever is missing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textwright.cli.app import main
from textwright.cli.doctor import extras


def doctor(*words: str, code: str = "", **variables: str) -> str:
    """What `textwright doctor` prints in a process of its own, after running `code` in it."""
    call = f"{code}\nfrom textwright.cli.app import main\nmain(['doctor', *{list(words)!r}])"
    done = subprocess.run(
        [sys.executable, "-c", call], capture_output=True, text=True, timeout=200,
        env={**os.environ, **variables}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="found")
def _found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "a.txt").write_text("hello", encoding="utf-8")
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        patch.setenv("TEXTWRIGHT_CORPORA", str(folder))
        patch.setenv("TEXTWRIGHT_CACHE", str(folder / "cache"))
        with pytest.raises(SystemExit) as end:
            main(["doctor", "--json"])
    assert end.value.code == 0
    found = json.loads(shown.getvalue())
    assert isinstance(found, dict)
    return found


def test_it_tells_of_the_machine_and_its_devices(found: dict[str, Any]) -> None:
    assert found["machine"]["python"] == sys.version.split()[0]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["disk_free_bytes"] > 0
    assert found["torch"]["devices"][0] == "cpu"


def test_looking_at_a_folder_makes_nothing(found: dict[str, Any]) -> None:
    cache = next(folder for folder in found["folders"] if folder["name"] == "cache")
    assert cache["set"] is True
    assert cache["exists"] is False
    assert cache["writable"] is True
    assert not Path(cache["path"]).exists(), "looking makes nothing"


def test_it_tells_where_each_built_in_is(found: dict[str, Any]) -> None:
    assert found["corpora"]["exists"] is True
    assert found["corpora"]["built_ins"]["python-docs"] == "here"
    assert found["corpora"]["built_ins"]["shakespeare"] == "download"


def test_sizes_count_the_models_that_would_be_trained(found: dict[str, Any]) -> None:
    counts = {(row["family"], row["size"]): row["parameters"] for row in found["sizes"]}
    for family in ("lstm", "gru", "rnn", "gpt", "transformer"):
        sizes = [counts[family, size] for size in ("nano", "micro", "small", "medium", "large")]
        assert sizes == sorted(sizes)


def test_without_torch_it_says_how_to_install_it() -> None:
    text = doctor(code="import sys; sys.modules['torch'] = None", TEXTWRIGHT_CORPORA="")
    assert "pip install 'textwright[train]'" in text
    assert "$TEXTWRIGHT_CORPORA is not set" in text
    assert "transformer" in text


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    without = "import sys; sys.modules['torch'] = None"  # whose import takes most of the time
    text = doctor(code=without, TEXTWRIGHT_CORPORA=str(file), TEXTWRIGHT_RUNS=str(file))
    assert "NOT writable" in text
    assert "is no folder" in text


def test_missing_packages_are_told_by_the_extra_that_has_them() -> None:
    requirements = [
        "numpy>=2.0", "torch>=2.10; extra == 'train'", 'jinja2; extra == "train"',
        "lxml>=6.0; extra == 'documents'", "textwright[train]; extra == 'all'",
        "pytest; extra == 'dev'", "openai; extra == 'peers'",
    ]  # fmt: skip
    found = extras(requirements, lambda package: package == "torch")
    assert [(extra.name, extra.missing) for extra in found] == [
        ("train", ("jinja2",)),
        ("documents", ("lxml",)),
    ]
    assert found[0].to_json()["install"] == "pip install 'textwright[train]'"
