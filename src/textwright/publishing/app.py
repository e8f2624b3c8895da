"""A small Gradio app for one model: in a notebook, the browser, or a Space.

Its inputs are seed text, maximum tokens, temperature and top-N; the text is streamed. Gradio's
analytics are off, and its theme loads no fonts from elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textwright.errors import MissingPackageError, TextwrightError
from textwright.generation import Generator, load
from textwright.runs import Run

if TYPE_CHECKING:
    import gradio

MAX_TOKENS, TEMPERATURE = 100, 0.7
"""The inputs' initial values."""

_TOKEN_LIMIT = 2000
_CONCURRENCY = 8
"""Texts generated at the same time; further ones are queued."""


def gradio_app(
    run: str | Path | Run | Generator, runs_folder: str | Path | None = None
) -> gradio.Blocks:
    """The app of a model; its `launch()` starts it, in a notebook too.

    Args:
        run: as for `textwright.load`, or a generator.
        runs_folder: the folder of runs.

    Raises:
        MissingPackageError: gradio isn't installed.
        RunError: there is no such run.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio reads it on import and later
    try:
        import gradio as gr
    except ImportError as error:
        raise MissingPackageError(
            "the app needs gradio; pip install 'textwright[gradio]'"
        ) from error
    model = run if isinstance(run, Generator) else load(run, runs_folder)

    def write(
        seed_text: str, max_tokens: float, temperature: float, top_n: float | None
    ) -> Iterator[str]:
        yield from _texts(gr, model, seed_text, max_tokens, temperature, top_n)

    with gr.Blocks(title=model.name, analytics_enabled=False) as app:
        gr.Markdown(f"# {model.name}\n\nA small language model. It continues your text.")
        with gr.Row():
            with gr.Column():
                seed_text = gr.Textbox(
                    "", label="Seed text", lines=4, placeholder="Once upon a time"
                )
                max_tokens = gr.Number(
                    MAX_TOKENS, label="Maximum tokens", precision=0, minimum=1, maximum=_TOKEN_LIMIT
                )
                temperature = gr.Slider(0, 2, TEMPERATURE, step=0.05, label="Temperature")
                # a value, or the app's API wants one with each call
                top_n = gr.Number(
                    0, label="Top-N", precision=0,
                    info="Only the N likeliest tokens; 0 or less: all",
                )  # fmt: skip
                with gr.Row():
                    start = gr.Button("Write", variant="primary")
                    stop = gr.Button("Stop")
            text = gr.Textbox(label="Text", lines=16, buttons=["copy"], elem_id="text")
        inputs = [seed_text, max_tokens, temperature, top_n]
        job = start.click(write, inputs, text, api_name="generate", concurrency_limit=_CONCURRENCY)
        stop.click(None, cancels=[job], api_visibility="private")
    return app


def _texts(
    gr: Any,
    model: Generator,
    seed_text: str,
    max_tokens: float,
    temperature: float,
    top_n: float | None,
) -> Iterator[str]:
    """Yields the seed text with its continuation so far, once per piece."""
    try:
        count = min(int(max_tokens or MAX_TOKENS), _TOKEN_LIMIT)
        stream = model.stream(
            seed_text or "", max_tokens=count, temperature=temperature, top_k=int(top_n or 0)
        )
        text = stream.generation.prompt
        for piece in stream:
            text += piece
            yield text
        yield text
    except TextwrightError as error:
        raise gr.Error(str(error), print_exception=False) from error
