"""Out of the run folder and into other programs: exports, imports, the Hub, a Gradio app.

Everything heavy (onnx, gguf, gradio, torch) is imported when it is asked for.
"""

from textwright.publishing.app import gradio_app
from textwright.publishing.exporting import TARGETS, export
from textwright.publishing.hub import pull, push
from textwright.publishing.importing import SOURCES, import_model

__all__ = ["SOURCES", "TARGETS", "export", "gradio_app", "import_model", "pull", "push"]
