"""The notebook's offline parts run from start to end, as a person without an account runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

import textwright

NOTEBOOK = Path(__file__).parents[2] / "examples" / "sagemaker.ipynb"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # jupyter's own
]


def test_the_notebook_runs_from_start_to_end_without_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the package nbformat")
    nbclient = pytest.importorskip("nbclient", reason="needs the package nbclient")
    pytest.importorskip("ipykernel", reason="needs the package ipykernel")
    monkeypatch.setenv("REHEARSAL_STEPS", "6")
    for name in ("TEXTWRIGHT_SAGEMAKER", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=1000, resources=place).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert "val_loss" in printed and "trained" in printed
    assert "ping 200" in printed and "server ended with 0" in printed
    assert '"res_text": "the' in printed.replace('":"', '": "') and "data: [DONE]" in printed
    assert "sagemaker CreateTrainingJob" in printed and "sagemaker DeleteModel" in printed
    assert "nothing was sent" in printed
    html = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    assert any("svg" in each for each in html) and any("1 in 256" in each for each in html)
    model = tmp_path / "sagemaker-rehearsal" / "ml" / "model"
    assert textwright.load(model).generate("the", max_tokens=5, seed=1).tokens
