"""Whether to begin with a model that exists: what the plan, the verdict and the page say."""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import pytest

from textwright import runs
from textwright.reporting import verdict
from textwright.training import plan_training
from textwright.training.planning.base_model import BASE, bits_before
from textwright.training.planning.benchmark import Timing

PROSE = """It was late in the evening when we came to the village, and the rain had not stopped
since noon. “You will find no bed here,” said the old man at the gate; “my daughter has gone to her
aunt’s, and the house is cold.” But he looked at my wife, who was pale and very tired, and after a
moment he took the lantern from the wall and led us in without another word.

"""
"""What no book has, in a book's words."""
DIGITS = random.Random(1)


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    file = tmp_path / "novel.txt"
    file.write_text(PROSE * 40, encoding="utf-8")
    return file


@pytest.fixture
def dna(tmp_path: Path) -> Path:
    file = tmp_path / "dna.txt"
    file.write_text("".join(DIGITS.choices("ACGT", k=20_000)), encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a step takes a second: nothing here rests on how fast this one is."""
    monkeypatch.setattr(
        "textwright.training.planning.planner.measure", lambda *_, **__: Timing(1.0, 1.0, 0.0)
    )


def plan(*sources: Path, **options: Any) -> Any:
    return plan_training(*sources, minutes=1, **options)


def test_english_reads_prose_that_it_never_saw_and_no_genes() -> None:
    english = runs.find(BASE)
    prose = bits_before(english, PROSE)
    genes = bits_before(english, "".join(DIGITS.choices("ACGT", k=300)))
    assert prose is not None and prose < 2.3
    assert genes is not None and genes > 2.0  # what four letters cost that nothing is known of


def test_a_plan_says_where_english_would_begin(novel: Path) -> None:
    _, _, planned = plan(novel)
    assert planned.base_bits is not None
    assert 0.5 < planned.base_bits < 2.6
    assert plan_training(novel, steps=3)[2].base_bits == planned.base_bits


def test_a_plan_offers_nothing_where_the_text_is_no_english(dna: Path) -> None:
    assert plan(dna)[2].base_bits is None


def test_words_and_a_parent_are_offered_nothing(novel: Path) -> None:
    assert plan(novel, tokenizer="word", vocab_size=40)[2].base_bits is None
    assert plan(novel, parent=BASE)[2].base_bits is None


def test_a_parent_that_is_no_help_is_named_and_learns_at_full_rates(
    novel: Path, dna: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, usual, _ = plan(novel, parent=BASE)
    assert "nothing like" not in caplog.text
    _, settings, _ = plan(dna, parent=BASE)
    assert "english has read nothing like this text and is no help: leave --from" in caplog.text
    assert settings.training.learning_rate == pytest.approx(10 * usual.training.learning_rate)
    _, settings, _ = plan(dna, parent=BASE, changes=["training.learning_rate=0.001"])
    assert settings.training.learning_rate == 0.001


@pytest.mark.slow
def test_a_parent_that_spells_the_text_s_characters_is_no_hindrance(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = tmp_path / "code.txt"
    code.write_text(Path(argparse.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    plan(code, parent=BASE)
    assert "english has read nothing like this text but knows most of its" in caplog.text


def test_the_verdict_says_it_of_a_training_that_began_with_nothing() -> None:
    metrics = [
        {"step": 10 * n, "val_loss": 3.0 - n / 4, "train_loss": 2.9 - n / 4} for n in range(6)
    ]
    advice = verdict(metrics, status="finished", steps=50, base_bits=1.73).advice
    assert advice.endswith(
        "--from english reads this text at 1.73 bits a character before any step."
    )
    assert (
        "english" not in verdict(metrics, status="finished", base_bits=1.7, continued=True).advice
    )
    assert "english" not in verdict(metrics, status="interrupted", base_bits=1.7).advice
