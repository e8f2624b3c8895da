"""The verdict on curves as real trainings give them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from textwright.reporting import verdict

Records = list[dict[str, Any]]


def records(validation: list[float], training: list[float | None], every: int = 100) -> Records:
    """Evaluations at step 0, `every`, 2 × `every` …"""
    return [
        {"step": index * every, "val_loss": loss, "train_loss": train}
        for index, (loss, train) in enumerate(zip(validation, training, strict=True))
    ]


IMPROVING = records(
    [4.17, 2.46, 2.05, 1.83, 1.70, 1.63, 1.58, 1.545, 1.52],
    [None, 2.9, 2.1, 1.82, 1.66, 1.57, 1.51, 1.47, 1.44],
)
OVERFITTING = records(
    [4.17, 2.1, 1.66, 1.52, 1.47, 1.475, 1.49, 1.53, 1.58],
    [None, 2.4, 1.6, 1.41, 1.30, 1.21, 1.13, 1.05, 0.98],
)
LEVEL = records(
    [4.17, 2.1, 1.66, 1.56, 1.52, 1.512, 1.508, 1.506, 1.505],
    [None, 2.4, 1.7, 1.54, 1.49, 1.470, 1.465, 1.460, 1.459],
)
DIVERGED = records(
    [4.17, 2.4, 2.1, 2.0, 2.9, 3.4, 3.35],
    [None, 2.7, 2.2, 2.0, 2.6, 3.3, 3.3],
)


def test_still_improving_offers_twice_the_minutes() -> None:
    found = verdict(IMPROVING, status="finished", steps=800, minutes=3)
    assert found.kind == "improving"
    assert (
        str(found) == "still improving when it ended: give it more time, e.g. --resume --minutes +3"
    )
    assert "3.8%" in found.grounds  # 1.58 to 1.52


def test_still_improving_offers_twice_the_steps_where_steps_were_asked() -> None:
    found = verdict(IMPROVING, status="finished", steps=800)
    assert found.text.endswith("e.g. --resume --steps 1600")


def test_unread_text_is_a_reason_for_more_time() -> None:
    assert "40% of the text" in verdict(IMPROVING, status="finished", epochs=0.4).advice
    assert verdict(IMPROVING, status="finished", epochs=4.0).advice == ""


def test_overfitting_names_the_step_that_was_kept() -> None:
    found = verdict(OVERFITTING, status="finished", steps=800, minutes=3)
    assert found.kind == "overfitting"
    assert str(found) == "began to overfit at step 400; kept that one"
    assert "1.4700 to 1.5800" in found.grounds
    assert "dropout" in found.advice


def test_overfitting_that_patience_ended() -> None:
    assert str(verdict(OVERFITTING, status="stopped early")) == (
        "began to overfit at step 400; stopped early and kept that one"
    )


def test_a_wavering_loss_is_no_overfitting() -> None:
    wavering = [dict(record) for record in LEVEL]
    wavering[-1]["val_loss"] = 1.513  # half a percent above the best
    assert verdict(wavering, status="finished").kind == "levelled off"


def test_a_loss_that_still_falls_after_few_steps_is_not_level() -> None:
    few = records([4.17, 3.99, 3.84, 3.71, 3.60, 3.52, 3.46, 3.44, 3.435], [None] + 8 * [3.6], 2)
    found = verdict(few, status="finished", steps=16)
    assert found.text == "too short to tell: give it more time, e.g. --resume --steps 32"
    decayed = records([4.17, 3.0, 2.6, 2.3, 2.1, 1.9, 1.80, 1.790, 1.788], [None] + 8 * [1.8])
    found = verdict(decayed, status="finished", steps=800, minutes=2)
    assert found.kind == "improving" and "--resume --minutes +2" in found.text
    assert verdict(few, status="stopped early").kind == "levelled off"


def test_levelled_off_says_what_to_try() -> None:
    found = verdict(LEVEL, status="finished", steps=800, minutes=3)
    assert found.kind == "levelled off"
    assert found.text == "levelled off at a validation loss of 1.5050"
    assert "--size" in found.advice
    known_by_heart = [{**record, "train_loss": 1.0} for record in LEVEL]
    assert "dropout" in verdict(known_by_heart, status="finished").advice


def test_stopped_early_on_a_plateau() -> None:
    found = verdict([*LEVEL, {"step": 900, "val_loss": 1.506, "train_loss": 1.459}],
                    status="stopped early")  # fmt: skip
    assert found.kind == "levelled off"
    assert found.text.endswith("stopped early and kept step 800")


def test_diverged_is_told_from_overfitting_by_the_training_loss() -> None:
    found = verdict(DIVERGED, status="finished")
    assert found.kind == "diverged"
    assert found.text == "diverged after step 300; kept that one"
    assert "learning_rate" in found.advice


def test_a_loss_that_is_no_number_has_diverged() -> None:
    found = verdict([*IMPROVING[:4], {"step": 400, "val_loss": math.nan, "train_loss": math.nan}])
    assert found.kind == "diverged"
    assert "step 300" in found.text


def test_never_better_than_untrained() -> None:
    found = verdict(records([4.17, 5.0, 5.2, 5.3], [None, 4.9, 5.0, 5.2]), status="finished")
    assert found.kind == "diverged"
    assert "from the start" in found.text


def test_a_model_that_was_trained_before_may_stay_the_best() -> None:
    losses = records([1.62, 1.65, 1.68, 1.7], [None, 1.4, 1.3, 1.2])
    assert verdict(losses, status="finished").kind == "diverged"
    found = verdict(losses, status="finished", continued=True)
    assert found.text == "began to overfit at step 0; kept that one"
    rising = records([1.62, 2.5, 2.6, 3.7], [None, 2.0, 2.5, 3.2])
    found = verdict(rising, status="finished", continued=True)
    assert found.text.endswith("no evaluation was better than the model it began with")


def test_a_step_or_two_may_go_wrong() -> None:
    """A run of a few steps, as in a first try or a test, isn't called diverged."""
    assert verdict(records([4.17, 4.2], [None, 4.2]), status="finished").kind == "too few"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_evaluations(count: int) -> None:
    found = verdict(IMPROVING[:count], status="finished")  # the untrained one doesn't count
    assert found.kind == "too few"
    assert "--eval-every" in found.advice


def test_three_evaluations_suffice() -> None:
    assert verdict(IMPROVING[:4], status="finished").kind == "improving"


def test_interrupted_says_how_to_go_on() -> None:
    found = verdict(IMPROVING[:5], status="interrupted", steps=5000)
    assert found.kind == "interrupted"
    assert str(found) == "interrupted at step 400 of 5,000; --resume goes on from there"
    assert "1.7000, at step 400" in found.grounds
    assert verdict([], status="interrupted", steps=100).text.startswith("interrupted at step 0")


def test_a_running_training_is_at_a_step() -> None:
    assert str(verdict(IMPROVING[:3], status="running", steps=500)) == (
        "still training: step 200 of 500"
    )


def test_words_are_judged_by_the_same_shares() -> None:
    """A word model's losses are three times as high; shares of them are what counts."""
    scaled = [
        {**record, "val_loss": 3 * record["val_loss"],
         "train_loss": None if record["train_loss"] is None else 3 * record["train_loss"]}
        for record in OVERFITTING
    ]  # fmt: skip
    assert verdict(scaled, status="finished").kind == "overfitting"
