"""The command line as a whole: what the pages list is what there is; help loads next to nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import typer
from pages import PAGES, ROOT, first_column, prose, section

from textwright.cli.app import app


def leaves(command: Any, path: str = "textwright") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it."""
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name, child in children.items():
        yield from leaves(child, f"{path} {name}")


COMMANDS = dict(leaves(typer.main.get_command(app)))


def options(command: Any) -> set[str]:
    """The spellings of its options; `--help` is everywhere."""
    return {
        spelling
        for parameter in command.params
        if parameter.param_type_name == "option"
        for spelling in parameter.opts
    } - {"--help", "-h"}


@pytest.mark.parametrize("path", COMMANDS)
def test_the_page_lists_every_option_and_no_other(path: str) -> None:
    listed = first_column(section(ROOT / "docs" / "cli.md", path))
    assert len(listed) == len(set(listed))
    assert set(listed) == options(COMMANDS[path])


def test_the_page_lists_every_command_and_no_other() -> None:
    titles = re.findall(r"^## (textwright .*)$", (ROOT / "docs" / "cli.md").read_text(), flags=re.M)
    assert sorted(titles) == sorted(COMMANDS)


def test_the_first_table_has_every_command_and_group() -> None:
    head = (ROOT / "docs" / "cli.md").read_text().partition("\n## ")[0]
    listed = re.findall(r"^\| \[`textwright ([\w-]+)`\]", head, flags=re.M)
    assert sorted(listed) == sorted({path.split()[1] for path in COMMANDS})


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_says_what_it_does(path: str) -> None:
    for parameter in COMMANDS[path].params:
        # Only what its name says all about may go without.
        assert getattr(parameter, "help", "") or parameter.name in ("corpus",), parameter.name


def test_options_named_in_prose_exist() -> None:
    known = {"--debug", "--version", "--help"}.union(*map(options, COMMANDS.values()))
    for page in PAGES:
        for span in re.findall(r"`(--[a-z][^`]*)`", prose(page)):
            for option in re.findall(r"--[a-z][a-z-]*", span):
                assert option in known, f"{page.relative_to(ROOT)}: `{span}`"


HELP = """
import contextlib, functools, io, json, sys
known = set(sys.modules)
import typer.main
from textwright.cli.app import main
typer.main.get_command = functools.cache(typer.main.get_command)  # else made anew for each
loaded = []
for words in json.loads(sys.argv[1]):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    assert "Usage" in shown.getvalue(), words
    loaded.append(sorted(set(sys.modules) - known))
    known.update(sys.modules)
print(json.dumps(loaded))
"""
LIGHT = {"typer", "click", "shellingham", "annotated_doc", "typing_extensions", "colorama"}
LIGHT |= {"rich", "markdown_it", "mdurl", "pygments", "attr"}
"""What typer needs, and rich, in which it prints and which looks for attrs."""
SLOW = {"asyncio", "http", "ssl", "multiprocessing", "xml", "unittest", "sqlite3"}
"""Of Python's own, what takes long to import and nothing here needs."""
HEAVY = {"torch", "transformers", "tensorboard"}


def loaded_by_help(commands: Sequence[Sequence[str]]) -> list[set[str]]:
    """The modules that each adds to those of the ones before it, when they explain themselves."""
    done = subprocess.run(
        [sys.executable, "-c", HELP, json.dumps(commands)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [set(modules) for modules in json.loads(done.stdout)]


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_help_loads_the_command_line_and_what_prints_it() -> None:
    """So it answers at once on any machine."""
    (modules,) = loaded_by_help([[]])
    loaded = packages(modules)
    assert loaded - sys.stdlib_module_names <= {"textwright", *LIGHT}
    assert loaded.isdisjoint(SLOW)
    own = {name.split(".")[1] for name in modules if name.startswith("textwright.")}
    assert own <= {"cli", "errors"}


def test_help_of_a_command_loads_nothing_heavy() -> None:
    loaded = loaded_by_help([path.split()[1:] for path in COMMANDS])
    for path, modules in zip(COMMANDS, loaded, strict=True):
        assert packages(modules).isdisjoint(HEAVY), path
