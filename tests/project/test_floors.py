"""The architecture, read from the source: who may import whom."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(importlib.util.find_spec("textwright").origin).parent  # type: ignore[union-attr, arg-type]

FLOORS = [
    {"errors", "atomic", "configs", "machine", "version"},
    {"runs"},
    {"corpora", "tokenizers"},
    {"models"},
    {"generation", "reporting"},
    {"training", "page", "serving"},
    {"publishing", "sagemaker", "studio"},
    {"cli"},
]
"""From the ground up; a part imports only from floors below its own, and from itself."""

NEIGHBOURS = {("atomic", "errors"), ("configs", "errors")}
"""Within a floor, who may stand on whom all the same."""

OUTSIDE = {"__init__", "__main__"}
"""The package's front door, which opens every floor when it is asked for."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: Path) -> str:
    """The floor's part that a file belongs to: `generation/stream.py` → `generation`."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(part: str) -> int:
    """How high a part stands."""
    return next(height for height, parts in enumerate(FLOORS) if part in parts)


def imports(module: Path) -> Iterator[str]:
    """The dotted name of everything a file imports, wherever in it: also when it is first used."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute here"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def parts_imported(module: Path) -> set[str]:
    """The parts of textwright that a file imports."""
    names = (name.split(".") for name in imports(module))
    return {name[1] for name in names if name[0] == "textwright" and len(name) > 1}


def test_every_part_has_a_floor() -> None:
    parts = {part_of(module) for module in MODULES} - OUTSIDE
    assert parts == set().union(*FLOORS)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_below(module: Path) -> None:
    own = part_of(module)
    if own in OUTSIDE:
        return
    for part in parts_imported(module) - {own, "__version__"}:
        below = floor(part) < floor(own) or (own, part) in NEIGHBOURS
        assert below, f"{own} may not import textwright.{part}"


@pytest.mark.parametrize("part", ["errors", "atomic", "configs", "runs", "corpora", "tokenizers",
                                  "generation", "reporting", "serving", "cli"])  # fmt: skip
def test_torch_stays_where_it_is_needed(part: str) -> None:
    allowed = {
        "cli/train.py",  # says how to install it
        "cli/doctor.py",  # tells about it
    }
    for module in MODULES:
        if part_of(module) == part and str(module.relative_to(PACKAGE)) not in allowed:
            assert not any(name.split(".")[0] == "torch" for name in imports(module)), module


GENERATE = """
import sys
sys.modules["torch"] = None  # importing it fails
import textwright
model = textwright.load(sys.argv[1])
assert model.generate("The ", max_tokens=5, seed=1).tokens
assert model.explain("The end")
assert model.chat(seed=1).say("Hello!") is not None
"""


def test_generating_works_where_torch_cannot_be_imported(text_file: Path) -> None:
    import textwright

    run = textwright.train(text_file, model="gpt", size="nano", steps=1)
    subprocess.run([sys.executable, "-c", GENERATE, str(run.path)], check=True)


def test_nothing_is_unpickled() -> None:
    """A run folder may come from anywhere. Others' checkpoints are read as data alone."""
    for module in MODULES:
        names = {name.split(".")[0] for name in imports(module)}
        tree = ast.parse(module.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
        if str(module.relative_to(PACKAGE)) == "publishing/checkpoints.py":
            assert loads and all("weights_only=True" in ast.unparse(load) for load in loads)
            assert "pickle.load" not in ast.unparse(tree)
            continue
        assert names.isdisjoint({"pickle", "dill", "joblib", "shelve", "marshal"}), module
        assert not loads, module
