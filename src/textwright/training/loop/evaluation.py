"""An evaluation: the loss over a whole text, by a protocol that has a name, and a sample.

The loss is the mean over every token but the first, in nats; each token is predicted once. Of
conversations where one side is learned, only the tokens of that side count. The protocol says how
much context a prediction gets:

- *windows* (attention models, and any model with `window`): windows of `window` tokens, else of
  `block_size`, that don't overlap, each read from nothing; with `stride`, a window starts every
  `stride` tokens and only its last `stride` predictions count, so that each has at least
  `window - stride` tokens of context.
- *streams* (recurrent models): the state is carried through the text. For speed the text is cut
  into streams read side by side; each first reads the tokens before it, uncounted.

Models of different families compare in windows of the same size.

Samples of a run have the same prompt and seed, so that they compare. That of a chat model is a
conversation of four turns with itself; the first is given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.companion.mixing import Companion, MixedState, Mixer
from textwright.companion.table import nothing
from textwright.configs import ModelConfig, SamplingSettings, TrainingSettings
from textwright.data.tokens import Tokens
from textwright.errors import CorpusError, RequestError
from textwright.generation.chat import converse
from textwright.generation.chat_template import SpeakerNames
from textwright.generation.generator import Generator
from textwright.generation.options import GenerationConfig
from textwright.models import LanguageModel, Matrices, State
from textwright.runtimes.registry import load_runtime
from textwright.tokenizers import Tokenizer
from textwright.training.loop.batches import NOT_COUNTED, inputs_and_targets
from textwright.training.loop.callbacks import Sample

_STREAMS = 32
_STREAM_WARMUP = 256
_STREAM_CHUNK = 256
_TOKENS_AT_ONCE = 8192
_LOGITS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Loss:
    """The result of an evaluation."""

    loss: float
    """Mean negative log-likelihood a token, in nats."""
    tokens: int
    """Predictions it is the mean of."""
    protocol: str
    """How much context predictions got, in words."""

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))


def evaluate(
    model: LanguageModel,
    tokens: Tokens,
    *,
    window: int | None = None,
    stride: int | None = None,
    limit: int = 0,
) -> Loss:
    """The loss of `model` on `tokens`, in evaluation mode and without gradients.

    Args:
        model: of any family.
        tokens: ids of the whole text, (n,), n ≥ 2.
        window: tokens that are read together; None takes the family's own protocol.
        stride: see above; None for windows that don't overlap.
        limit: read this many tokens only, in stretches spread evenly; 0 reads all.

    Raises:
        CorpusError: fewer than two tokens.
        RequestError: `window` or `stride` is out of range, or there is a stride and no window, for
            the model carries its state.
    """
    if len(tokens) < 2:
        raise CorpusError("the text to evaluate on has fewer than two tokens; give it more")
    window = _window(model.config, window, stride)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            if window is None:
                total, counted = _streams(model, tokens, limit)
            else:
                total, counted = _windows(model, tokens, window, stride or window, limit)
    finally:
        model.train(was_training)
    words = protocol(model.config, len(tokens), window=window, stride=stride, limit=limit)
    if not counted:
        raise CorpusError("no token of the text to evaluate on counts in the loss; give it more")
    return Loss(total / counted, counted, words)


def protocol(
    config: ModelConfig,
    tokens: int,
    *,
    window: int | None = None,
    stride: int | None = None,
    limit: int = 0,
) -> str:
    """What `evaluate` does with a text of so many tokens, in words."""
    part = min(limit or tokens, tokens - 1)
    window = _window(config, window, stride)
    if window is not None:
        words = f"windows of {window} tokens"
        if stride is not None and stride < window:
            words += f" every {stride} tokens, the last {stride} counted"
        if part < tokens - 1:
            words += f", {max(1, part // window)} of them spread evenly"
        return words
    words = "state carried through the text"
    if part < tokens - 1:
        words += f", its first {part:,} tokens"
    if (streams := _streams_in(part)) > 1:
        words += f", in {streams} streams that each read {_STREAM_WARMUP} tokens before, uncounted"
    return words


def _window(config: ModelConfig, window: int | None, stride: int | None) -> int | None:
    """The tokens of a window, checked; None where the state is carried instead."""
    if config.order == "windows":
        if window is not None and not 1 <= window <= config.block_size:
            raise RequestError(
                f"--window must be between 1 and the model's block size, {config.block_size}"
            )
        window = window or config.block_size
    if window is not None and window < 1:
        raise RequestError("--window must be at least 1")
    if stride is not None and window is None:
        raise RequestError(
            f"--stride needs --window here: {config.family} carries its state through the whole "
            "text already"
        )
    if stride is not None and window is not None and not 1 <= stride <= window:
        raise RequestError(f"--stride must be between 1 and the window, {window}")
    return window


def _windows(
    model: LanguageModel, tokens: Tokens, window: int, stride: int, limit: int
) -> tuple[float, int]:
    predictions = len(tokens) - 1
    # The first window counts whole; each later one ends `stride` further and counts its end.
    ends = [*range(min(window, predictions), predictions, stride), predictions]
    in_part = 0 < limit < predictions
    if in_part:
        kept = max(1, limit // window)
        ends = [ends[round(i * (len(ends) - 1) / kept)] for i in range(kept)]
    total, counted = 0.0, 0
    groups: dict[tuple[int, int], list[int]] = {}
    previous = 0
    for end in ends:
        start = max(0, end - window) if stride < window or in_part else previous
        groups.setdefault((end - start, end - (start if in_part else previous)), []).append(start)
        previous = end
    # A model that carries its state reads a window in pieces, so that any window fits into memory.
    carries = model.config.order == "streams"
    piece = min(window, _STREAM_CHUNK, _tokens_at_once(model)) if carries else window
    at_once = max(1, _tokens_at_once(model) // piece)
    for (length, count), starts in groups.items():
        for first in range(0, len(starts), at_once):
            rows = [tokens[start : start + length + 1] for start in starts[first : first + at_once]]
            batch, state = _tensor(np.stack(rows), model), None
            for at in range(0, length, piece):
                inputs, targets, _ = inputs_and_targets(batch[:, at : at + piece + 1])
                logits, state = model(inputs, state)
                skipped = max(0, length - count - at)
                total += _sum(logits[:, skipped:], targets[:, skipped:])
                counted += _count(targets[:, skipped:])
    return total, counted


def _streams_in(predictions: int) -> int:
    return max(1, min(_STREAMS, predictions // (4 * _STREAM_WARMUP)))


def _streams(model: LanguageModel, tokens: Tokens, limit: int) -> tuple[float, int]:
    # Of a limited text the start is read, in one piece: there are no windows to spread.
    predictions = min(limit or len(tokens), len(tokens) - 1)
    streams = _streams_in(predictions)
    each = predictions // streams
    state = model.initial_state(streams)
    if streams > 1:
        rows = [tokens[i * each - _STREAM_WARMUP : i * each] for i in range(1, streams)]
        warm_rows = _tensor(np.stack(rows), model)
        _, warm = model(torch.where(warm_rows < 0, ~warm_rows, warm_rows))
        state = {name: torch.cat((state[name][:1], tensor)) for name, tensor in warm.items()}
    total, counted = 0.0, 0
    chunk = max(1, min(_STREAM_CHUNK, _tokens_at_once(model) // streams))
    for first in range(0, each, chunk):
        last = min(first + chunk, each)
        rows = [tokens[i * each + first : i * each + last + 1] for i in range(streams)]
        inputs, targets, _ = inputs_and_targets(_tensor(np.stack(rows), model))
        logits, state = model(inputs, state)
        total, counted = total + _sum(logits, targets), counted + _count(targets)
    # What the division left over goes on from the last stream's state.
    rest = _tensor(np.asarray(tokens[streams * each : predictions + 1])[None], model)
    if rest.shape[1] > 1:
        state = {name: tensor[-1:] for name, tensor in state.items()}
        inputs, targets, _ = inputs_and_targets(rest)
        logits, _ = model(inputs, state)
        total, counted = total + _sum(logits, targets), counted + _count(targets)
    return total, counted


def _tokens_at_once(model: LanguageModel) -> int:
    """Tokens of a forward pass: fewer where the vocabulary is large, for memory and caches."""
    return min(_TOKENS_AT_ONCE, _LOGITS_AT_ONCE // model.config.vocab_size)


def _tensor(rows: np.ndarray, model: LanguageModel) -> Tensor:
    return torch.from_numpy(rows.astype(np.int64)).to(next(model.parameters()).device)


def _count(targets: Tensor) -> int:
    return int((targets >= 0).sum())


def _sum(logits: Tensor, targets: Tensor) -> float:
    losses = F.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=NOT_COUNTED, reduction="none"
    )
    return losses.cpu().double().sum().item()  # MPS has no float64


_SAMPLE_SEED = 1
_OPENING = "Hello! How are you?"
"""The first turn where no prompt is set."""
_TURNS = 4


def write_sample(
    model: LanguageModel, tokenizer: Tokenizer, settings: TrainingSettings, step: int
) -> Sample:
    """A sample of the model's text, by the runtime that `generate` uses, so of the same quality."""
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    generator = Generator(
        load_runtime(model.config, weights),
        tokenizer,
        defaults=GenerationConfig(sampling=SamplingSettings(seed=_SAMPLE_SEED)),
    )
    prompt, text = sample_of(generator, settings)
    return Sample(step, prompt, text)


