"""A stranger's `tokenizer.json` is held against what one can be before the library reads it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from textwright.errors import RunError, TokenizerError
from textwright.runs import SHIPPED_MODELS, Run
from textwright.tokenizers import Tokenizer

FILE = (SHIPPED_MODELS / "chat" / "tokenizer.json").read_text(encoding="utf-8")


def nested(depth: int) -> dict[str, Any]:
    step: dict[str, Any] = {"type": "NFC"}
    for _ in range(depth):
        step = {"type": "Sequence", "normalizers": [step]}
    return step


def put(*path: str) -> Callable[[Any], Callable[[dict[str, Any]], None]]:
    def of(value: Any) -> Callable[[dict[str, Any]], None]:
        def change(data: dict[str, Any]) -> None:
            for name in path[:-1]:
                data = data[name]
            data[path[-1]] = value

        return change

    return of


REFUSED = {
    "deep": put("normalizer")(nested(400)),
    "no model": put("model")(None),
    "model of a list": put("model")([1]),
    "no type": put("model", "type")(None),
    "type of a list": put("model", "type")(["BPE"]),
    "another model": put("model", "type")("Unigram"),
    "vocabulary of a list": put("model", "vocab")(["a"]),
    "ids of text": put("model", "vocab")({"a": "0"}),
    "an id of a thousand million": put("model", "vocab")({"a": 10**9}),
    "an id below 0": put("model", "vocab")({"a": -1}),
    "merges of numbers": put("model", "merges")([1, 2]),
    "merges of three": put("model", "merges")(["a b c"]),
    "added of text": put("added_tokens")("x"),
    "added without content": put("added_tokens")([{"id": 0}]),
    "normalizer of text": put("normalizer")("NFC"),
    "another step": put("pre_tokenizer")({"type": "Metaspace"}),
    "parts of text": put("normalizer")({"type": "Sequence", "normalizers": "x"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_tokenizer_can_be_is_one_line(name: str) -> None:
    data = copy.deepcopy(json.loads(FILE))
    REFUSED[name](data)
    with pytest.raises(TokenizerError) as error:
        Tokenizer(json.dumps(data))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["", "[]", "7", "null", "{}", "[" * 100_000, '{"model": {}}'])
def test_what_is_no_tokenizer_at_all(file: str) -> None:
    with pytest.raises(TokenizerError):
        Tokenizer(file)


def test_padding_and_truncation_do_nothing() -> None:
    """A padding of two thousand million tokens would abort the whole process."""
    data = json.loads(FILE)
    sound = Tokenizer(FILE).encode("Hello there")
    data["padding"] = {
        "strategy": {"Fixed": 2_000_000_000}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>",
    }  # fmt: skip
    data["truncation"] = {"max_length": 1, "strategy": "LongestFirst", "stride": 0,
                          "direction": "Right"}  # fmt: skip
    assert Tokenizer(json.dumps(data)).encode("Hello there") == sound


def test_a_folder_or_pipe_in_place_of_a_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import os

    run = Run(tmp_path)
    run.config_file.mkdir()
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        run.config()
    if hasattr(os, "mkfifo"):
        os.mkfifo(run.generation_config_file)
        with pytest.raises(RunError, match="a pipe or a device in its place"):
            run.read_json(run.generation_config_file)
    run.tokenizer_file.write_text('{"a": ' * 100_000)
    with pytest.raises(RunError, match="damaged"):
        run.read_json(run.tokenizer_file)
