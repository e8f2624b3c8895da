"""A training that a notebook shows while it runs, in a real kernel."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import textwright
from textwright.training import Observer

CELL = """
import textwright as tw
run = tw.train({text!r}, model="lstm", size="nano", steps=6, eval_every=2, name="live",
               changes=["training.batch_size=2"])
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # jupyter's own
def test_one_display_that_stays(tmp_path: Path, text_file: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the package nbformat")
    nbclient = pytest.importorskip("nbclient", reason="needs the package nbclient")
    pytest.importorskip("ipykernel", reason="needs the package ipykernel")
    cells = [CELL.format(text=str(text_file)), "run"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    shown: list[str] = []

    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    process = client.process_message

    def note(message: dict[str, object], *rest: object) -> object:
        if message["msg_type"] in ("display_data", "update_display_data"):
            content: dict[str, dict[str, str]] = message["content"]  # type: ignore[assignment]
            shown.append(content["data"]["text/html"])
        return process(message, *rest)

    client.process_message = note
    client.execute()
    assert len(shown) >= 4  # it moved
    assert any("step" in html and "left" in html for html in shown)
    (output,) = [each for each in notebook.cells[0].outputs if each.output_type == "display_data"]
    assert "bits a character" in output.data["text/html"] and "svg" in output.data["text/html"]
    assert "bits a character" in output.data["text/plain"]
    assert "left" not in output.data["text/plain"]  # it is over
    assert "live" in notebook.cells[1].outputs[0].data["text/html"]


@pytest.mark.parametrize(
    ("interactive", "asked", "lines"), [(True, {}, 3), (True, {"observers": []}, 0), (False, {}, 0)]
)
def test_a_prompt_gets_lines_and_a_program_nothing(
    interactive: bool,
    asked: dict[str, list[Observer]],
    lines: int,
    tmp_path: Path,
    text_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if interactive:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    textwright.train(
        text_file, model="rnn", size="nano", steps=2, eval_every=1, runs_folder=tmp_path,
        changes=["training.batch_size=2", "model.hidden_size=16"], companion="off", **asked,
    )  # fmt: skip
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(re.findall(r"^step \d", printed.err, re.M)) == lines