def sample_of(generator: Generator, settings: TrainingSettings) -> tuple[str, str]:
    """(prompt, generated text), as `samples.jsonl` has them."""
    if generator.tokenizer.chat is None:
        generation = generator.generate(
            settings.sample_prompt, seed=_SAMPLE_SEED, max_tokens=settings.sample_tokens
        )
        return settings.sample_prompt, generation.text
    opening = settings.sample_prompt.strip() or _OPENING
    each = max(1, settings.sample_tokens // (_TURNS - 1))
    turns = converse(generator, opening, _TURNS, seed=_SAMPLE_SEED, max_tokens=each)
    names = {"user": SpeakerNames().user, "assistant": SpeakerNames().model}
    first, *rest = (f"{names[one.role]}: {one.content}" for one in turns)
    return f"{first}\n", "\n".join(rest)


class CompanionModel(LanguageModel):
    """A network mixed with a companion, for evaluation only; it can't be trained.

    Its state is the network's, and the mixer's as `companion`, (batch, order).
    """

    def __init__(self, network: LanguageModel, companion: Companion) -> None:
        super().__init__(network.config)
        self.network, self.companion = network, companion
        self._mixer = Mixer(companion, companion.table or nothing(network.config.vocab_size))

    def initial_state(self, batch_size: int) -> State:
        nodes = torch.from_numpy(np.tile(self._mixer.initial_state(), (batch_size, 1)))
        return self.network.initial_state(batch_size) | {"companion": nodes}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        inner = dict(self.initial_state(len(tokens)) if state is None else state)
        nodes = inner.pop("companion").numpy().copy()
        logits, after = self.network(tokens, inner)
        mixed = np.array(logits.float().cpu().numpy(), order="C")
        for row, state_of_row, read in zip(mixed, nodes, tokens.cpu().numpy(), strict=True):
            self._mixer.read(read, MixedState(None, state_of_row), row)
        after = after | {"companion": torch.from_numpy(nodes)}
        return torch.from_numpy(mixed).to(logits.device), after

    def matrices(self) -> Iterable[Matrices]:
        return ()
