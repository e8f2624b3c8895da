"""A training in a browser's tab reads a text, plans and keeps it as Python does; run in Node."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import tomllib
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from node import modules, run_script

from textwright.configs import TrainingSettings, model_config
from textwright.data import open_corpus, prepare_tokens
from textwright.data.corpus import Corpus
from textwright.reporting.verdict import verdict
from textwright.tokenizers import extend_tokenizer, train_tokenizer
from textwright.training.loop.evaluation import protocol
from textwright.training.loop.shards import resolve_shards
from textwright.training.planning.presets import dropout_for, model_settings, preset

Jobs = Callable[..., list[Any]]


@pytest.fixture(scope="module", name="there")
def _there(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Gives `tab_learning.mjs` some jobs."""
    folder = modules(tmp_path_factory.mktemp("learning"))
    return lambda *jobs: run_script("tab_learning.mjs", folder, given=jobs)  # type: ignore[no-any-return]


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


PROSE = "It was the best of times, it was the worst of times; 1859.\n" * 20
GUTENBERG = (
    "The Project Gutenberg eBook of A Tale\n\nThis eBook is for the use of anyone anywhere.\n\n"
    "Title: A Tale\n\n*** START OF THE PROJECT GUTENBERG EBOOK A TALE\nOF TWO CITIES ***\n\n"
    "Produced by Judith Boss\n\n\n\n"
)
LICENCE = (
    "\n\nEnd of Project Gutenberg's A Tale\n\n*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***\n"
    "\nSection 1. General Terms of the Project Gutenberg licence\n"
)
TEXTS = {
    "plain": PROSE.encode(),
    "crlf": PROSE.replace("\n", "\r\n").encode() + b"the end\r",
    "mark": b"\xef\xbb\xbf" + PROSE.encode() + b"\xef\xbb\xbfagain\0.\n",
    "utf-16": PROSE.encode("utf-16"),
    "chinese": ("天地玄黃，宇宙洪荒。\n日月盈昃，辰宿列張。\n" * 8).encode(),
    "emoji": ("a👩‍👩‍👧 b🇩🇪 c😀, ✍️ e\u0301te\u0301 é\n" * 9).encode(),
    "hangul": ("\u1112\u1161\u11ab\u1100\u1173\u11af 한글\n" * 9).encode(),
    "western": "Ça va où? Voilà l'été, naïve Käse – “so”\n".encode("cp1252") * 30,
    "damaged": ("Größe, Überfluß, Mäuse – größer.\n" * 20).encode() + b"\xff\xc3( end\n",
    "tiny": b"abab abab !!",
    "gutenberg": (GUTENBERG + PROSE + LICENCE).encode(),
    "gutenberg-crlf": (GUTENBERG + PROSE + LICENCE).replace("\n", "\r\n").encode(),
    "header-alone": (GUTENBERG + PROSE + "\x1c \n\n").encode(),
    "quoted-marker": (PROSE * 80 + LICENCE + PROSE * 80).encode(),
    "small-print": (
        "Welcome to Project Gutenberg Etexts\nTitle: Old\n*** START OF THIS PROJECT GUTENBERG "
        "EBOOK OLD ***\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN*\n" + PROSE
        + "End of the Project Gutenberg Etext of Old\n"
    ).encode(),
    "late": ("ab " * 400 + "xyz Ωé日 zz").encode(),
}  # fmt: skip


def opened(folder: Path, data: bytes, **options: Any) -> Corpus:
    file = folder / "my.txt"
    file.write_bytes(data)
    return open_corpus([str(file)], form="text", cache=folder / "cache", **options)


@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_a_text_becomes_the_corpus_of_python(there: Jobs, tmp_path: Path, fraction: float) -> None:
    """Cleaned, split, its characters and their ids, and the bits that ids don't tell."""
    jobs = [
        {"kind": "read", "bytes": packed(data), "fraction": fraction} for data in TEXTS.values()
    ]
    for (name, data), given in zip(TEXTS.items(), there(*jobs), strict=True):
        encoding = "cp1252" if name == "western" else None  # Python guesses among more of them
        corpus = opened(tmp_path, data, validation_fraction=fraction, encoding=encoding)
        tokenizer = train_tokenizer("char", corpus.train.chunks)
        train = prepare_tokens(corpus.train, tokenizer, tmp_path / "cache")
        validation = prepare_tokens(corpus.validation, tokenizer, tmp_path / "cache", hidden=True)
        assert given["sha256"] == corpus.sha256, name
        assert given["characters"] == [corpus.train.characters, corpus.validation.characters], name
        assert given["train"] == train.array().tolist(), name
        assert given["validation"] == validation.array().tolist(), name
        assert given["hidden"] == pytest.approx(validation.hidden_bits, rel=1e-9), name
        assert json.loads(given["file"]) == json.loads(tokenizer.file), name
        assert given["encoding"] == corpus.sources[0].encoding, name


