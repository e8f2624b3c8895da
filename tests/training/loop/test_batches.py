"""Batches are pure functions of (seed, step, sample index), and read the whole text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textwright.configs import RecurrentConfig, TrainingSettings
from textwright.errors import CorpusError
from textwright.training.loop.batches import Streams, Windows, fresh_starts
from textwright.training.loop.learner import Learner

TOKENS = np.arange(1000, dtype=np.uint16)


@pytest.mark.parametrize("order", [Windows, Streams])
def test_any_share_of_a_batch_is_the_same(order: type[Windows] | type[Streams]) -> None:
    batches = order(TOKENS, block_size=16, batch_size=6, seed=3)
    for step in (0, 7, 31, 500):
        whole = batches.batch(step, 0, 6)
        assert whole.shape == (6, 17)
        again = order(TOKENS, block_size=16, batch_size=6, seed=3)
        pieces = [again.batch(step, first, count) for first, count in ((4, 2), (0, 1), (1, 3))]
        assert np.array_equal(np.concatenate([pieces[1], pieces[2], pieces[0]]), whole)
    other = order(TOKENS, block_size=16, batch_size=6, seed=4)
    assert not np.array_equal(other.batch(0, 0, 6), batches.batch(0, 0, 6))


def test_windows_read_every_block_once_an_epoch_in_another_order_each() -> None:
    batches = Windows(TOKENS, block_size=16, batch_size=1, seed=0)
    epochs = []
    for epoch in range(3):
        rows = [batches.batch(epoch * batches.blocks + i, 0, 1)[0] for i in range(batches.blocks)]
        for row in rows:
            assert np.array_equal(np.diff(row), np.ones(16))  # a stretch of the text
        starts = [int(row[0]) for row in rows]
        assert len(set(starts)) == batches.blocks
        offset = min(starts)
        assert 0 <= offset < 16
        assert sorted(starts) == [offset + 16 * i for i in range(batches.blocks)]
        epochs.append(starts)
    assert epochs[0] != epochs[1] != epochs[2]
    assert len({min(starts) for starts in epochs}) > 1  # blocks are cut elsewhere each epoch


def test_streams_go_on_where_they_stopped() -> None:
    batches = Streams(TOKENS, block_size=10, batch_size=4, seed=0)
    assert batches.steps_per_epoch == 25
    assert [step for step in range(60) if batches.resets_state(step)] == [0, 25, 50]
    for step in range(24):
        now, then = batches.batch(step, 0, 4), batches.batch(step + 1, 0, 4)
        assert np.array_equal(now[:, -1], then[:, 0])
    # An epoch reads everything: the targets of all steps are all tokens
    seen = np.concatenate([batches.batch(step, 0, 4)[:, 1:].ravel() for step in range(25)])
    assert sorted(seen) == list(range(1000))
    assert not np.array_equal(batches.batch(0, 0, 4), batches.batch(25, 0, 4))


def test_a_text_that_fills_no_batch_is_an_error() -> None:
    with pytest.raises(CorpusError, match="20 tokens, fewer than"):
        Windows(TOKENS[:20], block_size=16, batch_size=2, seed=0)
    with pytest.raises(CorpusError, match="20 tokens, fewer than"):
        Streams(TOKENS[:20], block_size=16, batch_size=2, seed=0)


def test_a_share_of_the_samples_begins_from_the_initial_state() -> None:
    steps = [fresh_starts(3, step, 32, 0.1) for step in range(200)]
    assert np.array_equal(fresh_starts(3, 7, 32, 0.1), steps[7])
    assert not np.array_equal(fresh_starts(4, 7, 32, 0.9), fresh_starts(3, 7, 32, 0.9))
    assert 0.08 < np.mean(steps) < 0.12 and not fresh_starts(3, 7, 32, 0.0).any()


def test_what_begins_fresh_learns_as_from_nothing_and_the_rest_as_carried() -> None:
    config = RecurrentConfig(
        family="lstm",
        vocab_size=8,
        num_layers=1,
        hidden_size=8,
        embedding_size=8,
        block_size=8,
    )
    settings = TrainingSettings(batch_size=8, fresh_starts=0.5, precision="float32")
    seen = []

    class Watched(Learner):
        def _backward(self, *arguments: Any) -> Any:
            seen.append(arguments[4])
            return super()._backward(*arguments)

    learner = Watched(config, settings, TOKENS % 8, [(0, 4)])
    learner.step(0)
    carried = learner.state
    learner.step(1)
    fresh = fresh_starts(settings.seed, 1, 8, 0.5)
    assert seen[0] is None and carried is not None and 0 < fresh.sum() < 8
    for name, part in seen[1].items():
        assert not part[fresh].any()
        assert part[~fresh].equal(carried[name][~fresh]) and carried[name].any(dim=1).all()
