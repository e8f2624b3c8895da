"""`--to transformers`: a folder that Hugging Face's own classes load.

`gpt` and `transformer` are stock shapes, so their model folder is almost it: the weights become
float32, for `transformers` computes in whatever is stored. Recurrent models, which have no stock
class, load with `textwright.RecurrentModel`, a `PyTorchModelHubMixin`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.numpy import save

from textwright import atomic
from textwright.publishing.exporting import check_folder
from textwright.runs import Run
from textwright.runs.weights import read_weights


def export(run: Run, out: Path) -> Path:
    """Write the folder `out`; gives it back. Raises `RequestError` where it is in the way."""
    run.config()  # a damaged one ends it here
    check_folder(out, [file.name for file in run.model_files], run)
    weights = read_weights(run.weights_file)
    with atomic.replacing(out) as partial:
        partial.mkdir()
        for file in run.model_files:
            if file.is_file() and file != run.weights_file:
                shutil.copyfile(file, partial / file.name)
        data = save(weights, metadata={"format": "pt"})
        (partial / run.weights_file.name).write_bytes(data)  # readable for whom the folder is
    return out
