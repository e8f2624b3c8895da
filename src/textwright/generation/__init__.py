"""Generating one text, without torch: `load` a model, then `generate`, `stream`, `explain`, chat.

Begin with `generator.py`, whose methods are what users call. A `Cursor` has the model's state in a
text, a `Continuation` samples and decides where the text ends, a `Stream` joins the two; `chat.py`
and `chat_template.py` make a conversation of it. The models themselves are in `runtimes`, known
here by their protocol alone; many texts at once are `engine`'s matter, HTTP is `serving`'s.
Names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.generation.chat import Dialogue, converse
    from textwright.generation.chat_template import (
        ChatPrompt,
        Message,
        SpeakerNames,
        StreamStripper,
        strip_stream,
    )
    from textwright.generation.continuation import Stream
    from textwright.generation.generator import Generator
    from textwright.generation.loading import Models, load
    from textwright.generation.options import (
        GenerationConfig,
        Options,
        read_generation_config,
        write_generation_config,
    )
    from textwright.generation.results import Explanation, Generation, Step, TokenLogprob
    from textwright.generation.sampling import Sampler

_HOMES = {
    "ChatPrompt": "textwright.generation.chat_template",
    "Dialogue": "textwright.generation.chat",
    "Explanation": "textwright.generation.results",
    "Generation": "textwright.generation.results",
    "GenerationConfig": "textwright.generation.options",
    "Generator": "textwright.generation.generator",
    "Message": "textwright.generation.chat_template",
    "Models": "textwright.generation.loading",
    "Options": "textwright.generation.options",
    "Sampler": "textwright.generation.sampling",
    "SpeakerNames": "textwright.generation.chat_template",
    "Step": "textwright.generation.results",
    "Stream": "textwright.generation.continuation",
    "StreamStripper": "textwright.generation.chat_template",
    "TokenLogprob": "textwright.generation.results",
    "converse": "textwright.generation.chat",
    "load": "textwright.generation.loading",
    "read_generation_config": "textwright.generation.options",
    "strip_stream": "textwright.generation.chat_template",
    "write_generation_config": "textwright.generation.options",
}

__all__ = [
    "ChatPrompt",
    "Dialogue",
    "Explanation",
    "Generation",
    "GenerationConfig",
    "Generator",
    "Message",
    "Models",
    "Options",
    "Sampler",
    "SpeakerNames",
    "Step",
    "Stream",
    "StreamStripper",
    "TokenLogprob",
    "converse",
    "load",
    "read_generation_config",
    "strip_stream",
    "write_generation_config",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
