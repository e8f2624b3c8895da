"""The project's files: links lead somewhere, versions are pinned, nothing of a machine is left."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pages import PAGES, ROOT, blocks, prose

FOLDERS = (".ci", ".github", "benchmarks", "docs", "examples", "recipes", "release", "src", "tests")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def project_files() -> Iterator[Path]:
    """The project's own files, whether or not this copy of it is a git checkout."""
    for entry in ROOT.iterdir():
        if entry.is_file() and entry.name != ".git":  # a file where a checkout shares another's
            yield entry
    for folder in FOLDERS:
        for entry in (ROOT / folder).rglob("*"):
            if entry.is_file() and "__pycache__" not in entry.parts:
                yield entry


def anchors(page: Path) -> set[str]:
    """What a link may point to in a page: its headings, spelled as the web spells them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_named_in_a_page_are_there(page: Path) -> None:
    for name in re.findall(rf"`((?:{'|'.join(FOLDERS[1:])})/[\w/.-]+)`", prose(page)):
        assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_every_topic_is_on_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_nothing_of_a_machine_is_left() -> None:
    """No path that exists on one machine only, no address that packages come from."""
    foreign = re.compile(
        rb"(?<![\w.])/(?:work|root|Users)/\w|(?:files|index)[.]python|index[-]url|python[h]osted"
    )
    for file in project_files():
        found = foreign.search(file.read_bytes()) if file != Path(__file__).resolve() else None
        assert not found, f"{file.relative_to(ROOT)}: {found and found[0]}"


def pins() -> dict[str, Requirement]:
    """`constraints.txt` by package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    names = [canonicalize_name(pin.name) for pin in found]
    assert names == sorted(set(names)), "constraints.txt is in order, each package once"
    return dict(zip(names, found, strict=True))


def requirements() -> list[Requirement]:
    """Of the project and all its extras."""
    asked = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    found = map(Requirement, asked)
    return [requirement for requirement in found if requirement.name != "textwright"]


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    pinned = pins()
    for requirement in requirements():
        (pin,) = pinned[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "==" and requirement.specifier.contains(pin.version), requirement


def test_what_is_installed_here_is_pinned() -> None:
    """All that the project's requirements bring along, as far as this environment has it."""
    from importlib import metadata

    pinned, seen = pins(), set[str]()
    waiting = [(canonicalize_name(asked.name), asked.extras | {""}) for asked in requirements()]
    while waiting:
        name, extras = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name in pinned, f"{name} is needed and not pinned in constraints.txt"
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # an extra that isn't installed
        if not pinned[name].specifier.contains(distribution.version):
            continue  # another version may need other packages
        for line in distribution.requires or []:
            requirement = Requirement(line)
            if re.match(r"nvidia-|cuda-|triton", requirement.name):
                continue  # torch's build for CUDA pins what it is built with
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append((canonicalize_name(requirement.name), requirement.extras | {""}))


def test_extras_that_name_extras_name_some_of_this_project() -> None:
    for asked in PROJECT["optional-dependencies"].values():
        for requirement in map(Requirement, asked):
            if requirement.name == "textwright":
                assert requirement.extras <= PROJECT["optional-dependencies"].keys()


def test_all_brings_every_extra_but_those_for_developers() -> None:
    extras = PROJECT["optional-dependencies"]
    (requirement,) = map(Requirement, extras["all"])
    assert requirement.extras == extras.keys() - {"all", "dev", "peers", "release"}


def test_torch_is_the_version_whose_results_the_pages_show() -> None:
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_the_change_log_has_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", changes, flags=re.M)


def test_the_first_screen_is_two_commands() -> None:
    """One that trains and generates, one that tests; `.ci/run` finds them by how they begin."""
    readme = ROOT / "README.md"
    commands = [block for block in blocks(readme) if block.text.startswith("python3 -m venv")]
    assert [block.text.count("\n") for block in commands] == [1, 1]
    assert all("-c constraints.txt" in block.text for block in commands)
    assert "textwright train" in commands[0].text and "pytest" in commands[1].text
    assert commands[1].line <= 24
