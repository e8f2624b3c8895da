"""A `Runtime` on onnxruntime: what a user of the exported graph writes, in 30 lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

NEW = "new."


class OnnxRuntime:
    """Runs the exported step graph for one sequence."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        about = self.session.get_modelmeta().custom_metadata_map
        self.vocab_size = int(about["vocab_size"])
        self.block_size = int(about["block_size"]) if "block_size" in about else None
        self.outputs = [output.name for output in self.session.get_outputs()]

    def initial_state(self) -> dict[str, np.ndarray]:
        inputs = [i for i in self.session.get_inputs() if i.name != "tokens"]
        sizes = {"batch": 1, "held": 0}
        return {
            i.name: np.zeros([sizes.get(size, size) for size in i.shape], np.float32)
            for i in inputs
        }

    def __call__(
        self, tokens: Any, state: dict[str, np.ndarray], *, last_only: bool = False
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        feed = {"tokens": np.asarray(tokens, np.int64).reshape(1, -1), **state}
        found = dict(zip(self.outputs, self.session.run(None, feed), strict=True))
        logits = found.pop("logits")[0]
        after = {name.removeprefix(NEW): value for name, value in found.items()}
        return (logits[-1:] if last_only else logits), after
