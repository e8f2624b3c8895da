"""The command line as a whole: what the pages list is what there is, and it answers at once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
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
import json, sys
from textwright.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""
HEAVY = {"torch", "transformers", "matplotlib", "tensorboard"}
NOT_LIGHT = {"numpy", "pydantic", "tokenizers", "jinja2", "huggingface_hub", "safetensors"}


def loaded_by_help(*words: str) -> set[str]:
    """The packages that are imported when a command explains itself."""
    done = subprocess.run(
        [sys.executable, "-c", HELP, *words, "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage" in done.stdout
    return set(json.loads(done.stderr))


def test_help_loads_nothing_but_itself() -> None:
    assert loaded_by_help().isdisjoint(HEAVY | NOT_LIGHT)


@pytest.mark.parametrize("path", COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(path: str) -> None:
    assert loaded_by_help(*path.split()[1:]).isdisjoint(HEAVY)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="CPU times of a child are POSIX's")
def test_help_answers_at_once() -> None:
    """In less than 0.3 s of CPU time; the best of a few, for a busy machine wastes some."""
    times = []
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-m", "textwright", "--help"], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        times.append(usage.ru_utime + usage.ru_stime)
        if times[-1] < 0.3:
            return
    pytest.fail(f"--help took {min(times):.2f} s of CPU time at best")
