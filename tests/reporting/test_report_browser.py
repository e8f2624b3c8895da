"""report.html in a real browser: nothing fetched, nothing complained of, nothing cut off.

Needs the `playwright` package and a Chromium of the system (`apt-get install chromium`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_runs import curve, evaluations, make_run, sample_text

from textwright.reporting import write_report

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the PATH: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module", name="report")
def _report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that is wide: long names, long lines, many evaluations, markup."""
    steps = range(0, 6001, 200)
    validation = [curve(step, 1.45) + max(0, step - 2400) * 6e-5 for step in steps]
    records = evaluations(steps, validation, [curve(step, 0.9) for step in steps], 6000)
    samples = [
        {"step": record["step"], "prompt": "<img src=x onerror=alert(1)>",
         "text": sample_text(index // 4) + "w" * 300}
        for index, record in enumerate(records)
    ]  # fmt: skip
    run = make_run(
        tmp_path_factory.mktemp("runs"),
        "a-name-that-is-" + "very-" * 15 + "long",
        records=records,
        samples=samples,
        total=6000,
        changes={
            "corpus": {"sources": ["/" + "deep/" * 60 + "novel.txt"]},
            "data": {"warnings": ["w" * 200]},
        },
    )
    return write_report(run)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_opens_clean(browser: Any, report: Path, scheme: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".strip article").count() == 31
    assert page.locator("article img").count() == 0
    shown = [chart for chart in page.locator("figure svg").all() if chart.is_visible()]
    assert len(shown) == 3
    assert all(chart.bounding_box()["width"] <= width for chart in shown)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(247, 245, 241)", "dark": "rgb(23, 22, 21)"}[scheme]
    read = "text => getComputedStyle(text).fill"
    ink = page.locator("figure svg text").first.evaluate(read)
    assert ink == {"light": "rgb(109, 103, 93)", "dark": "rgb(164, 157, 144)"}[scheme]
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(browser: Any, report: Path, scheme: str) -> None:
    """Every colour of text stands out from what is behind it: WCAG AA, 4.5 to 1."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    page.evaluate("window.style = getComputedStyle(document.documentElement)")
    names = ("--ground", "--panel", "--ink", "--quiet", "--best", "--care")
    read = "name => style.getPropertyValue(name).trim()"
    colours = {name: page.evaluate(read, name) for name in names}
    for name in ("--ink", "--quiet", "--best", "--care"):
        for behind in ("--ground", "--panel"):
            assert contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
    page.close()


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_one_click_selects_the_command(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.locator("pre.command").first.click()
    selected = page.evaluate("getSelection().toString()")
    assert selected.strip() == "textwright train shakespeare --model gpt --minutes 3"
    page.close()
