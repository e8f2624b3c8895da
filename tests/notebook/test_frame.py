"""A page in a cell takes the notebook's theme, by whatever a front end marks it with."""

from __future__ import annotations

from typing import Any

import pytest

from textwright.notebook.playing import Frame

PAGE = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><p></p><script>
const dark = matchMedia("(prefers-color-scheme: dark)");
const tell = () => { document.querySelector("p").textContent = dark.matches ? "dark" : "light" };
dark.addEventListener("change", tell);
tell();
</script>"""
MARKS = [
    ("", "light"),  # the system's
    ("data-jp-theme-light=false", "dark"),
    ("data-jp-theme-light=true", "light"),
    ("theme=dark", "dark"),
    ("theme=light", "light"),
    ("class=vscode-dark", "dark"),
    ("class=vscode-light", "light"),
    ("class=vscode-high-contrast", "dark"),
    ('class="vscode-high-contrast vscode-high-contrast-light"', "light"),
]


@pytest.mark.slow
def test_the_page_inside_takes_the_theme_around_it(browser: Any) -> None:
    from playwright.sync_api import expect

    html = Frame(PAGE, "a")._repr_html_()
    # a colour scheme of the test's would be that of the frame, too
    tab = browser.new_page(color_scheme="null")
    for mark, expected in MARKS:
        for scheme in ("light", "dark"):  # of what lies around: the mark is what counts
            if mark or scheme == "light":
                tab.set_content(f'<body {mark}><div style="color-scheme:{scheme}">{html}</div>')
                inside = tab.frame_locator("iframe").locator("p")
                expect(inside).to_have_text(expected, timeout=60_000)
