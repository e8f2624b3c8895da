"""Generating text, without torch: `load` a model, then `generate`, `stream`, `explain`."""

from textwright.generation.defaults import (
    Defaults,
    read_generation_config,
    write_generation_config,
)
from textwright.generation.dialogue import Dialogue, converse
from textwright.generation.engine import Engine
from textwright.generation.families import RUNTIMES, load_runtime
from textwright.generation.generator import Generator
from textwright.generation.jobs import Job
from textwright.generation.library import Library, ModelStatus
from textwright.generation.messages import ChatPrompt, Message, Names, Trim, trimmed
from textwright.generation.models import Models, load
from textwright.generation.requests import Options
from textwright.generation.results import Explanation, Generation, Step, TokenLogprob
from textwright.generation.runtime import Runtime, State
from textwright.generation.sampling import Sampler
from textwright.generation.stream import Stream
from textwright.generation.weights import read_weights

__all__ = [
    "RUNTIMES",
    "ChatPrompt",
    "Defaults",
    "Dialogue",
    "Engine",
    "Explanation",
    "Generation",
    "Generator",
    "Job",
    "Library",
    "Message",
    "ModelStatus",
    "Models",
    "Names",
    "Options",
    "Runtime",
    "Sampler",
    "State",
    "Step",
    "Stream",
    "TokenLogprob",
    "Trim",
    "converse",
    "load",
    "load_runtime",
    "read_generation_config",
    "read_weights",
    "trimmed",
    "write_generation_config",
]
