"""The Gradio app, and the Space around it in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_stand_in import hub_stand_in

import textwright
from textwright import runs
from textwright.publishing import push

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # gradio's own
]


@pytest.fixture(scope="module", autouse=True)
def _gradio(nothing_left_open: None) -> None:
    pytest.importorskip("gradio", reason="needs the package gradio")


def client_of(url: str, **options: Any) -> Any:
    """A client of an app, Gradio's own."""
    import gradio_client

    return gradio_client.Client(url, **options)


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    app = textwright.gradio_app("shakespeare")
    app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield app
    app.close()


def test_a_client_gets_the_text_as_it_is_written(app: Any) -> None:
    client = client_of(app.local_url, verbose=False)
    job = client.submit("ROMEO:", 80, 0.0, None, api_name="/generate")
    text = job.result(timeout=200)
    expected = textwright.load("shakespeare").generate("ROMEO:", max_tokens=80, temperature=0)
    assert text == str(expected)
    pieces = job.outputs()
    assert len(pieces) > 5 and all(text.startswith(piece) for piece in pieces)
    only = client.predict("ROMEO:", 20, 1.0, 1, api_name="/generate")
    assert str(expected).startswith(only)  # the likeliest of one
    endpoint = client.view_api(return_format="dict")["named_endpoints"]["/generate"]
    defaults = {one["parameter_name"]: one["parameter_default"] for one in endpoint["parameters"]
                if one["parameter_has_default"]}  # fmt: skip
    assert defaults == {"seed_text": "", "max_tokens": 100, "temperature": 0.7, "top_n": 0}
    assert client.predict("ROMEO:", max_tokens=5, api_name="/generate").startswith("ROMEO:")
    assert len(client.predict(api_name="/generate")) > 50


def test_stopping_one_leaves_the_others(app: Any) -> None:
    clients = [client_of(app.local_url, verbose=False) for _ in range(2)]
    jobs = [client.submit("KING", 1500, 0.7, None, api_name="/generate") for client in clients]
    deadline = time.monotonic() + 200
    while not all(job.outputs() for job in jobs) and time.monotonic() < deadline:
        time.sleep(0.02)
    jobs[0].cancel()
    assert len(jobs[1].result(timeout=200)) > 1000


def test_analytics_are_off_and_mistakes_are_one_line(app: Any) -> None:
    assert app.analytics_enabled is False and os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    client = client_of(app.local_url, verbose=False)
    with pytest.raises(Exception, match="less than minimum"):
        client.predict("A", 5, -1.0, None, api_name="/generate")


def test_a_space_in_an_environment_of_its_own(built_wheel: Path, tmp_path: Path) -> None:
    wheel = built_wheel
    run = runs.find("shakespeare")
    folders = push(run, "ann/bard", space="ann/bard-app", dry_run=tmp_path / "hub", wheel=wheel)
    model, space = map(Path, folders)
    front = yaml.safe_load((space / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert front["sdk"] == "gradio" and front["sdk_version"] == metadata.version("gradio")
    assert front["app_file"] == "app.py" and front["models"] == ["ann/bard"]
    requirements = (space / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert requirements[1].endswith(f"/spaces/ann/bard-app/resolve/main/{wheel.name}")
    assert all("==" in line for line in requirements[2:])
    with hub_stand_in() as hub:
        for kind, name, folder in (("model", "ann/bard", model), ("space", "ann/bard-app", space)):
            hub.repositories[kind, name] = {p.name: p.read_bytes() for p in folder.iterdir()}
        address = (
            (space / "requirements.txt").read_text().replace("https://huggingface.co", hub.endpoint)
        )
        (space / "requirements.txt").write_text(address)
        python = tmp_path / "venv" / "bin" / "python"
        empty = [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"]
        subprocess.run(empty, check=True)
        pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
        _lend(space / "requirements.txt", python.parents[1])
        install = [*pip, "install", "-q", "--no-compile", "-r", "requirements.txt"]
        subprocess.run(install, cwd=space, check=True)
        port = "7871"
        own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"),
               "GRADIO_SERVER_PORT": port, "PYTHONPATH": ""}  # fmt: skip
        log = (tmp_path / "space.log").open("wb")
        process = subprocess.Popen(
            [python, "app.py"], cwd=space, env=_without_hub_settings() | own,
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _drive(f"http://127.0.0.1:{port}", process, tmp_path)
        finally:
            process.terminate()
            process.wait(timeout=200)
            log.close()


def _lend(requirements: Path, environment: Path) -> None:
    """Put in what is pinned and lies here, and no more; pip looks at all of it and adds the rest.

    For pip to unpack it all once more takes half a minute.
    """
    (site,) = environment.glob("lib/python*/site-packages")
    for line in requirements.read_text(encoding="utf-8").splitlines():
        name, pinned, version = line.partition("==")
        if not pinned:
            continue
        lent = metadata.distribution(name)
        assert lent.version == version
        for file in lent.files or ():
            here, there = Path(str(lent.locate_file(file))), site / file
            if ".." not in file.parts and here.is_file() and not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(here, there)  # with what Python compiled, which goes by the time


def _without_hub_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HF_")}


def _drive(url: str, process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Generate through the client, then in the browser; leaves a screenshot."""
    client, deadline = None, time.monotonic() + 200
    while client is None:
        assert process.poll() is None, (tmp_path / "space.log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "space.log").read_text()
        try:
            client = client_of(url, verbose=False)
        except Exception:
            time.sleep(0.5)
    text = client.predict("ROMEO:", 40, 0.0, None, api_name="/generate")
    expected = textwright.load("shakespeare").generate("ROMEO:", max_tokens=40, temperature=0)
    assert text == str(expected)
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium in the PATH")
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 700})
        page.set_default_timeout(200_000)
        page.goto(url)
        page.get_by_label("Seed text").fill("JULIET:")
        page.get_by_role("button", name="Write").click()
        box = page.locator("#text textarea")
        until = time.monotonic() + 200
        while len(box.input_value()) < 100 and time.monotonic() < until:
            time.sleep(0.1)
        assert box.input_value().startswith("JULIET:") and len(box.input_value()) > 100
        shot = os.environ.get("TEXTWRIGHT_SCREENSHOT") or tmp_path / "space.png"
        page.screenshot(path=str(shot))
        browser.close()
