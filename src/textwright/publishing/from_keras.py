"""`--from keras`: a character model of Keras (an embedding, recurrent layers, a dense output).

A `.keras` file, or the weights alone in a `.weights.h5`, is read by h5py: neither Keras nor
TensorFlow is needed, and nothing in the file is executed. Its characters are not in it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from textwright.arrays import Floats
from textwright.configs import RecurrentConfig, one_line
from textwright.errors import MissingPackageError, RequestError
from textwright.publishing.imports import ImportedModel
from textwright.publishing.vocabularies import character_tokenizer, read_tokenizer
from textwright.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK_SIZE = 100
"""Characters of a training sample in Keras' and TensorFlow's examples."""
_UNKNOWN = 1
"""Rows before those of the characters where a `StringLookup` made the ids: that of `[UNK]`."""

_FIXED: dict[str, dict[str, Any]] = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False},
    "GRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False,
            "reset_after": True},
    "SimpleRNN": {"activation": "tanh", "go_backwards": False},
    "Embedding": {}, "Dense": {}, "Dropout": {}, "SpatialDropout1D": {}, "InputLayer": {},
}  # fmt: skip
"""Layers that can be read, and what a setting of theirs must be."""
_FAMILIES = {4: "lstm", 3: "gru", 1: "rnn"}
"""By gates."""
_GATES = {"gru": (1, 0, 2)}
"""The places of torch's gates among Keras': reset, update, new."""


class _Layer(NamedTuple):
    name: str
    weights: list[Floats]


def read(path: str, tokenizer: Path | None) -> ImportedModel:
    """Read a `.keras` or `.weights.h5` file. Raises `RequestError`."""
    file = Path(path)
    if tokenizer is None:
        raise RequestError(
            f"{file} doesn't hold its characters; name with --tokenizer the text that it was "
            "trained on (a .txt), its characters as a list (a .json), or a tokenizer.json"
        )
    layers = list(_layers(file))
    embeddings = [one for one in layers if len(one.weights) == 1]
    dense = [one for one in layers if len(one.weights) == 2 and one.weights[1].ndim == 1
             and "/cell" not in one.name]  # fmt: skip
    recurrent = sorted((one for one in layers if "/cell" in one.name), key=_order)
    if len(embeddings) != 1 or len(dense) != 1 or not recurrent:
        raise RequestError(
            f"{file} is no embedding, recurrent layers (with biases) and one dense output: it has "
            f"{', '.join(one.name for one in layers) or 'no weights'}"
        )
    table, (kernel, bias) = embeddings[0].weights[0], dense[0].weights
    width, gates = recurrent[0].weights[1].shape
    family = _FAMILIES.get(gates // width, "lstm")
    try:
        config = RecurrentConfig.model_validate(
            {
                "family": family, "vocab_size": len(table), "embedding_size": table.shape[1],
                "hidden_size": [one.weights[1].shape[0] for one in recurrent],
                "block_size": _BLOCK_SIZE,
            }
        )  # fmt: skip
    except ValidationError as error:
        raise RequestError(f"{file} can't be imported: {one_line(error)}") from error
    weights = {"embedding.weight": table, "output.weight": kernel.T, "output.bias": bias}
    for number, layer in enumerate(recurrent):
        weights |= _converted(family, number, layer.weights, file)
    characters = _characters(tokenizer, len(table))
    unknown = len(table) - characters.vocab_size
    if unknown == _UNKNOWN:  # the model reads it for what it never saw, which is left out here
        for name in ("embedding.weight", "output.weight", "output.bias"):
            weights[name] = weights[name][unknown:]
        config = config.model_copy(update={"vocab_size": characters.vocab_size})
    return ImportedModel(config, _tensors(weights), characters, file)


def _layers(file: Path) -> Iterator[_Layer]:
    """The layers with weights, by their place in the file."""
    try:
        import h5py
    except ImportError as error:
        raise MissingPackageError(
            "reading a Keras model needs h5py; pip install 'textwright[export]'"
        ) from error
    try:
        content: Any = file
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                _check(json.loads(archive.read("config.json")), file)
                content = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content, "r") as data:
            found: dict[str, list[Floats]] = {}

            def collect(name: str, item: Any) -> None:
                place, is_weight, _ = name.partition("/vars/")
                if is_weight and isinstance(item, h5py.Dataset) and "optimizer" not in place:
                    found.setdefault(place, []).append(np.asarray(item, np.float32))

            data.visititems(collect)
    except RequestError:
        raise
    except FileNotFoundError:
        raise RequestError(f"there is no file {file}; check the path") from None
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{file} can't be read as a .keras or .weights.h5 file: {one_line(error)}; save it "
            "with Keras 3: model.save('model.keras')"
        ) from error
    if not found:
        raise RequestError(
            f"{file} holds no layers as Keras 3 writes them; save it with model.save('model.keras')"
        )
    for name, arrays in found.items():
        yield _Layer(name.removeprefix("layers/"), arrays)


def _check(config: Any, file: Path) -> None:
    """Raise `RequestError` where the model computes something else than a family of ours."""
    for layer in config.get("config", {}).get("layers", []):
        kind, settings = layer["class_name"], layer["config"]
        if kind not in _FIXED:
            raise RequestError(
                f"{file}: it has a layer {kind}, which no family here has, so it can't be imported"
            )
        for name, value in _FIXED[kind].items():
            if settings.get(name, value) != value:
                raise RequestError(
                    f"{file}: {kind}'s {name} is {settings[name]!r}, so it can't be imported; only "
                    f"{value!r} can"
                )
        if kind == "Dense" and settings.get("activation") not in ("linear", "softmax"):
            raise RequestError(
                f"{file}: Dense's activation is {settings['activation']!r}, so it can't be imported"
            )


def _order(layer: _Layer) -> int:
    """Keras numbers the layers of a kind: lstm, lstm_1, lstm_2."""
    number = re.search(r"_(\d+)/cell$", layer.name)
    return int(number[1]) if number else 0


def _converted(
    family: str, number: int, weights: Sequence[Floats], file: Path
) -> dict[str, Floats]:
    """One recurrent layer with torch's names, (out, in) matrices and order of gates."""
    if len(weights) != 3:
        raise RequestError(f"{file}: its recurrent layers have no biases, so it can't be imported")
    kernel, recurrent, bias = weights
    if family == "gru" and bias.ndim != 2:
        raise RequestError(
            f"{file}: GRU's reset_after is False, so it can't be imported; only True can"
        )
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    count = recurrent.shape[1] // recurrent.shape[0]
    gates = _GATES.get(family, tuple(range(count)))

    def ordered(rows: Floats) -> Floats:
        blocks = np.split(rows, count)
        return np.concatenate([blocks[gate] for gate in gates])

    return {
        f"layers.{number}.weight_ih": ordered(kernel.T),
        f"layers.{number}.weight_hh": ordered(recurrent.T),
        f"layers.{number}.bias_ih": ordered(biases[0]),
        f"layers.{number}.bias_hh": ordered(biases[1]),
    }


def _characters(file: Path, rows: int) -> Tokenizer:
    """The characters in the order of their ids: of a text as these examples sort them, or listed.

    Raises:
        RequestError: it can't be read, or has other than `rows` characters or one less.
    """
    try:
        text = file.read_text(encoding="utf-8") if file.suffix != ".pkl" else ""
        listed = json.loads(text) if file.suffix == ".json" else sorted(set(text))
    except (OSError, ValueError) as error:
        raise RequestError(
            f"--tokenizer {file} can't be read ({one_line(error)}); name a .txt, .json or .pkl"
        ) from error
    if file.suffix == ".pkl" or isinstance(listed, dict):
        return read_tokenizer(file)
    if isinstance(listed, list) and len(listed) == rows and "[UNK]" in listed[:1]:
        listed = listed[1:]
    if not isinstance(listed, list) or not 0 <= rows - len(listed) <= _UNKNOWN:
        raise RequestError(
            f"--tokenizer {file} has {len(listed)} characters, and the model has {rows} rows: "
            f"there must be {rows}, or {rows - 1} after one for [UNK]"
        )
    return character_tokenizer({character: i for i, character in enumerate(listed)})


def _tensors(weights: dict[str, Floats]) -> dict[str, Tensor]:
    import torch

    return {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
