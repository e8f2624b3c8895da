"""What is printed arrives: UTF-8 in pipes, a warning where a character can't be written, and no
escape codes of names and servers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from textwright.cli.app import main
from textwright.errors import printable

CODE = (
    "import sys, typer; from textwright.cli import app as cli\n"
    "@cli.app.command('speak')\n"
    "def speak() -> None: typer.echo('Née — 你好')\n"
    "cli.main(['speak'])"
)


def run(**environment: str) -> subprocess.CompletedProcess[bytes]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONIOENCODING", "PYTHONUTF8")}
    return subprocess.run(
        [sys.executable, "-c", CODE], env={**kept, **environment}, capture_output=True, check=True
    )


def test_pipes_get_utf8_and_what_is_lost_is_said() -> None:
    plain = run(LC_ALL="C", PYTHONCOERCECLOCALE="0")
    assert plain.stdout.decode("utf-8").strip() == "Née — 你好" and plain.stderr == b""
    latin = run(PYTHONIOENCODING="latin-1")
    assert latin.stdout.decode("latin-1").strip() == "Née ? ??"
    assert b"lacks 3 of the characters (U+2014 U+4F60 U+597D" in latin.stderr
    assert b"PYTHONIOENCODING=utf-8" in latin.stderr


@pytest.mark.parametrize("code", ["\x1b[2J", "\u202e"])
def test_no_escape_codes_reach_the_terminal(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = printable(f"a{code}b\nc")
    assert shown.isprintable() and shown.startswith("a") and shown.endswith("b c")
    with pytest.raises(SystemExit) as end:
        main(["train", f"none{code}.txt"])
    text = capsys.readouterr().err
    assert end.value.code == 2 and text.count("\n") == 1 and text.strip().isprintable()
