"""One optimiser step at a time: model, optimisers, weight average and carried state.

`Learner.step` is all that a step does. Evaluations, checkpoints and signals, which come between
steps, are in `trainer`; how long a step takes is measured in `planning.benchmark`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from textwright.configs import ModelConfig, TrainingSettings
from textwright.data.tokens import Tokens
from textwright.errors import TrainingError
from textwright.models import LanguageModel, State, build
from textwright.models.base import dropout_keys
from textwright.models.device import choose_device, resolve_auto, tune_malloc
from textwright.training.loop import distributed
from textwright.training.loop.batches import (
    Batches,
    Streams,
    Windows,
    fresh_starts,
    inputs_and_targets,
)
from textwright.training.loop.loss import LossModule
from textwright.training.loop.shards import Threads, add_gradients, resolve_shards, sharing
from textwright.training.optim.optimizer import Course, Optimizers, lr_multiplier

_LARGE_VOCABULARY, _SAMPLED_TYPES = 8192, 2048
_LOGITS_AT_ONCE = 1 << 24
"""Logits of a micro-batch at most: 64 MB, and as much again for the gradient."""


class Learner:
    """A model that learns `tokens`, with all state that a checkpoint needs."""

    def __init__(
        self, config: ModelConfig, settings: TrainingSettings, tokens: Tokens, course: Course
    ) -> None:
        tune_malloc()
        settings = resolve_auto(settings, config.family)
        self.course = course
        self.device = choose_device(settings.device, config.family)
        self.settings = settings = resolve_shards(settings, config, self.device)
        self.batches: Batches = (Streams if config.order == "streams" else Windows)(
            tokens, config.block_size, settings.batch_size, settings.seed
        )
        self.model: LanguageModel = build(config, settings.seed).to(self.device)
        self.model.train()
        self.optimizers = Optimizers(self.model, settings)
        self.average: AveragedModel | None = None
        if settings.ema_decay:
            update = get_ema_multi_avg_fn(settings.ema_decay)
            self.average = AveragedModel(self.model, multi_avg_fn=update)
        self.state: State | None = None
        self.precision = getattr(torch, settings.precision)
        self._sampled = self._sampled_classes()
        forward: nn.Module = (
            torch.compile(self.model) if settings.compile == "on" else self.model  # type: ignore[assignment]
        )
        loss = LossModule(forward, self._sampled)
        self.shards = distributed.worker_shards(settings.batch_size, settings.shards)
        self._losses = [loss, *(sharing(loss) for _ in self.shards[1:])]
        self.threads = Threads(1)
        if self.device.type == "cpu":
            self.use_threads(settings.threads or torch.get_num_threads())

    def use_threads(self, count: int) -> None:
        """Compute on so many threads: one a shard, or torch's own where there is one shard."""
        split = len(self.shards) > 1
        torch.set_num_threads(1 if split else count)
        self.threads = Threads(min(count, len(self.shards)) if split else 1)

    def step(self, step: int) -> Tensor:
        """Do optimiser step `step` (from 0); returns the mean training loss, a detached scalar."""
        mine = distributed.rank_slice(self.settings.batch_size)
        before = None if self.batches.resets_state(step) else self._carried_state(step, mine)
        rows = torch.from_numpy(self.batches.batch(step, 0, self.settings.batch_size))
        inputs, targets, counted = inputs_and_targets(rows)
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        share = 1 / counted if counted < targets.numel() else None

        def learn(loss: LossModule, samples: range) -> tuple[Tensor, list[State]]:
            own = slice(samples.start - mine.start, samples.stop - mine.start)
            state = before and {name: part[own] for name, part in before.items()}
            return self._learn(loss, step, samples, inputs, targets, share, state)

        shards = zip(self._losses, self.shards, strict=True)
        learned = self.threads.run([partial(learn, *shard) for shard in shards])
        total = torch.stack([loss for loss, _ in learned]).sum()
        states = [state for _, of_shard in learned for state in of_shard]
        if states[0]:
            self.state = {name: torch.cat([s[name] for s in states]) for name in states[0]}
        add_gradients(self._losses[0], self._losses[1:])
        distributed.all_reduce_gradients(self.model.parameters())
        if self.settings.gradient_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        self.optimizers.step(lr_multiplier(step, self.settings, self.course), self.threads.run)
        if self.average is not None:
            self.average.update_parameters(self.model)
        return distributed.all_reduce_sum(total)

    def _learn(
        self,
        loss: LossModule,
        step: int,
        samples: range,
        inputs: Tensor,
        targets: Tensor,
        share: float | None,
        before: State | None,
    ) -> tuple[Tensor, list[State]]:
        """Forward and backward of a shard, a micro-batch at a time.

        Args:
            loss: the shard's copy of the model, which gets the gradients.
            samples: the shard's, by their index in the batch.
            inputs, targets: of the whole batch, (batch, time).
            share: the weight of a target in the loss; None where all count.
            before: the carried state of these samples.

        Returns:
            Their part of the mean loss, a scalar, and the state after each micro-batch.
        """
        at_once = self.settings.micro_batch_size or self._auto_micro_batch()
        total = torch.zeros((), device=self.device)
        states = []
        for first in range(samples.start, samples.stop, at_once):
            some = slice(first, min(first + at_once, samples.stop))
            rows = slice(first - samples.start, some.stop - samples.start)
            state = before and {name: part[rows] for name, part in before.items()}
            if self.model.config.dropout:
                keys = dropout_keys(self.settings.seed, step, first, some.stop - first)
                loss.language_model.set_dropout_keys(keys.to(self.device))
            part, after = self._backward(
                loss, inputs[some], targets[some], share, state, (step, first)
            )
            total += part
            states.append(after)
        return total, states

    def _carried_state(self, step: int, mine: range) -> State | None:
        """The state after the step before; the initial one for samples drawn as fresh starts."""
        batch, share = self.settings.batch_size, self.settings.fresh_starts
        if not self.state or not share:
            return self.state
        drawn = fresh_starts(self.settings.seed, step, batch, share)
        fresh = torch.from_numpy(drawn[mine.start : mine.stop]).to(self.device)
        start = self.model.initial_state(len(mine))
        return {
            name: torch.where(fresh.view(-1, *[1] * (part.ndim - 1)), start[name], part)
            for name, part in self.state.items()
        }

    def _sampled_classes(self) -> int:
        """Types that estimate the softmax, beside the targets; 0 computes it exactly."""
        wanted, vocabulary = self.settings.sampled_softmax, self.model.config.vocab_size
        if wanted is None:
            large = vocabulary > _LARGE_VOCABULARY and self.device.type == "cpu"
            wanted = _SAMPLED_TYPES if large else 0
        return 0 if self.model.output_layer() is None else wanted

    def _auto_micro_batch(self) -> int:
        """Samples of a micro-batch: all, or fewer where the vocabulary is large, for memory."""
        config = self.model.config
        types = config.vocab_size
        if self._sampled:
            named = self.settings.batch_size * config.block_size
            types = min(types, self._sampled + named)
        fitting = _LOGITS_AT_ONCE // (config.block_size * types)
        return max(1, min(self.settings.batch_size, fitting))

    def _backward(
        self,
        loss_of: LossModule,
        inputs: Tensor,
        targets: Tensor,
        share: float | None,
        state: State | None,
        place: tuple[int, int],
    ) -> tuple[Tensor, State]:
        """Forward and backward of a micro-batch; returns its part of the mean loss and its state.

        Args:
            loss_of: the model, or a copy with gradients of its own.
            inputs, targets: (samples, time).
            share: the weight of a target in the loss; None where all count.
            state: of these samples.
            place: step and first sample.
        """
        with torch.autocast(
            self.device.type, self.precision, enabled=self.precision != torch.float32
        ):
            key = (self.settings.seed, *place)
            loss, after = loss_of(inputs, targets.flatten(), share is None, state, key)
        loss = loss * (len(inputs) / self.settings.batch_size if share is None else share)
        loss.backward()  # parts of one mean: their gradients add up
        if self.model.config.order == "windows":
            return loss.detach(), {}
        return loss.detach(), {name: part.detach().float() for name, part in after.items()}

    @property
    def evaluated_model(self) -> LanguageModel:
        """The model that is evaluated and saved: the average where there is one."""
        return self.model if self.average is None else cast(LanguageModel, self.average.module)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with the weights of another model, from `LanguageModel.weights`.

        Raises:
            RunError: they don't fit this model.
        """
        self.model.load_weights(weights)
        self.evaluated_model.load_weights(weights)

    def tensors(self) -> dict[str, Tensor]:
        """The state of all workers for a checkpoint: tensors on the CPU, named `part/name`."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "model": dict(self.model.named_parameters()),
            "optimizer": self.optimizers.tensors(),
            "state": distributed.all_gather_rows(self.state or {}, self.settings.batch_size),
        }
        if self.average is not None:
            parts["average"] = {
                **dict(self.average.module.named_parameters()),
                "averaged": self.average.n_averaged,
            }
        return {
            f"{part}/{name}": tensor.detach().cpu()
            for part, tensors in parts.items()
            for name, tensor in tensors.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned, also at another number of workers.

        Raises:
            TrainingError: they don't fit this model.
        """
        try:
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    parameter.copy_(tensors[f"model/{name}"])
                if self.average is not None:
                    for name, parameter in self.average.module.named_parameters():
                        parameter.copy_(tensors[f"average/{name}"])
                    self.average.n_averaged.copy_(tensors["average/averaged"])
            self.optimizers.load_tensors(_part(tensors, "optimizer"))
        except (KeyError, ValueError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint doesn't fit this model ({type(error).__name__}: {error}); "
                "was config.json or run.toml changed by hand?"
            ) from error
        mine = distributed.rank_slice(self.settings.batch_size)
        rows = _part(tensors, "state").items()
        self.state = {
            name: row[mine.start : mine.stop].to(self.device) for name, row in rows
        } or None


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors named `part/name`, by `name`."""
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
