"""Models to and from other programs: exports, imports, the Hugging Face Hub, a Gradio app.

Begin with `exports.export` and `imports.import_model`, whose tables name a module per format
(`to_onnx`, `from_nanogpt`, …), each with one function; then `hub`. Heavy packages (onnx, gguf,
gradio, torch) are imported when they are needed. Nothing here trains; a format that can't express
a model raises `RequestError`.
"""

from textwright.publishing.app import gradio_app
from textwright.publishing.exports import TARGETS, export
from textwright.publishing.hub import pull, push
from textwright.publishing.imports import SOURCES, import_model, import_run

__all__ = [
    "SOURCES",
    "TARGETS",
    "export",
    "gradio_app",
    "import_model",
    "import_run",
    "pull",
    "push",
]
