"""The architecture, read from the source: which room stands on which.

A room is a folder of the package; the files at its top are a room each. Heights are computed from
the imports themselves, also those inside functions and those for types alone, and names that a
package's `__init__` hands on count as imported from where they are defined. That heights exist at
all means that there is no cycle.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from source_trees import parsed

PACKAGE = Path(importlib.util.find_spec("textwright").origin).parent  # type: ignore[union-attr, arg-type]
MODULES = {
    ".".join(("textwright", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
OUTSIDE = {"textwright", "textwright.__main__"}
"""The package's front door, which opens every room when it is asked for."""
MOST_FILES = 12
"""Of a room that was cut by subject. Those below are one subject each, and larger."""
LARGE = {"cli", "data.formats", "publishing", "sagemaker", "serving"}


def room_of(module: str) -> str:
    """The folder a module lies in, dots for slashes; itself where it lies at the top."""
    inside = module.removeprefix("textwright.")
    if MODULES[module].name == "__init__.py":
        return inside
    return inside.rpartition(".")[0] or inside


def tree(module: str) -> ast.Module:
    return parsed(MODULES[module])


def imports(module: str) -> Iterator[tuple[str, str]]:
    """What a module imports, wherever in it: (module, name), with an empty name for all of it."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}: imports are absolute here"
            yield from ((node.module, alias.name) for alias in node.names)


@functools.cache
def handed_on(package: str) -> dict[str, str]:
    """The names that a package's `__init__` hands on, and the modules they come from."""
    if MODULES[package].name != "__init__.py":
        return {}
    return {name: source for source, name in imports(package) if name and source in MODULES}


def home(module: str, name: str) -> str:
    """The module where an imported name is defined, followed through the packages' faces."""
    if f"{module}.{name}" in MODULES:
        return f"{module}.{name}"
    further = handed_on(module).get(name)
    return home(further, name) if further else module


def stands_on() -> dict[str, set[str]]:
    """The modules that each module imports; faces hand names on and stand on nothing."""
    found: dict[str, set[str]] = {}
    for module in MODULES.keys() - OUTSIDE:
        lazy = any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
                   for node in tree(module).body)  # fmt: skip
        targets = set() if lazy else {
            home(source, name) for source, name in imports(module) if source in MODULES
        }  # fmt: skip
        found[module] = targets - OUTSIDE - {module}
    return found


def rooms() -> dict[str, set[str]]:
    """The rooms that each room imports from."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in stands_on().items():
        room = room_of(module)
        found[room] |= {room_of(target) for target in targets} - {room}
    return dict(found)


def heights(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """How high each room stands: one above the highest that it imports from.

    Raises:
        CycleError: there is none, for some import each other.
    """
    found: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        found[room] = 1 + max((found[below] for below in graph.get(room, ())), default=0)
    return found


@pytest.mark.parametrize("graph", [rooms, stands_on], ids=["rooms", "files"])
def test_nothing_imports_in_a_circle(graph: object) -> None:
    assert callable(graph)
    try:
        found = heights(graph())
    except CycleError as error:
        pytest.fail("these import each other: " + " ← ".join(error.args[1]))
    assert found


def test_a_room_holds_one_subject() -> None:
    files: dict[str, int] = defaultdict(int)
    for module, path in MODULES.items():
        if path.name != "__init__.py" and path.parent != PACKAGE:
            files[room_of(module)] += 1
    assert {room: count for room, count in files.items() if count > MOST_FILES}.keys() <= LARGE


def test_every_room_is_introduced() -> None:
    assert [module for module in MODULES if not ast.get_docstring(tree(module))] == []


TORCHLESS = ["arrays", "atomic", "cli", "companion", "configs", "data", "engine", "errors",
             "generation", "kernels", "machine", "reporting", "runs", "runtimes", "serving",
             "tokenizers", "version"]  # fmt: skip
MAY_IMPORT_TORCH = {
    "textwright.cli.train",  # says how to install it
    "textwright.cli.doctor",  # tells about it
    "textwright.runtimes.torch_runtime",  # for families without a runtime of their own
}


@pytest.mark.parametrize("part", TORCHLESS)
def test_torch_stays_where_it_is_needed(part: str) -> None:
    for module in MODULES.keys() - OUTSIDE - MAY_IMPORT_TORCH:
        if module.split(".")[1] == part:
            assert not any(source.split(".")[0] == "torch" for source, _ in imports(module)), module


def test_nothing_is_unpickled() -> None:
    """A run folder may come from anywhere. Others' checkpoints are read as data alone."""
    for module in MODULES:
        names = {source.split(".")[0] for source, _ in imports(module)}
        calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
        loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
        if module == "textwright.publishing.checkpoints":
            assert loads and all("weights_only=True" in ast.unparse(load) for load in loads)
            assert "pickle.load" not in ast.unparse(tree(module))
            continue
        assert names.isdisjoint({"pickle", "dill", "joblib", "shelve", "marshal"}), module
        assert not loads, module


IDEAS = {
    "arrays": "types of arrays",
    "atomic": "writes that are whole or not at all",
    "cli": "the command line",
    "cloud": "what launchers of trainings elsewhere share",
    "companion": "what a run counted in its text, and its mix with the network",
    "configs": "typed settings",
    "data": "a corpus becomes token files, split",
    "data/formats": "how one file reads",
    "data/sources": "where bytes come from",
    "engine": "many texts at once, many models",
    "errors": "what can go wrong",
    "evaluation": "how good a finished model is, and how new what it writes",
    "generation": "one text: prompt, sampling, stopping, stream, chat",
    "jobs": "Hugging Face Jobs",
    "kernels": "the C library and the structures it reads",
    "machine": "cores and memory of this machine or container",
    "models": "the families in torch, a file each",
    "notebook": "how runs, texts and trainings look in a notebook",
    "notebook_display": "by which a class finds how it looks there",
    "page": "the web page, and it as one file",
    "publishing": "exports, imports, the Hub, a Space",
    "reporting": "report, card, comparison",
    "runs": "the run folder: the only code that knows its file names",
    "runtimes": "the families without torch: NumPy and compiled",
    "sagemaker": "Amazon SageMaker",
    "serving": "HTTP",
    "studio": "the page's routes, and its one training process",
    "tokenizers": "text to ids and back",
    "torchrun": "what torchrun tells its workers",
    "training": "request, dataset, recipe, run, trainer",
    "training/loop": "learning what a recipe says",
    "training/optim": "the update of one step",
    "training/planning": "from a request and a text to a recipe",
    "version": "which version this is",
}
"""What each room is for, in a line."""


def picture() -> str:
    """The rooms with their heights, the highest first."""
    graph = rooms()
    height = heights(graph)
    lines = []
    for room in sorted(graph, key=lambda room: (-height[room], room)):
        name = room.replace(".", "/")
        lines.append(f"{height[room]:2}  {name:18} {IDEAS[name]}")
    return "\n".join(lines)


def test_the_pages_show_the_rooms_as_they_are() -> None:
    root = Path(__file__).resolve().parents[2]
    assert picture() in (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    contributing = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in IDEAS if f"\n{name} " not in contributing] == []


if __name__ == "__main__":  # the picture of docs/architecture.md
    print(picture())
