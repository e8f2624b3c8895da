"""A batch cut into shards: what is learned is that of the whole, on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.configs import GPTConfig, ModelConfig, RecurrentConfig, TrainingSettings
from textwright.models import build
from textwright.models.base import dropout_keys
from textwright.training.loop import distributed
from textwright.training.loop.learner import Learner
from textwright.training.loop.shards import Threads, resolve_shards
from textwright.training.optim.optimizer import Optimizers, lr_multiplier
from textwright.training.planning.presets import model_settings, preset

GPT = GPTConfig(
    vocab_size=17, block_size=16, num_layers=2, hidden_size=32, num_heads=1, dropout=0.2
)
LSTM = RecurrentConfig(
    family="lstm", vocab_size=17, block_size=16, num_layers=2, hidden_size=24, embedding_size=8,
    dropout=0.2,
)  # fmt: skip
TIED = LSTM.model_copy(update={"tie_embeddings": True, "embedding_size": 24})
TOKENS = (np.random.default_rng(1).integers(0, 17, 3000) // 2 * 2).astype(np.uint16)


def learner(config: ModelConfig, **settings: object) -> Learner:
    recipe = {"batch_size": 8, "device": "cpu", "fresh_starts": 0.25, "seed": 2, **settings}
    return Learner(config, TrainingSettings.model_validate(recipe), TOKENS, [(0, 8)])


def learned(one: Learner, steps: range) -> dict[str, Tensor]:
    before = torch.get_num_threads()
    for step in steps:
        one.step(step)
    torch.set_num_threads(before)
    return {name: tensor.clone() for name, tensor in one.tensors().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    differing = [name for name, tensor in one.items() if not torch.equal(tensor, other[name])]
    assert not differing


@pytest.mark.parametrize("config", [GPT, LSTM, TIED], ids=["gpt", "lstm", "tied"])
def test_any_number_of_threads_makes_the_same_bytes(config: ModelConfig) -> None:
    alone = learned(learner(config, shards=4, threads=1), range(4))
    for threads in (2, 3, 9):
        assert_same(alone, learned(learner(config, shards=4, threads=threads), range(4)))


@pytest.mark.parametrize("config", [GPT, LSTM], ids=["gpt", "lstm"])
def test_shards_learn_what_the_whole_batch_does(config: ModelConfig) -> None:
    exact = {"precision": "float32", "optimizer": "adamw"}
    whole = learned(learner(config, shards=1, **exact), range(4))
    for settings in ({"shards": 2}, {"shards": 3, "micro_batch_size": 2}, {"shards": 8}):
        parts = learned(learner(config, **settings, threads=2, **exact), range(4))
        for name, tensor in whole.items():
            torch.testing.assert_close(parts[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("config", [GPT, LSTM], ids=["gpt", "lstm"])
def test_one_shard_is_the_loop_as_it_is_written_in_books(config: ModelConfig) -> None:
    """To the byte: nothing is added, scaled or cut on the way."""
    one = learner(config, shards=1, fresh_starts=0)
    made = learned(one, range(6))
    settings, batches, state = one.settings, one.batches, None
    precision = getattr(torch, settings.precision)
    model = build(config, settings.seed).train()
    optimizers = Optimizers(model, settings)
    for step in range(6):
        rows = torch.from_numpy(batches.batch(step, 0, 8))
        model.set_dropout_keys(dropout_keys(settings.seed, step, 0, 8))
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            before = None if batches.resets_state(step) or config is GPT else state
            logits, state = model(rows[:, :-1], before)
            loss = F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())
        loss.backward()
        state = {name: part.detach().float() for name, part in state.items()}
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        optimizers.step(lr_multiplier(step, settings, [(0, 8)]))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, made[f"model/{name}"]), name


def test_going_on_with_other_threads_is_exact() -> None:
    whole = learned(learner(LSTM, shards=2, threads=2), range(8))
    half = learned(learner(LSTM, shards=2, threads=1), range(4))
    again = learner(LSTM, shards=2, threads=2)
    again.load(half)
    assert_same(whole, learned(again, range(4, 8)))


def test_sampled_softmax_and_uncounted_targets_are_split_too() -> None:
    silent = TOKENS.astype(np.int64)
    silent[::3] = ~silent[::3]
    recipe = TrainingSettings(batch_size=8, device="cpu", shards=4, sampled_softmax=3)
    made = []
    for threads in (1, 4):
        settings = recipe.model_copy(update={"threads": threads})
        made.append(learned(Learner(GPT, settings, silent, [(0, 8)]), range(4)))
    assert_same(*made)


def test_a_shard_computes_on_its_own_thread_alone() -> None:
    """Threads of torch's own would wait for each other, and spin."""
    one = learner(GPT, shards=2, threads=2)
    assert (torch.get_num_threads(), one.threads.count) == (1, 2)
    seen = one.threads.run([torch.get_num_threads] * 6)
    assert seen == [1] * 6


def test_how_a_batch_is_cut_depends_on_the_batch_alone() -> None:
    def shards(family: str, size: str, device: str = "cpu", **changes: object) -> int:
        settings = TrainingSettings.model_validate({**preset(family, size).training, **changes})
        config = model_settings(family, size, 65)
        return resolve_shards(settings, config, torch.device(device)).shards

    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        assert [shards("lstm", size) for size in ("nano", "micro", "medium")] == [2, 2, 4]
        assert [shards("gpt", size) for size in ("nano", "micro", "small")] == [2, 2, 8]
    torch.set_num_threads(before)
    assert shards("lstm", "nano", batch_size=8) == 1
    assert shards("lstm", "nano", shards=5) == 5
    assert shards("gpt", "small", device="cuda") == 1


def test_workers_share_out_the_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = distributed.worker_shards(10, 4)
    assert whole == [range(2), range(2, 5), range(5, 7), range(7, 10)]
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    shared = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shared += distributed.worker_shards(10, 4)
        assert distributed.worker_shards(10, 1) == [range(5 * rank, 5 * rank + 5)]
    assert shared == whole


def test_what_a_task_raises_is_raised_once_all_have_ended() -> None:
    done = []

    def fails() -> None:
        raise ValueError("of a shard")

    with pytest.raises(ValueError, match="of a shard"):
        Threads(2).run([fails, lambda: done.append(1), lambda: done.append(2)])
    assert sorted(done) == [1, 2]
