"""Out of the run folder and into other programs: exports, imports, the Hub, a Gradio app.

Everything heavy (onnx, gguf, gradio, torch) is imported when it is asked for.
"""

from textwright.publishing.exporting import TARGETS, export

__all__ = ["TARGETS", "export"]
