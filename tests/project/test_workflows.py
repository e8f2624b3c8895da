"""The workflows parse, cover the Pythons that the package names, and may do no more than needed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


def test_every_python_is_tested_on_every_system() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = [
        line.rpartition(" ")[2]
        for line in project["classifiers"]
        if re.fullmatch(r".*Python :: 3\.\d+", line)
    ]
    matrix = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["fast"]["strategy"][
        "matrix"
    ]
    assert matrix["python"] == pythons
    for system in ("ubuntu", "macos", "windows", "arm"):
        assert any(system in runner for runner in matrix["system"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_and_permissions_named(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
    content = read(workflow)
    assert content["permissions"] == {}
    for job in content["jobs"].values():
        assert "timeout-minutes" in job and "permissions" in job
    assert "secrets." not in text
