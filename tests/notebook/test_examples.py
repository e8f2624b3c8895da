"""The lesson runs from start to end, as a class runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

LESSON = Path(__file__).resolve().parents[2] / "examples" / "lesson.ipynb"
pytestmark = pytest.mark.filterwarnings("default")  # jupyter's own


@pytest.mark.slow
def test_the_lesson_runs_from_start_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the package nbformat")
    nbclient = pytest.importorskip("nbclient", reason="needs the package nbclient")
    pytest.importorskip("ipykernel", reason="needs the package ipykernel")
    monkeypatch.setenv("LESSON_MINUTES", "0.06")
    monkeypatch.setenv("TEXTWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEXTWRIGHT_RUNS", raising=False)
    notebook = nbformat.read(LESSON, 4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=1000, resources=place).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    for words in ("after 'q'", "n = 8", "bits a character, the network", "stands in our text"):
        assert words in printed
    html = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    assert sum("1 in 256" in each for each in html) == 2 and any("srcdoc" in each for each in html)
    assert (tmp_path / "our-model.html").stat().st_size > 100_000
