"""The settings of a run, but for the model's: the contents of `run.toml`."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from textwright.configs.section import MAX_VOCAB_SIZE, Section
from textwright.errors import RequestError

Precision = Literal["auto", "float32", "bfloat16"]
"""Of matrix products; `auto` is the faster one on this machine."""


def _check_encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        text = "text".encode(name)  # with the mark that utf-16 must begin with
        decoded = codecs.lookup(name).incrementaldecoder("replace").decode(text, True)
        if not isinstance(decoded, str):
            raise TypeError
    except (LookupError, TypeError, ValueError, AssertionError):  # base64 and such are no encodings
        raise ValueError(
            f"{name!r} is no text encoding; e.g. utf-8, cp1252 (Western), cp1250 (Central "
            "European), cp1251 (Cyrillic), mac_roman, shift_jis"
        ) from None
    return name


CompanionChoice = Literal["auto", "off"]
"""Whether what a run counted in its text is mixed in; `auto` where that helps."""


def check_companion(choice: str) -> str:
    """`choice`. Raises `RequestError` where it is no `CompanionChoice`."""
    if choice not in get_args(CompanionChoice):
        raise RequestError(f"companion is auto or off, not {choice!r}")
    return choice


class CorpusSettings(Section):
    """Where the text comes from and how it is split."""

    sources: list[str] = Field(default=["shakespeare"])
    validation: str | None = None
    """A source to validate on, instead of a fraction."""
    validation_fraction: float = Field(default=0.1, gt=0.0, lt=1.0)
    """The share held out for validation, if the corpus has no published split: the end of running
    text, whole conversations chosen by their hashes."""
    form: Literal["auto", "text", "conversations"] = "auto"
    """What the files are read as; `auto` detects it."""
    encoding: Annotated[str | None, AfterValidator(_check_encoding)] = None
    """Of plain text, records and tables; None finds it, file by file."""
    field: str | None = None
    """Of records and tables: the field or column of text; None finds it."""
    assistant: str | None = None
    """Of chats as messengers export them: whom the model is to speak as; None: the other of two."""

    def reading(self) -> dict[str, Any]:
        """The arguments of `open_corpus` that say how files are read."""
        names = ("form", "encoding", "field", "assistant")
        return {name: getattr(self, name) for name in names}


class TokenizerSettings(Section):
    """How text becomes tokens."""

    kind: Literal["char", "word", "bpe"] = "char"
    vocab_size: int | None = Field(default=None, ge=2, le=MAX_VOCAB_SIZE)
    """Vocabulary size; char takes every distinct character and has no such setting."""
    lowercase: bool = False


def _none_or_value(value: Any) -> Any:
    """`none` is None, since TOML and the command line have no null."""
    return None if isinstance(value, str) and value.lower() in ("none", "") else value


class SamplingSettings(Section):
    """How the next token is sampled from the model's distribution."""

    temperature: float = Field(default=0.8, ge=0.0, le=100.0)
    """Logits are divided by it; 0 is greedy: the most likely token."""
    top_k: int = 0
    """Keep the k most likely tokens; 0 or less keeps all."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Keep the most likely tokens up to this cumulative probability (Holtzman et al., 2020)."""
    min_p: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Keep tokens at least this likely relative to the most likely (Nguyen et al., 2024)."""
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=100.0)
    """Logits of tokens that have occurred shrink by it (Keskar et al., 2019, section 4.1)."""
    stop: list[str] = Field(default=[])
    """Strings that end the text, and are not part of it."""
    seed: Annotated[int | None, BeforeValidator(_none_or_value)] = Field(default=None, ge=0)
    """The same seed, model, prompt and settings give the same text; None is a random one."""


class TrainingSettings(Section):
    """The recipe. Presets fill what the user does not set; `run.toml` records the result."""

    seed: int = Field(default=1, ge=0, lt=2**31)
    parent: str | None = None
    """A run whose weights to start from; it determines model and tokenizer."""
    steps: int | None = Field(default=None, ge=1)
    """The budget: optimizer steps, or `epochs`, or `minutes`; the first one set counts."""
    epochs: float | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=8, ge=1)
    """Samples of `block_size` tokens an optimizer step, over all micro-batches and workers."""
    micro_batch_size: int = Field(default=0, ge=0)
    """Samples of one pass; gradients accumulate over the batch. 0: the whole batch, or with a large
    vocabulary as many as have 16 million logits."""
    shards: int = Field(default=0, ge=0)
    """Parts of the batch that are learned by themselves, on a thread each where there are as many;
    0 lets the batch decide. The same number gives the same bytes on any number of threads."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """`muon` orthogonalizes the updates of hidden matrices; all else always takes AdamW."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """AdamW's."""
    matrix_learning_rate: float = Field(default=0.02, gt=0)
    """Muon's."""
    weight_decay: float = Field(default=0.1, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Muon's."""
    warmup: float = Field(default=0.02, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    decay: float = Field(default=0.6, ge=0, le=1)
    """Share of the steps, at the end, over which the learning rate falls."""
    final_learning_rate: float = Field(default=0.0, ge=0, le=1)
    """The learning rate at the end, as a share of its peak."""
    gradient_clip: float = Field(default=1.0, ge=0)
    """Largest norm of the whole gradient; 0 turns clipping off."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """Evaluate and save an exponential moving average of the weights; 0 turns it off."""
    fresh_starts: float = Field(default=0.0, ge=0, le=1)
    """Share of a recurrent model's samples in a step that start from the initial state instead of
    the carried one: so it learns to begin, as it must with every prompt."""
    sampled_softmax: int | None = Field(default=None, ge=0)
    """Types sampled a step to estimate the loss of a large vocabulary; 0 takes all, None samples
    2,048 of over 8,192 on a CPU."""
    patience: int = Field(default=10, ge=0)
    """Evaluations without improvement after which training stops early; 0 turns it off."""
    eval_every: int | None = Field(default=None, ge=1)
    """Steps between evaluations; None lets the plan choose."""
    eval_tokens: int | None = Field(default=None, ge=0)
    """Validation tokens an evaluation reads; 0 reads them all, None lets the plan choose."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Steps between checkpoints; None writes one at each evaluation."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """How many of the latest are kept, beside the best."""
    sample_prompt: str = ""
    """The prompt of the sample at each evaluation; empty begins a line."""
    sample_tokens: int = Field(default=200, ge=1, le=10_000)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Precision = "auto"
    """Of matrix products; `run.toml` records what `auto` chose."""
    compile: Literal["auto", "on", "off"] = "auto"
    loss_on: Literal["both", "assistant"] = "both"
    """Of conversations: whose turns count in the loss."""
    companion: CompanionChoice = "auto"
    """Count the text at the end too, and keep that beside the network where it predicts better."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 lets the plan choose. Where the batch is one shard they are torch's own, and
    exact resuming needs the same number."""


class Settings(Section):
    """Every setting of a run but the model's, which `config.json` holds."""

    corpus: CorpusSettings = CorpusSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    training: TrainingSettings = TrainingSettings()
    sampling: SamplingSettings = SamplingSettings()
