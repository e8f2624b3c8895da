"""The sample at each evaluation: the same prompt and seed, so that one sees the model learn.

A model of conversations has one, of four turns, with itself: the first is given.
"""

from __future__ import annotations

from textwright.configs import SamplingSettings, TrainingSettings
from textwright.generation.chat import converse
from textwright.generation.chat_template import SpeakerNames
from textwright.generation.generator import Generator
from textwright.generation.options import GenerationConfig
from textwright.models import LanguageModel
from textwright.runtimes.registry import load_runtime
from textwright.tokenizers import Tokenizer
from textwright.training.loop.callbacks import Sample

SEED = 1
OPENING = "Hello! How are you?"
"""What a conversation begins with where no prompt is set."""
TURNS = 4


def write_sample(
    model: LanguageModel, tokenizer: Tokenizer, settings: TrainingSettings, step: int
) -> Sample:
    """Let the model write, on the runtime that `generate` uses: what is shown is what one gets."""
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    generator = Generator(
        load_runtime(model.config, weights),
        tokenizer,
        defaults=GenerationConfig(sampling=SamplingSettings(seed=SEED)),
    )
    prompt, text = sample_of(generator, settings)
    return Sample(step, prompt, text)


def sample_of(generator: Generator, settings: TrainingSettings) -> tuple[str, str]:
    """(prompt, what follows), as `samples.jsonl` has them."""
    if generator.tokenizer.chat is None:
        generation = generator.generate(
            settings.sample_prompt, seed=SEED, max_tokens=settings.sample_tokens
        )
        return settings.sample_prompt, generation.text
    opening = settings.sample_prompt.strip() or OPENING
    each = max(1, settings.sample_tokens // (TURNS - 1))
    said = converse(generator, opening, TURNS, seed=SEED, max_tokens=each)
    names = {"user": SpeakerNames().user, "assistant": SpeakerNames().model}
    first, *rest = (f"{names[one.role]}: {one.content}" for one in said)
    return f"{first}\n", "\n".join(rest)
