"""Commands in this process, which has imported all that they need: no seconds for each."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import typer.main
import typer.testing

from textwright.cli import app

# What the command line is doesn't change while tests run: made once, not for 80 ms a call
typer.main.get_command = typer.testing._get_command = functools.cache(typer.main.get_command)


@dataclass
class Ended:
    """What a command left."""

    stdout: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("train", ..., code=0)`: as `textwright train` would."""

    def call(*words: object, code: int = 0) -> Ended:
        logging.getLogger("textwright").handlers.clear()
        with pytest.raises(SystemExit) as end:
            app.main([str(word) for word in words])
        ended = Ended(*capsys.readouterr())
        assert end.value.code == code, ended.stderr
        return ended

    return call
