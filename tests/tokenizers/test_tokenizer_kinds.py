"""What each kind of tokenizer makes of a text, against the library and plain Python."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textwright.errors import TokenizerError
from textwright.tokenizers import Tokenizer, train_tokenizer, training, words

PROSE = "\n".join(topics[name] for name in sorted(topics))[:120_000]
MIXED = (
    PROSE[:20_000]
    + "“Quoth the Raven — ‘nevermore’…” Ça va, naïve café? ΑΣ ΟΔΟΣ, ὀδός. İstanbul ı.\n"
    + "春眠不覺曉，處處聞啼鳥。\nสวัสดีชาวโลก นี่คือข้อความ\n"
    + "नमस्ते दुनिया। 한국어 문장 하나.\n\tTab  two\n\n👨‍👩‍👧 e\u0301\n"
) * 3

ANY_TEXT = (
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)
    | st.text(
        alphabet="ab ABéÉİΣς\n\t'’.-— 1中ก\u0301\u0323ĥ\u1100\u1161\xa0\x1c<eos>", max_size=80
    )
    | st.lists(
        st.sampled_from(["<eos>", "<unk>", "<pad>", "<bos>", " ", "\n", "a", "the", "é"]),
        max_size=12,
    ).map("".join)
)


def make(kind: str, text: str, **settings_: object) -> Tokenizer:
    options = {"vocab_size": None, "lowercase": False, **settings_}
    return train_tokenizer(kind, lambda: iter([text]), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made() -> dict[str, Tokenizer]:
    return {
        "char": make("char", MIXED),
        "char-lower": make("char", MIXED, lowercase=True),
        "word": make("word", MIXED, vocab_size=600),
        "word-lower": make("word", MIXED, lowercase=True),
        "word-whitespace": make("word", MIXED, word_form="whitespace"),
        "bpe": make("bpe", MIXED, vocab_size=500),
        "bpe-lower": make("bpe", MIXED, vocab_size=500, lowercase=True),
    }


# --- all kinds ----------------------------------------------------------------------------------


@settings(max_examples=150)
@given(text=ANY_TEXT)
@example(text="e\u0301")
@example(text="\u0301e İ ΑΣ")
@example(text="!\x1c a\x1c b \x1d")
@example(text="a <eos> b\n<eos>\n <unk>")
def test_fast_encoding_equals_the_library(made: dict[str, Tokenizer], text: str) -> None:
    for name, tokenizer in made.items():
        expected = tokenizer.backend.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode(text) == expected, name
        assert tokenizer.encode_array(text).tolist() == expected, name


def test_fast_encoding_of_running_text_equals_the_library(made: dict[str, Tokenizer]) -> None:
    for name, tokenizer in made.items():
        ids = tokenizer.encode_array(MIXED)
        assert ids.dtype == "uint32"
        assert ids.tolist() == tokenizer.encode(MIXED), name
        assert ids.tolist() == tokenizer.encode_array(MIXED).tolist(), name  # and from memory
        assert tokenizer.encode_array("").tolist() == []


@settings(max_examples=100)
@given(data=st.data())
def test_stream_concatenates_to_decode(made: dict[str, Tokenizer], data: st.DataObject) -> None:
    for name, tokenizer in made.items():
        ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=40))
        stream = tokenizer.stream()
        assert "".join(map(stream.push, ids)) + stream.flush() == tokenizer.decode(ids), name


def test_stream_holds_back_half_a_character() -> None:
    tokenizer = make("bpe", PROSE, vocab_size=256)
    stream = tokenizer.stream()
    ids = tokenizer.encode("a☃b")
    assert [stream.push(token) for token in ids] == ["a", "", "", "☃", "b"]
    assert stream.push(ids[1]) == "" and stream.flush() == "\ufffd"
    assert [tokenizer.token_text(token) for token in ids[:2]] == ["a", "\\xe2"]


def test_training_is_deterministic_and_blind_to_chunks() -> None:
    cuts = [m.start() for m in re.finditer(r"(?<=\S)\s", MIXED)][:: len(MIXED) // 50]
    chunks = [MIXED[a:b] for a, b in zip([0, *cuts], [*cuts, len(MIXED)], strict=True)]
    for kind in ("char", "word", "bpe"):
        whole = make(kind, MIXED)
        cut = train_tokenizer(kind, lambda: iter(chunks), vocab_size=None, lowercase=False)
        assert whole.sha256 == cut.sha256, kind


def test_a_long_text_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_SAMPLES", {"word": 40_000, "bpe": 40_000})
    monkeypatch.setattr(training, "_PIECE", 1000)
    text = "".join(f"common word{chr(97 + i // 1000)} " for i in range(20_000))
    vocabulary = make("word", text).backend.get_vocab()
    assert {f" word{letter}" for letter in "abcdefghijklmnopqrst"} <= vocabulary.keys()
    monkeypatch.setattr(training, "_SAMPLES", {"word": 1500, "bpe": 1500})
    few = make("word", text).backend.get_vocab()
    assert 1 <= sum(token.startswith(" word") for token in few) <= 4


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_empty_text_is_a_clear_error(kind: str) -> None:
    for chunks in ([], [""]):
        with pytest.raises(TokenizerError, match="empty"):
            train_tokenizer(kind, lambda chunks=chunks: chunks, vocab_size=None, lowercase=False)


def test_unknown_kind_and_impossible_sizes_are_clear_errors() -> None:
    with pytest.raises(TokenizerError, match="char, word, bpe"):
        make("syllable", PROSE)
    with pytest.raises(TokenizerError, match="can't be set"):
        make("char", PROSE, vocab_size=50)
    with pytest.raises(TokenizerError, match="nothing to learn"):
        make("char", "aaaa")
    with pytest.raises(TokenizerError, match="too small"):
        make("word", PROSE, vocab_size=4)
    with pytest.raises(TokenizerError, match="256"):
        make("bpe", PROSE, vocab_size=100)


def test_a_vocabulary_is_at_most_what_the_text_gives(caplog: pytest.LogCaptureFixture) -> None:
    assert make("word", "one two one", vocab_size=8).vocab_size == 7
    assert "gives a vocabulary of 7, not of 8" in caplog.text
    assert 256 < make("bpe", "one two one two", vocab_size=1000).vocab_size < 300
    assert caplog.text.count("that many are taken") == 2


def test_byte_pairs_of_a_run_without_a_break() -> None:
    draw = random.Random(1)
    run = "".join(draw.choice("ACGT") for _ in range(60_000))
    tokenizer = make("bpe", run)
    splitting = json.loads(tokenizer.file)["pre_tokenizer"]
    assert splitting["type"] == "ByteLevel"  # as every reader of the file knows it
    ids = tokenizer.encode_array(run)
    assert tokenizer.decode(ids.tolist()) == run and len(ids) < 20_000
    assert ids.tolist() == tokenizer.backend.encode(run, add_special_tokens=False).ids


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no Ctrl-C for one process")
def test_ctrl_c_ends_the_merging_of_byte_pairs() -> None:
    code = (
        "import random, sys\n"
        "from textwright.tokenizers import train_tokenizer\n"
        "draw = random.Random(1)\n"
        "run = ''.join(draw.choices('ACGT', k=30_000_000))\n"
        "print('begun', flush=True)\n"
        "train_tokenizer('bpe', lambda: [run], vocab_size=100_000)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in said and process.returncode != 0


def test_import_is_light() -> None:
    code = (
        "import sys, textwright.tokenizers\n"
        "print([m for m in ('torch', 'transformers', 'pydantic') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "[]", result.stderr


# --- char ---------------------------------------------------------------------------------------


def test_char_vocabulary_is_the_characters_by_code_point() -> None:
    tokenizer = make("char", PROSE)
    assert [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)] == sorted(set(PROSE))
    data = json.loads(tokenizer.backend.to_str())
    assert data["model"]["type"] == "BPE" and data["model"]["merges"] == []
    assert data["added_tokens"] == [] and tokenizer.suppress_tokens == ()
    assert tokenizer.decode(tokenizer.encode(PROSE)) == PROSE


@pytest.mark.parametrize("one_in", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("lowercase", [False, True])
def test_char_lookup_equals_the_library_for_every_character(lowercase: bool, one_in: int) -> None:
    # Of those that Unicode says nothing about, one in a hundred
    everything = [
        chr(code)
        for code in range(0x110000)
        if (kind := unicodedata.category(chr(code))) not in ("Cs", "Cn", "Co")
        or (kind != "Cs" and code % 101 == 0)
    ]
    tokenizer = make("char", "x".join(everything[:0x3000]), lowercase=lowercase)
    assert not lowercase or "A" not in tokenizer.backend.get_vocab()
    for start in range(0, len(everything), 997 * one_in):
        # Between letters, so that a wrong composition or order would show
        text = "A".join(everything[start : start + 997])
        assert tokenizer.encode_array(text).tolist() == tokenizer.encode(text), hex(start)
    for character in everything[:0x3000:one_in]:
        assert tokenizer.encode_array(character).tolist() == tokenizer.encode(character)


def test_char_normalizes_and_lower_cases_as_the_file_says() -> None:
    tokenizer = make("char", "İΣ É e\u0301 ẖ H\u0331", lowercase=True)
    assert sorted(tokenizer.backend.get_vocab()) == sorted(" éẖσi\u0307")
    assert tokenizer.decode(tokenizer.encode("ΣÉ H\u0331İ")) == "σé ẖi\u0307"


def test_char_counts_what_it_leaves_out() -> None:
    tokenizer = make("char", "abc é—\n")
    for text in ("a☃b☃ ü", "abcü", "plain", "e\u0301", "", "x\ud800"):
        expected = [c for c in unicodedata.normalize("NFC", text) if c not in "abc é—\n\ud800"]
        assert tokenizer.unknown_characters(text) == Counter(expected)
        known = len(tokenizer.encode_array(text))
        assert known + len(expected) == len(unicodedata.normalize("NFC", text.strip("\ud800")))
    assert make("bpe", PROSE).unknown_characters("☃") == Counter()


# --- word ---------------------------------------------------------------------------------------


def pretokens(tokenizer: Tokenizer, text: str) -> list[str]:
    normalized = tokenizer.backend.normalizer.normalize_str(text)
    return [token for token, _ in tokenizer.backend.pre_tokenizer.pre_tokenize_str(normalized)]


def test_word_splits_so_that_text_reads_well() -> None:
    tokenizer = make("word", PROSE)
    text = "Hello, don’t  stop—it's\n\n 1984 “Quoth” well-known 中文 한국어 말 สวัส <eos>\t!"
    assert pretokens(tokenizer, text) == [
        *("Hello", ",", " don’t", " ", " stop", "—", "it's", "\n", "\n", " 1", "9", "8", "4"),
        *(" “", "Quoth", "”", " well", "-", "known", " 中", "文", " 한국어", " 말"),
        *(" ส", "วั", "ส", " <", "eos", ">", "\t", "!"),
    ]


@settings(max_examples=150)
@given(text=ANY_TEXT)
def test_word_splitting_loses_nothing(made: dict[str, Tokenizer], text: str) -> None:
    assert "".join(pretokens(made["word"], text)) == unicodedata.normalize("NFC", text)


def test_words_of_many_chunks_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more distinct chunks than memory is to hold, those so far are counted and let go."""
    monkeypatch.setattr(words, "_MAX_CHUNKS", 3)
    texts = ["a b c d e f", "f f e", "a b"]
    tokenizer = train_tokenizer("word", lambda: iter(texts), vocab_size=None, lowercase=False)
    known = {token.strip() for token in tokenizer.backend.get_vocab()}
    assert known >= set("abcdef")
    assert words.most_frequent(tokenizer.backend, texts)[:3] == [" b", " e", " f"]  # twice each