def test_a_parents_vocabulary_grows_as_in_python(there: Jobs, tmp_path: Path) -> None:
    parent = train_tokenizer("char", lambda: ["The quick brown fox, 123.\n"])
    tokens = [parent.backend.id_to_token(token) for token in range(parent.vocab_size)]
    names = ["plain", "emoji", "chinese"]
    jobs = [
        {"kind": "read", "bytes": packed(TEXTS[name]), "fraction": 0.1, "known": tokens}
        for name in names
    ]
    for name, given in zip(names, there(*jobs), strict=True):
        grown = extend_tokenizer(parent, opened(tmp_path, TEXTS[name]).train.chunks)
        assert json.loads(given["file"]) == json.loads(grown.file), name


def test_a_text_that_is_none_is_told_in_a_line(there: Jobs) -> None:
    cases = {
        b"": "my.txt holds no usable text: it is empty",
        b" \n\n": "my.txt holds no usable text: it is empty",
        b"a": "my.txt has 1 character, too few to learn from; give a longer text",
        b"abcdefghij": "my.txt has 10 characters, too few to be judged by; give a longer text",
        b"a" * 40: "the text holds no character but ‘a’: there is nothing to learn; give a text "
        "with more",
        b"%PDF-1.7 etc": "my.txt is a PDF; save it as plain text",
        b"PK\3\4 etc": "my.txt is a ZIP archive, an EPUB or a Word document; save it as plain text",
        bytes(range(32)) * 9: "my.txt holds no text; save it as plain text",
    }
    told = there(*({"kind": "read", "bytes": packed(data), "fraction": 0.1} for data in cases))
    assert [one.get("error") for one in told] == list(cases.values())


def test_the_split_is_exact(there: Jobs) -> None:
    chance = random.Random(1)
    cases = [
        (chance.randrange(2, 10**7), chance.choice([0.1, 0.3, 0.07, 0.125])) for _ in range(99)
    ]
    cases += [(n, 0.1) for n in range(2, 50)]
    found = there(*({"kind": "split", "characters": n, "fraction": f} for n, f in cases))
    assert found == [int(n * (1 - Fraction(str(f)))) for n, f in cases]


@pytest.mark.parametrize(("family", "size"), [("lstm", "pico"), ("lstm", "nano"), ("gpt", "nano")])
def test_a_size_is_that_of_python(there: Jobs, family: str, size: str) -> None:
    """Its config, its rates, its dropout by how often the text is read, and the words of a plan."""
    asked = {"family": family, "size": size, "seed": 7, "tokens": 200_000}
    counts = {"tokens": 200_000, "validation": 20_000}
    cases = [(65, 100), (65, 2000), (2000, 900), (65, 30_000)]
    jobs = [
        {
            "kind": "plan",
            "asked": {**asked, "vocabSize": types},
            "counts": {**counts, "steps": steps},
        }
        for types, steps in cases
    ]
    for (types, steps), made in zip(cases, there(*jobs), strict=True):
        model = model_settings(family, size, types)
        per_step = made["training"]["batch_size"] * model.block_size
        epochs = steps * per_step / 200_000
        model = model.model_copy(update={"dropout": dropout_for(model, 200_000, epochs)})
        assert model_config(made["json"]) == model
        assert made["again"] == made["config"]
        plan = made["plan"]
        assert plan["parameters"] == model.parameter_count()
        assert plan["epochs"] == epochs
        assert plan["protocol"] == protocol(model, 20_000, limit=plan["eval_tokens"])
        settings = TrainingSettings(**{**made["training"], "shards": 0})
        cut = resolve_shards(settings, model, torch.device("cpu"))
        assert made["training"]["shards"] == cut.shards
        assert preset(family, size).training.items() <= made["training"].items()


def test_a_training_of_minutes_fits_them(there: Jobs) -> None:
    measured = {"step": 0.4, "token": 0.0001, "fixed": 0.5}
    asked = {"family": "lstm", "size": "nano", "seed": 1, "tokens": 10**6, "vocabSize": 65}
    counts = {"tokens": 10**6, "validation": 111_000, "minutes": 5, "measured": measured}
    (made,) = there({"kind": "plan", "asked": asked, "counts": counts})
    plan = made["plan"]
    assert 250 < plan["expected_seconds"] < 300
    assert 0 < plan["eval_tokens"] < 111_000
    assert 3.9 <= plan["steps"] / plan["eval_every"] <= 20
    assert plan["checkpoint_every"] * measured["step"] < 16
    assert made["training"]["minutes"] == 5
    assert made["training"]["steps"] == plan["steps"]


