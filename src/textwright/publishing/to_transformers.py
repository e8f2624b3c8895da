"""`--to transformers`: a folder that Hugging Face's `transformers` loads.

`gpt` and `transformer` are stock architectures, so this is their model folder, with weights in
float32, since `transformers` computes in the stored type. Recurrent models, which have no stock
class, load with `textwright.RecurrentModel`, a `PyTorchModelHubMixin`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.numpy import save

from textwright import atomic
from textwright.publishing.cards import write_card
from textwright.publishing.defaults import write_defaults
from textwright.publishing.exports import check_folder
from textwright.runs import Run
from textwright.runs.weights import read_weights


def export(run: Run, out: Path) -> Path:
    """Write and return the folder `out`. Raises `RequestError` where it can't be replaced."""
    run.config()  # raises for a damaged one
    check_folder(out, [file.name for file in run.model_files], run)
    weights = read_weights(run.weights_file)
    with atomic.replacing(out) as partial:
        partial.mkdir()
        for file in run.files_to_copy():
            if file not in (run.weights_file, run.companion_file):
                shutil.copyfile(file, partial / file.name)
        write_defaults(run, partial)
        write_card(run, partial, f"./{out.name}")
        data = save(weights, metadata={"format": "pt"})
        (partial / run.weights_file.name).write_bytes(data)  # with the folder's permissions
    return out