def test_word_vocabulary_is_the_most_frequent_words() -> None:
    tokenizer = make("word", MIXED, vocab_size=500)
    counts = Counter(pretokens(tokenizer, MIXED))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    vocabulary = tokenizer.backend.get_vocab()
    expected = ["<pad>", "<bos>", "<eos>", "<unk>", *ordered[:496]]
    assert sorted(vocabulary, key=vocabulary.__getitem__) == expected
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id) == (0, 1, 2, 3)
    assert tokenizer.suppress_tokens == (0, 1, 3)


def test_word_decodes_to_the_text_up_to_unknown_words() -> None:
    tokenizer = make("word", MIXED)
    normalized = unicodedata.normalize("NFC", MIXED)
    assert tokenizer.decode(tokenizer.encode(MIXED)) == normalized
    assert tokenizer.decode(tokenizer.encode("the zyzzyva, the\n")) == "the <unk>, the\n"
    assert tokenizer.decode([0, *tokenizer.encode("the"), 1, 2]) == "the"


def test_text_that_looks_special_is_data(made: dict[str, Tokenizer]) -> None:
    for name in ("word", "word-lower", "bpe", "word-whitespace"):
        tokenizer = made[name]
        ids = tokenizer.encode("<eos> a <eos> <pad><bos>")
        assert not {tokenizer.eos_id, tokenizer.pad_id, tokenizer.bos_id} & set(ids), name


