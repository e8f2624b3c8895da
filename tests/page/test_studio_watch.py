"""The studio in a browser: the story of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import Watch
from studios import Studio

import textwright

pytestmark = pytest.mark.slow


def test_it_tells_how_a_run_learned(
    tab: Any, watch: Watch, tmp_path: Path, text_file: Path
) -> None:
    run = textwright.train(
        text_file, model="lstm", steps=30, name="mine", runs_folder=tmp_path / "runs",
        changes=["model.hidden_size=32", "model.num_layers=1", "training.batch_size=2"],
    )  # fmt: skip
    samples = run.samples()
    assert len(samples) > 1
    studio = Studio("studio", "--no-browser", folder=tmp_path)
    tab.emulate_media(reduced_motion="no-preference")  # with less motion nothing plays by itself
    try:
        tab.goto(f"{studio.page}#watch")
        tab.wait_for_selector(".picker option[value=mine]:not(:disabled)", state="attached")
        tab.locator(".picker").select_option("mine")
        text = tab.locator(".film")
        tab.get_by_role("button", name="Pause").wait_for()  # it plays by itself
        slider = tab.get_by_role("slider", name="Evaluation")
        slider.focus()
        for key, sample in (("Home", samples[0]), ("ArrowRight", samples[1]), ("End", samples[-1])):
            tab.keyboard.press(key)
            assert text.text_content() == sample["text"]
        assert tab.locator(".curves polyline").count() == 2
        assert "," in tab.locator(".curves .val").first.get_attribute("points")
        tab.locator(".picker").select_option("shakespeare")
        tab.wait_for_selector(".film:has-text('ROMEO:')")  # those that come along have theirs
        assert tab.get_by_role("slider", name="Evaluation").get_attribute("max") == "8"
        assert watch.said == []
        assert watch.elsewhere(studio.url) == []
    finally:
        studio.close()
