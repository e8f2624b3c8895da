"""The sample at each evaluation: the same prompt and seed, so that one sees the model learn."""

from __future__ import annotations

from textwright.configs import SamplingSettings, TrainingSettings
from textwright.generation import Defaults, Generator, load_runtime
from textwright.models import LanguageModel
from textwright.tokenizers import Tokenizer
from textwright.training.events import Sample

SEED = 1


def write_sample(
    model: LanguageModel, tokenizer: Tokenizer, settings: TrainingSettings, step: int
) -> Sample:
    """Let the model write, on the runtime that `generate` uses: what is shown is what one gets."""
    weights = {name: tensor.numpy() for name, tensor in model.weights().items()}
    generator = Generator(
        load_runtime(model.config, weights),
        tokenizer,
        defaults=Defaults(sampling=SamplingSettings(seed=SEED)),
    )
    generation = generator.generate(settings.sample_prompt, max_tokens=settings.sample_tokens)
    return Sample(step, settings.sample_prompt, generation.text)