@pytest.mark.parametrize("minutes", [0.5, 2])
def test_looking_is_bounded_where_it_is_slow(there: Jobs, minutes: float) -> None:
    """A long text on a slow machine: reading all of what is kept apart would take minutes."""
    measured = {"step": 0.5, "token": 0.0003, "fixed": 2.0}
    asked = {"family": "gpt", "size": "nano", "seed": 1, "tokens": 4_410_000, "vocabSize": 65}
    counts = {"tokens": 4_410_000, "validation": 490_000, "measured": measured}
    (made,) = there({"kind": "plan", "asked": asked, "counts": {**counts, "minutes": minutes}})
    plan = made["plan"]
    assert plan["expected_seconds"] <= 60 * minutes
    assert plan["steps"] * measured["step"] > 30 * minutes


def test_a_short_text_gets_a_small_batch_or_a_reason(there: Jobs) -> None:
    asked = {"family": "gpt", "size": "nano", "seed": 1, "vocabSize": 5}
    counts = {"validation": 10, "steps": 3}
    long, short, other = there(
        {"kind": "plan", "asked": {**asked, "tokens": 100}, "counts": {**counts, "tokens": 100}},
        {"kind": "plan", "asked": {**asked, "tokens": 20}, "counts": {**counts, "tokens": 20}},
        {"kind": "plan", "asked": {**asked, "family": "gru", "tokens": 20}, "counts": {}},
    )  # fmt: skip
    assert long["config"]["block_size"] == 16
    assert "has 20 characters, fewer than the 32" in short["error"]
    assert "no nano gru" in other["error"]


def test_digests_and_archives(there: Jobs) -> None:
    chance = random.Random(2)
    pieces = [chance.randbytes(length) for length in (0, 1, 55, 56, 63, 64, 65, 200, 100_000)]
    found = there(
        *({"kind": "digest", "pieces": [packed(piece), packed(b"abc" * length)]}
          for length, piece in enumerate(pieces))
    )  # fmt: skip
    assert found == [
        hashlib.sha256(piece + b"abc" * length).hexdigest() for length, piece in enumerate(pieces)
    ]
    files = {"a.txt": b"abc" * 1000, "folder/é.bin": pieces[-1], "empty": b""}
    (made,) = there({"kind": "zip", "files": {name: packed(data) for name, data in files.items()}})
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(made))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert archive.getinfo("a.txt").compress_size < 100
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    data = whole.getvalue()
    good, cut, none = there(
        *({"kind": "unzip", "bytes": packed(one)} for one in (data, data[:-50], b"text"))
    )
    assert good == {name: packed(content) for name, content in files.items()}
    assert "damaged" in cut["error"]
    assert "damaged" in none["error"]


def test_settings_survive_toml(there: Jobs) -> None:
    tables = {
        "corpus": {"sources": ['C:\\my "text".txt', "ünï\t\x7f"], "fraction": 0.1, "form": "text"},
        "training": {"rate": 8e-05, "steps": 6, "off": False, "large": 1e16, "stop": []},
        "data": {"name": "t", "sources": [{"address": "x" * 90, "sha256": "0" * 64}, {"a": 1}]},
        "parent": {"texts": [{"name": "one", "sources": ["a", "b"]}]},
        "odd key": {"a.b": {"c": 1}, "empty": {}},
    }
    (given,) = there({"kind": "toml", "text": tomli_w.dumps(tables)})
    assert given["read"] == tables
    assert tomllib.loads(given["written"]) == tables
    (bad,) = there({"kind": "toml", "text": "[a\nb = 1"})
    assert bad["error"] == "line 1"


def test_the_verdict_is_that_of_python(there: Jobs) -> None:
    chance = random.Random(4)
    cases = []
    for _ in range(300):
        count = chance.randrange(1, 9)
        every = chance.choice([5, 100])
        metrics = [
            {"step": every * place,
             "val_loss": chance.choice([4, 2 + chance.random() / 10, 3 - place / 8]),
             "train_loss": None if not place else chance.uniform(1.4, 2.6)}
            for place in range(count)
        ]  # fmt: skip
        status = chance.choice(["finished", "stopped early", "diverged", "interrupted"])
        cases.append((metrics, {"status": status, "steps": 900}))
    found = there(*({"kind": "verdict", "metrics": rows, "plan": plan} for rows, plan in cases))
    for (metrics, plan), told in zip(cases, found, strict=True):
        expected = str(verdict(metrics, **plan, continued=True))
        assert told.split("; --resume")[0] in expected or expected.startswith(told[:20]), (
            metrics, plan, told, expected,
        )  # fmt: skip
