"""What axe-core finds in every part of the page: nothing, in any size and in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Watch
from studios import EXAMPLES, Studio, choose, finished, ready, token, write

from textwright.page import write_offline_page

pytestmark = pytest.mark.slow

SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
HELPS = "[...document.querySelectorAll('.view:not([hidden]) .help')].forEach((one) => one.click())"
FOUND = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, html }) => `${id}: ${target} ${html.slice(0, 200)}`));
}"""


@pytest.fixture(scope="module", name="studio")
def _studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    words = ("shakespeare", "frankenstein", "chat", "--no-browser")
    studio = Studio("studio", *words, folder=tmp_path_factory.mktemp("studio"))
    yield studio
    studio.close()


def findings(tab: Any, *, sizes: dict[str, tuple[int, int]] = SIZES) -> list[str]:
    """Each once, with the first size and theme that it was found in."""
    tab.wait_for_selector(".die.stale", state="detached")
    axe = pytest.importorskip("axe_playwright_python.base", reason="needs axe-playwright-python")
    tab.evaluate(axe.AXE_SCRIPT)
    found: dict[str, str] = {}
    for size, (width, height) in sizes.items():
        tab.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
            for one in tab.evaluate(FOUND):
                found.setdefault(one, f"{size}, {theme}")
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
    desktop = {"desktop": SIZES["desktop"]}
    assert findings(tab, sizes=desktop) == []
    tab.evaluate(HELPS)
    tab.evaluate("document.querySelector('details.more').open = false")
    token(tab, 30)
    tab.wait_for_selector(".popover .row")
    assert findings(tab, sizes=desktop) == []
    assert watch.said == []


def test_the_page_as_one_file(tab: Any, watch: Watch, tmp_path: Any) -> None:
    tab.goto(write_offline_page("shakespeare", tmp_path / "page.html", dtype="int8").as_uri())
    ready(tab)
    finished(tab)
    assert findings(tab, sizes={"phone": SIZES["phone"]}) == []
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