def test_whitespace_form_is_that_of_the_benchmark() -> None:
    text = " = A title = \n \n The <unk> sat , @-@ and sat \n"
    tokenizer = make("word", text, word_form="whitespace")
    tokens = [tokenizer.backend.id_to_token(token) for token in tokenizer.encode(text)]
    assert tokens == text.replace("\n", " <eos> ").split()
    assert tokenizer.vocab_size == len(set(tokens)) == 10
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert (tokenizer.pad_id, tokenizer.bos_id) == (None, None)
    assert tokenizer.suppress_tokens == (tokenizer.unk_id,)
    assert tokenizer.token_text(tokenizer.eos_id or 0) == "<eos>"


# --- bpe ----------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(text=ANY_TEXT)
def test_bpe_gives_back_any_text(made: dict[str, Tokenizer], text: str) -> None:
    assert made["bpe"].decode(made["bpe"].encode(text)) == text


def test_bpe_size_follows_the_text() -> None:
    assert make("bpe", PROSE).vocab_size == len(PROSE) // 200
    assert 256 < make("bpe", PROSE[:2000]).vocab_size <= 512
    assert make("bpe", PROSE, vocab_size=1500).vocab_size == 1500


# --- the published figures ----------------------------------------------------------------------


def test_tiny_shakespeare_has_65_characters(real_corpora: Path) -> None:
    text = (real_corpora / "tinyshakespeare.txt").read_text(encoding="utf-8")
    tokenizer = make("char", text)
    assert tokenizer.vocab_size == 65
    assert len(tokenizer.encode_array(text)) == 1_115_394


@pytest.mark.slow
def test_wikitext_2_has_33278_types(real_corpora: Path) -> None:
    path = real_corpora / "wikitext-2" / "train.txt.gz"
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    tokenizer = make("word", text, word_form="whitespace")
    ids = tokenizer.encode_array(text)
    assert tokenizer.vocab_size == 33_278
    assert len(ids) == 2_088_628
    assert tokenizer.decode(ids.tolist()) == text


def test_byte_pairs_occur_twice_and_stay_short() -> None:
    from textwright.tokenizers import bytepairs

    once = bytepairs.train(["xy"], vocab_size=300, lowercase=False)
    assert once.token_to_id("xy") is None
    line = bytepairs.train(["-" * 400] * 4, vocab_size=300, lowercase=False)
    assert 1 < max(map(len, line.get_vocab())) <= 32
