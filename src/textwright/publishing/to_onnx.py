"""`--to onnx`: one step graph `(tokens, state) → (logits, state)` for every family.

The graph takes any number of tokens of any number of sequences and returns logits after each, with
the state for the next call: so it serves for prefill and decoding. State tensors have the names
and shapes of the torch models; those returned have the prefix `new.`. An attention model takes at
most `block_size` tokens including those in its state; when that is full, restart with the last
half, as all runtimes of textwright do.

It is built operator by operator, from operators that all ONNX runtimes have had for years.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from textwright import atomic
from textwright.configs import GPTConfig, ModelConfig, RecurrentConfig, TransformerConfig
from textwright.errors import MissingPackageError, RequestError
from textwright.publishing.defaults import write_defaults
from textwright.publishing.exports import check_folder
from textwright.runs import Run
from textwright.runs.weights import read_weights

MODEL_FILE = "model.onnx"

WEIGHTS_FILE = "model.onnx.data"
"""The weights of a model too large for one file."""

_LARGEST = 2_000_000_000
"""Bytes of weights that fit into one protobuf file; beyond that they get a file of their own."""


def export(run: Run, out: Path) -> Path:
    """Write the folder `out`: the graph, and the model's config and tokenizer files.

    Raises:
        RequestError: the family has no graph, or `out` can't be replaced.
        MissingPackageError: `onnx` isn't installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError(
            "the export to ONNX needs onnx; pip install 'textwright[export]'"
        ) from error
    config = run.config()
    files = (run.config_file, run.tokenizer_file, run.tokenizer_config_file,
             run.generation_config_file)  # fmt: skip
    check_folder(out, [MODEL_FILE, WEIGHTS_FILE, *(file.name for file in files)], run)
    run.files_to_copy()  # raises for links
    weights = read_weights(run.weights_file)
    model = build(config, weights)
    is_large = sum(array.nbytes for array in weights.values()) > _LARGEST
    with atomic.replacing(out) as partial:
        partial.mkdir()
        for file in files:
            if file.is_file():
                shutil.copyfile(file, partial / file.name)
        write_defaults(run, partial)
        onnx.save_model(model, str(partial / MODEL_FILE), save_as_external_data=is_large,
                        location=WEIGHTS_FILE)  # fmt: skip
    return out


def build(config: ModelConfig, weights: dict[str, Any]) -> Any:
    """The `onnx.ModelProto` of a model.

    Args:
        config: its config.
        weights: the tensors of its `model.safetensors`, float32.

    Raises:
        RequestError: the family has no graph here.
        RunError: a tensor is missing, or has another shape.
    """
    from textwright.publishing.onnx_attention import gpt_graph, transformer_graph
    from textwright.publishing.onnx_recurrent import recurrent_graph

    if isinstance(config, RecurrentConfig):
        graph = recurrent_graph(config, weights)
    elif isinstance(config, GPTConfig):
        graph = gpt_graph(config, weights)
    elif isinstance(config, TransformerConfig):
        graph = transformer_graph(config, weights)
    else:
        raise RequestError(
            f"a model of the family {config.family!r} can't be exported to ONNX: textwright has no "
            "graph for it; lstm, gru, rnn, gpt and transformer have one"
        )
    metadata = {"family": config.family, "vocab_size": str(config.vocab_size)}
    if config.order == "windows":
        metadata["block_size"] = str(config.block_size)
    return graph.model(metadata)
