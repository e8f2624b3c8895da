"""What an exported or pushed folder says of its own accord: lengths, padding, its own place."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

import textwright
from small_models import TEXT, random_weights, small_config, write_run
from textwright import publishing
from textwright.publishing.cards import moved
from textwright.runs import Run, shipped
from textwright.tokenizers import train_tokenizer


def made(folder: Path, family: str, kind: str) -> Run:
    tokenizer = train_tokenizer(kind, lambda: [TEXT])
    config = small_config(family, tokenizer.vocab_size)
    return write_run(folder / f"{family}-{kind}", config, random_weights(config), tokenizer)


def read(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
@pytest.mark.parametrize("family", ["gpt", "transformer", "lstm"])
def test_what_is_exported_or_pushed_stays_in_its_context(
    family: str, kind: str, tmp_path: Path
) -> None:
    run = made(tmp_path / "runs", family, kind)
    before = {file.name: file.read_bytes() for file in run.path.iterdir()}
    exported = publishing.export(run, "transformers", tmp_path / "out")
    (pushed,) = publishing.push(run, "ann/it", dry_run=tmp_path / "dry")
    for folder in (exported, Path(pushed)):
        generation = read(folder, "generation_config.json")
        reading = read(folder, "tokenizer_config.json")
        if family == "lstm":
            assert generation["max_new_tokens"] == 200 and "max_length" not in generation
        else:
            assert generation["max_length"] == reading["model_max_length"] == 16
            assert "max_new_tokens" not in generation
        assert "pad_token_id" in generation and reading["padding_side"] == "left"
        tokenizer = textwright.load(run).tokenizer
        if kind == "char":
            assert "pad_token" not in reading
        else:
            pad = tokenizer.backend.token_to_id(reading["pad_token"])
            assert pad == generation["pad_token_id"]
            assert kind == "word" or tokenizer.token_bytes(pad) == b"\xff"
        # of our own programs, the text stays the same
        options: dict[str, Any] = {"max_tokens": 30, "seed": 1}
        texts = [textwright.load(one).generate("It was", **options).text for one in (folder, run)]
        assert texts[0] == texts[1]
        assert textwright.load(folder).defaults == textwright.load(run).defaults
    assert {file.name: file.read_bytes() for file in run.path.iterdir()} == before


@pytest.mark.parametrize("run", shipped(), ids=lambda run: str(run.name))
def test_a_shipped_models_card_names_the_place_where_it_is(run: Run, tmp_path: Path) -> None:
    exported = publishing.export(run, "transformers", tmp_path / "my_export")
    (pushed,) = publishing.push(run, "ann/it", dry_run=tmp_path / "dry")
    again = publishing.push(Run(Path(pushed)), "bob/that", dry_run=tmp_path / "again")[0]
    for folder, place in ((exported, "./my_export"), (pushed, "hf:ann/it"), (again, "hf:bob/that")):
        card = (Path(folder) / "README.md").read_text(encoding="utf-8")
        assert f"tw.load({place!r})" in card and "runs.find(" not in card
        assert re.search(rf"^textwright (generate|chat) {place}( |$)", card, re.MULTILINE)
        assert not re.search(rf"textwright (generate|chat) {run.name}[ `\n]", card)
        if "transformers import" in card:
            assert f"\npath = {place.removeprefix('hf:')!r}\n" in card


def test_a_card_without_commands_stays_as_it_is() -> None:
    assert moved("# Of another project\n", "hf:ann/it") == "# Of another project\n"


@pytest.mark.slow
def test_the_plainest_call_ends_with_the_context(tmp_path: Path) -> None:
    from transformers import pipeline, set_seed

    run = next(one for one in shipped() if one.name == "shakespeare")
    model = textwright.load(run)
    block = model.runtime.block_size
    assert block is not None
    write = pipeline("text-generation", model=str(publishing.export(run, "transformers", tmp_path)))
    set_seed(0)
    text = write("ROMEO:")[0]["generated_text"]
    assert len(model.tokenizer.encode(text)) <= block
    own = model.generate("ROMEO:", max_tokens=block - 6, seed=1)
    bits = [
        -sum(math.log2(one.probability) for one in model.explain(each)) / len(each)
        for each in (text, str(own))
    ]
    print(f"bits a character: {bits[0]:.2f}, textwright's own {bits[1]:.2f}")
    assert bits[0] < bits[1] + 0.7  # noise has one more
