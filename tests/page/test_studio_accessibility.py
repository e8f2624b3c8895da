"""What axe-core finds in every part of the page: nothing, on a desktop and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import Watch
from studios import EXAMPLES, Studio, choose, finished, ready, token, write

from textwright.page import write_offline_page

pytestmark = pytest.mark.slow

LOOKS = {"desktop": (1280, 860, "light"), "phone": (390, 844, "dark")}
"""A theme each: but for colours, which `test_contrast.py` has in both, they are the same."""
HELPS = "[...document.querySelectorAll('.view:not([hidden]) .help')].forEach((one) => one.click())"
FOUND = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, html }) => `${id}: ${target} ${html.slice(0, 200)}`));
}"""


def findings(tab: Any, *looks: str) -> list[str]:
    """Each once, with the first of some `LOOKS`, or of all, that it was found in."""
    tab.wait_for_selector(".die.stale", state="detached")
    axe = pytest.importorskip("axe_playwright_python.base", reason="needs axe-playwright-python")
    tab.evaluate(axe.AXE_SCRIPT)
    found: dict[str, str] = {}
    for look in looks or LOOKS:
        width, height, theme = LOOKS[look]
        tab.set_viewport_size({"width": width, "height": height})
        tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for one in tab.evaluate(FOUND):
            found.setdefault(one, look)
    tab.set_viewport_size({"width": 1280, "height": 860})
    return [f"{where}: {one}" for one, where in found.items()]


def test_every_part_with_its_example(tab: Any, watch: Watch, studio: Studio) -> None:
    for part, shown in EXAMPLES.items():
        tab.goto(f"{studio.page}#{part}")
        tab.locator(shown).first.wait_for()
        assert findings(tab) == [], part
        said = [line for line in watch.said if "500" not in line]  # the training text isn't here
        assert said == [], part


def test_writing_with_all_that_opens(tab: Any, watch: Watch, studio: Studio) -> None:
    tab.goto(f"{studio.page}#write/shakespeare")
    finished(tab)
    assert findings(tab) == []
    write(tab, "ROMEO", Length=60)
    choose(tab, 20)
    tab.get_by_role("button", name="Understood").click()
    tab.evaluate(HELPS)
    tab.evaluate("document.querySelector('details.more').open = true")
    assert findings(tab, "desktop") == []
    tab.evaluate(HELPS)
    tab.evaluate("document.querySelector('details.more').open = false")
    token(tab, 30)
    tab.wait_for_selector(".popover .row")
    assert findings(tab, "desktop") == []
    assert watch.said == []


def test_the_page_as_one_file(tab: Any, watch: Watch, tmp_path: Any) -> None:
    tab.goto(write_offline_page("shakespeare", tmp_path / "page.html", dtype="int8").as_uri())
    ready(tab)
    finished(tab)
    assert findings(tab, "phone") == []
    assert watch.said == []


def test_a_neuron_that_is_played_a_keepsake_and_the_stage(
    tab: Any, watch: Watch, studio: Studio
) -> None:
    tab.goto(f"{studio.page}#look/shakespeare")
    tab.locator(".view.look:not(.busy) .heads button").first.wait_for()
    tab.get_by_role("radio", name="Neurons").click()
    tab.locator(".lens .units .t").nth(3).focus()
    for _ in range(12):
        tab.keyboard.press("Shift+ArrowRight")
    tab.get_by_role("button", name="Write with it held").click()
    tab.wait_for_selector(".player:not(.busy) .pair .t >> nth=40")
    assert findings(tab) == []
    tab.goto(f"{studio.page}#write/shakespeare")
    finished(tab)
    tab.get_by_role("button", name="Save as one file").click()
    tab.get_by_role("dialog").wait_for()
    assert findings(tab) == []
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="On stage").click()
    assert findings(tab) == []
    assert watch.said == []
