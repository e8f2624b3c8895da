"""The badges that open the notebooks in Colab, and the wheel that these install there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def write(checkout: Path, repository: str) -> None:
    subprocess.run([sys.executable, ROOT / "release/colab.py", repository, checkout], check=True)


def cells(checkout: Path, name: str) -> list[str]:
    notebook = json.loads((checkout / "examples" / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def test_badges_open_notebooks_that_install_the_wheel_of_the_release(checkout: Path) -> None:
    write(checkout, "somebody/elses")
    write(checkout, "ann/words")  # said again, it is written anew
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in ("quickstart", "lesson"):
        before, after = cells(ROOT, name), cells(checkout, name)
        target = (
            f"https://colab.research.google.com/github/ann/words/blob/main/examples/{name}.ipynb"
        )
        assert after[0].count(f"]({target})") == 1 and after[0].startswith("# ")
        assert before[2:] == after[2:]
        (package,) = re.findall('PACKAGE = "(.*)"', after[1])
        asked = Requirement(package)
        assert asked.name == "textwright" and "train" in asked.extras and asked.url
        folder, _, file = asked.url.rpartition("/")
        assert folder == f"https://github.com/ann/words/releases/download/v{version}"
        _, made, _, tags = parse_wheel_filename(file)
        assert str(made) == version
        assert {tag.platform for tag in tags} == {"manylinux_2_17_x86_64"}  # release/wheels.py
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    assert readme.count("![Open in Colab]") == 1 and "somebody" not in readme
