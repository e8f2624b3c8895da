"""Pictures of every part of the page, on a `gpt` and an `lstm`, wide and narrow, light and dark.

They are looked at by people, and kept in `docs/studio`:

    TEXTWRIGHT_PICTURES=docs/studio TEXTWRIGHT_TEST_MINUTES=2 pytest -m slow tests/page/test_studio_pictures.py

with the texts of the packaged models in `$TEXTWRIGHT_CORPORA`. Without these every part is gone
through and no picture taken. What is asserted is what can be seen without eyes: nothing is wider
than the window, nothing was said to the console.
"""  # noqa: E501

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics
from typing import Any

import pytest
from browsing import Watch
from studios import Studio, choose, ready, token, write

pytestmark = pytest.mark.slow

MODELS = {"gpt": "shakespeare", "lstm": "frankenstein"}
SIZES = {
    "desktop": (1280, 860), "tablet": (768, 1024), "phone": (390, 844), "narrow": (320, 700),
    "wide": (1920, 1080),
}  # fmt: skip
PROMPTS = {"gpt": "ROMEO:\nWhat light", "lstm": "It was a dreary night"}
PASSAGES = {
    "gpt": "ROMEO:\nIs the day so young?\n\nBENVOLIO:\nBut new struck nine.\n\nROMEO:\nAy me!",
    "lstm": 'I said, "What a day!"\nAnd she was gone. He answered, "It was not a day,\n'
    'My friend; it was a night of storms," and then\nhe looked at me. "And yet," I said, '
    '"we live."',
}
HEARTS = {  # of a line that stands there, and one that doesn't
    "gpt": "First Citizen:\nWe know't, we know't.\n\nALL:\nThe moon is in the house tonight.\n",
    "lstm": "the instruments of life around me, that I might infuse a\nspark of being into the lamp"
    " that hung above the stair. ",
}  # fmt: skip
MOST_BYTES = 1_500_000
A_FRAME = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"


class Camera:
    """Looks at the page in every size; with a folder, takes pictures in light and dark, too."""

    def __init__(self, tab: Any, folder: str | None) -> None:
        self.tab, self.folder = tab, folder

    def take(self, name: str, *, shown: str | None = None) -> None:
        self.tab.emulate_media(reduced_motion="reduce")
        for size, (width, height) in SIZES.items():
            self.tab.set_viewport_size({"width": width, "height": height})
            self.tab.evaluate(A_FRAME)  # the page learns of its size, and moves what it placed
            wide = self.tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{name}, {size}: {wide} pixels wider than the window"
            if self.folder:
                self._keep(Path(self.folder, f"{name}-{size}"), shown if size == "phone" else None)
        width, height = SIZES["desktop"]
        self.tab.set_viewport_size({"width": width, "height": height})

    def _keep(self, file: Path, shown: str | None) -> None:
        image = pytest.importorskip("PIL.Image", reason="needs the pillow package")
        for theme in ("light", "dark"):
            self.tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
            self.tab.evaluate("scrollTo(0, 0)")
            if shown:
                self.tab.locator(shown).first.scroll_into_view_if_needed()
            picture = image.open(io.BytesIO(self.tab.screenshot()))
            picture.save(f"{file}-{theme}.webp", quality=55, method=6)


@pytest.fixture(scope="module", name="studio")
def _studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    studio = Studio("studio", "--no-browser", folder=folder)
    yield studio
    studio.close()


@pytest.fixture(name="camera")
def _camera(tab: Any) -> Camera:
    folder = os.environ.get("TEXTWRIGHT_PICTURES")
    if folder:
        Path(folder).mkdir(exist_ok=True)
    return Camera(tab, folder)


def open_part(tab: Any, studio: Studio, part: str, model: str) -> None:
    tab.goto(f"{studio.page}#{part}")
    tab.wait_for_selector(f'.picker option[value="{model}"]:not(:disabled)', state="attached")
    tab.locator(".picker").select_option(model)
    ready(tab)
    if part == "write":
        tab.wait_for_selector(f".texthead .about b:text-is('{model}')")


@pytest.mark.parametrize("family", list(MODELS))
def test_of_models_that_learned_long(
    tab: Any, watch: Watch, studio: Studio, camera: Camera, family: str
) -> None:
    model = MODELS[family]
    open_part(tab, studio, "write", model)
    write(tab, PROMPTS[family], Length=260, Seed=7)
    for number in (90, 40):
        choose(tab, number, 1)
    token(tab, 60)
    camera.take(f"write-{family}")

    open_part(tab, studio, "chat", "chat" if family == "gpt" else model)
    for line in ("Hello! Do you like music?", "And what else?"):
        tab.get_by_label("Your turn").fill(line)
        tab.keyboard.press("Enter")
        tab.wait_for_selector(".turn.assistant")
        tab.get_by_role("button", name="Send").wait_for()
    camera.take(f"chat-{family}")

    open_part(tab, studio, "look", model)
    tab.get_by_label("Passage", exact=True).first.fill(PASSAGES[family])
    tab.get_by_role("button", name="Look", exact=True).click()
    tab.wait_for_selector(".look:not(.busy) .lens .t")
    camera.take(f"look-{family}", shown=".lens .sheet")
    tab.get_by_role("radio", name="Surprise").click()
    tab.wait_for_selector(".look .numbers")
    camera.take(f"surprise-{family}", shown=".lens .sheet")

    if os.environ.get("TEXTWRIGHT_CORPORA"):
        open_part(tab, studio, "copied", model)
        tab.get_by_label("Passage", exact=True).last.fill(HEARTS[family])
        tab.get_by_label("Counts from").fill("25")
        tab.get_by_role("button", name="Compare").click()
        tab.wait_for_selector("mark")
        camera.take(f"copied-{family}", shown=".copied .sheet")
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


@pytest.mark.parametrize("family", list(MODELS))
def test_of_a_training(
    tab: Any, watch: Watch, studio: Studio, camera: Camera, family: str, tmp_path: Path
) -> None:
    corpora = os.environ.get("TEXTWRIGHT_CORPORA")
    minutes = os.environ.get("TEXTWRIGHT_TEST_MINUTES")
    if family == "lstm" and not minutes:
        pytest.skip("one training is enough where nobody looks at the pictures")
    file = Path(corpora or "") / "tinyshakespeare.txt"
    if not corpora or not minutes:  # little is soon prepared
        file = tmp_path / "prose.txt"
        file.write_text("\n\n".join(topics.topics.values())[:80_000], encoding="utf-8")
    tab.goto(f"{studio.page}#train")
    tab.wait_for_selector(".source:visible")
    tab.get_by_role("radio", name="A file").click()
    tab.locator("#train-text").set_input_files(str(file))
    tab.get_by_label("Minutes").fill(minutes or "0.05")
    tab.get_by_label("Kind of model").select_option(family)
    tab.get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_selector(".phase.training")
    tab.wait_for_selector(".phase.finished", timeout=60_000 * (float(minutes or 1) + 3))
    camera.take(f"train-{family}", shown=".train .phase")
    tab.get_by_role("button", name="Watch it learn").first.click()
    tab.wait_for_selector(".film:visible")
    slider = tab.get_by_role("slider", name="Evaluation")
    slider.focus()
    tab.keyboard.press("ArrowLeft")
    camera.take(f"watch-{family}", shown="[aria-label='Watch it learn'] .sheet")
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


def test_those_that_are_kept_are_small() -> None:
    kept = Path(__file__).parents[2] / "docs" / "studio"
    pictures = list(kept.glob("*.webp"))
    assert len(pictures) > 7
    assert sum(picture.stat().st_size for picture in pictures) <= MOST_BYTES
