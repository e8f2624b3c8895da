"""JupyterLab in a real browser, light and dark: the cells run there, and what they show is seen."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PICTURES = os.environ.get("TEXTWRIGHT_PICTURES")
"""A folder that gets a picture of each theme, for whoever wants to look."""

CELLS = [
    "import textwright as tw\n"
    'options = {"steps": 30, "eval_every": 5, "lowercase": True,'
    ' "changes": ["training.batch_size=2"]}\n'
    'run = tw.train("prose.txt", model="lstm", size="nano", name="one", **options)',
    'model = tw.load("shakespeare")\n'
    'model.generate("ROMEO:\\n", max_tokens=60, seed=1, logprobs=4)',
    "from textwright.training import Observer\n"
    'other = tw.train("prose.txt", model="rnn", name="two", observers=[Observer()], **options)\n'
    "tw.compare(run, other)",
    'model.explain("To be, or not to be, that is the question.")',
    'dialogue = tw.load("chat").chat(seed=12, max_tokens=60)\n'
    'for words in ("Hi! Do you like movies?", "Which one did you see last?"):\n'
    "    dialogue.say(words)\n"
    "dialogue",
    "run",
    "model.play()",
]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # jupyter's own

LUMINANCE = """element => {
  // over what lies behind it, whatever is transparent left out
  const solid = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor.match(/[\\d.]+/g);
      const [r, g, b, alpha] = colour.map(Number);
      if (alpha === undefined || alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const linear = (byte) =>
    byte <= 10 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ink = getComputedStyle(element).color.match(/[\\d.]+/g).map(Number);
  const [low, high] = [light(solid(element)), light(ink)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""
"""The contrast of an element's text, as WCAG 2.2 computes it."""


@pytest.fixture
def lab(tmp_path: Path, text_file: Path) -> Iterator[str]:
    """The address of a notebook in a JupyterLab, beside the text."""
    assert text_file == tmp_path / "prose.txt"
    pytest.importorskip("jupyterlab", reason="needs the package jupyterlab")
    nbformat = pytest.importorskip("nbformat", reason="needs the package nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(notebook, tmp_path / "shown.ipynb")
    settings = tmp_path / "settings"
    for name, value in (
        ("apputils-extension/themes", {"theme": "JupyterLab Light"}),
        ("apputils-extension/notification", {"fetchNews": "false"}),
        ("notebook-extension/tracker", {"windowingMode": "none"}),  # draws all cells, seen or not
    ):
        file = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={tmp_path}",
    ]  # fmt: skip
    environment = {
        **os.environ, "HOME": str(tmp_path / "home"), "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "TEXTWRIGHT_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    environment.pop("TEXTWRIGHT_RUNS", None)
    log = (tmp_path / "lab.log").open("w")
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=log, stderr=log, cwd=tmp_path
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert process.poll() is None, (tmp_path / "lab.log").read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/shown.ipynb?reset"
    finally:
        process.send_signal(signal.SIGTERM)  # ends the kernels, too
        process.wait(60)
        log.close()


def test_what_the_cells_show_is_seen_in_both_themes(lab: str, browser: Any) -> None:
    from playwright.sync_api import expect

    # without a colour scheme of the test's, which would be that of the frame, too
    tab = browser.new_page(viewport={"width": 1100, "height": 3320}, color_scheme="null")
    tab.set_default_timeout(200_000)
    tab.goto(lab)
    tab.locator(".jp-CodeCell").nth(len(CELLS) - 1).wait_for()
    # what is run before the kernel is there may be lost
    tab.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
    tab.keyboard.press("Control+b")  # without the list of files
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.get_by_text("Run All Cells", exact=True).click()
    cells = tab.locator(".jp-CodeCell")
    errors = tab.locator(".jp-OutputArea-output").filter(has_text="Traceback")
    tab.locator("iframe[title=shakespeare]").or_(errors.first).wait_for()
    assert errors.all_inner_texts() == []
    frame = tab.frame_locator("iframe[title=shakespeare]")
    frame.get_by_role("heading").first.wait_for()
    shown = [cell.locator(".jp-RenderedHTMLCommon") for cell in cells.all()]
    assert [each.count() for each in shown] == [1] * len(CELLS)
    trained, text, comparison, explained, dialogue, run, _ = shown
    assert "bits a character" in trained.inner_text() and trained.locator("svg").is_visible()
    tokens = text.locator("span[title]")
    assert tokens.count() == 60 and "likeliest" in tokens.nth(0).get_attribute("title")
    assert "1 in 256" in text.inner_text() and "1 in 256" in explained.inner_text()
    assert comparison.locator("svg").is_visible() and run.locator("svg").is_visible()
    assert dialogue.locator("b").all_inner_texts() == ["user", "assistant"] * 2
    ground = {"Light": "rgb(247, 245, 241)", "Dark": "rgb(23, 22, 21)"}
    for theme, is_light in (("Light", "true"), ("Dark", "false")):
        if theme == "Dark":
            tab.get_by_role("menuitem", name="Settings", exact=True).click()
            tab.locator(".lm-Menu-itemLabel").get_by_text("Theme", exact=True).hover()
            tab.get_by_text("JupyterLab Dark", exact=True).click()
        tab.wait_for_selector(f'body[data-jp-theme-light="{is_light}"]', state="attached")
        body = expect(frame.locator("body"))
        body.to_have_css("background-color", ground[theme], timeout=200_000)
        for element in (
            trained.locator("b").first, tokens.nth(5), comparison.locator("td").first,
            explained.locator("span[title]").first, dialogue.locator("b").first,
            run.locator("td").first,
        ):  # fmt: skip
            assert element.evaluate(LUMINANCE) > 4.5, theme
        if PICTURES:
            tab.screenshot(path=str(Path(PICTURES) / f"jupyterlab-{theme.lower()}.png"))
