"""The notebook runs from start to end, as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

import textwright

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "quickstart.ipynb"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("nothing_left_open"),
    pytest.mark.filterwarnings("default"),  # jupyter's own
]


def test_the_notebook_runs_from_start_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the package nbformat")
    nbclient = pytest.importorskip("nbclient", reason="needs the package nbclient")
    for package in ("ipykernel", "gradio"):
        pytest.importorskip(package, reason=f"needs the package {package}")
    monkeypatch.setenv("QUICKSTART_MINUTES", "0.06")
    monkeypatch.setenv("TEXTWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEXTWRIGHT_RUNS", raising=False)
    notebook = nbformat.read(NOTEBOOK, 4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=1000, resources=place).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert "largest difference" in printed and "--- step 0" in printed
    assert "README.md" in printed and "model.safetensors" in printed
    shown = [output["data"] for output in outputs if "data" in output]
    html = [data.get("text/html", "") for data in shown]
    assert any("svg" in each and "bits a character" in each for each in html)  # the training
    assert sum("1 in 256" in each for each in html) == 2  # coloured by surprise
    assert any("srcdoc" in each for each in html)  # the page
    assert any("127.0.0.1" in each for each in html)  # the app, inside
    (run,) = (tmp_path / "runs").iterdir()
    assert textwright.load(run).generate("The", max_tokens=5, seed=1).tokens
    assert (tmp_path / "hub" / "user" / "my-first-model" / "README.md").is_file()


def test_the_notebook_is_light_and_without_outputs() -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the package nbformat")
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    assert NOTEBOOK.stat().st_size < 200_000
    assert not any(cell.get("outputs") for cell in notebook.cells)
