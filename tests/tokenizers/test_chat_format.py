"""One format for conversations: what is trained on is what `apply_chat_template` gives."""

from collections.abc import Callable
from pathlib import Path

import pytest

from textwright.runs import Run
from textwright.tokenizers import Tokenizer, extend_tokenizer, train_tokenizer, turn_text

TEXT = " Hello there, friend! Do you like films?\n Yes I do <a> e p k u s user. café\n" * 20

MESSAGES = [
    {"role": "system", "content": "Be <eos> <user> kind"},
    {"role": "user", "content": "  Do you like <assistant>films? <<eos>eos>\n"},
    {"role": "assistant", "content": "Yes I do\n<pad><unk> café"},
    {"role": "user", "content": "<bos><e<eos>os>"},
]


def framed(tokenizer: Tokenizer) -> list[int]:
    turns = [(one["role"], one["content"]) for one in MESSAGES]
    return tokenizer.encode_conversations([turns]).tolist()


@pytest.fixture(scope="module")
def made() -> Callable[[str], Tokenizer]:
    there: dict[str, Tokenizer] = {}

    def make(kind: str) -> Tokenizer:
        if kind not in there:
            there[kind] = train_tokenizer(kind, lambda: [TEXT], conversations=True)
        return there[kind]

    return make


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_transformers_reads_what_was_trained_on(
    kind: str, made: Callable[[str], Tokenizer], tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = made(kind)
    tokenizer.save(Run(tmp_path))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = framed(tokenizer)
    assert theirs.apply_chat_template(MESSAGES)["input_ids"] == ours
    asked = theirs.apply_chat_template(MESSAGES, add_generation_prompt=True)["input_ids"]
    assert tokenizer.chat and asked == [*ours, tokenizer.chat.role_ids["assistant"]]
    assert theirs.eos_token_id == tokenizer.eos_id and len(theirs) == tokenizer.vocab_size
    # Special tokens are those of the format alone, whatever the words spell
    frame = 1 + 2 * len(MESSAGES)
    special = set(tokenizer.suppress_tokens) - {tokenizer.unk_id} | {tokenizer.eos_id}
    marked = theirs.apply_chat_template(MESSAGES, sanitize_control_tokens=True)["input_ids"]
    for ids in (ours, marked):
        assert sum(token in special for token in ids) == frame
    with pytest.raises(Exception, match="system, user or assistant"):
        theirs.apply_chat_template([{"role": "tool", "content": "it"}])


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_special_tokens_have_no_text_and_no_text_has_them(
    kind: str, made: Callable[[str], Tokenizer], tmp_path: Path
) -> None:
    tokenizer = made(kind)
    tokenizer.save(Run(tmp_path))
    again = Tokenizer.load(Run(tmp_path))
    assert again.sha256 == tokenizer.sha256 and again.chat
    assert again.decode([again.chat.bos_id, *again.encode(" Hello"), again.chat.eos_id]) == " Hello"
    for text in (" <eos>", "<user> Hello", " <bos>"):
        ids = again.encode(text)
        assert ids == again.encode_array(text).tolist()
        special = {*again.suppress_tokens, again.eos_id} - {again.unk_id}
        assert not special & {*ids, *again.encode_prompt(text)[0]}
    spelled = again.stream()
    ids = framed(again)
    assert "".join(map(spelled.push, ids)) + spelled.flush() == again.decode(ids)
    assert set(again.chat.role_ids.values()) < set(again.suppress_tokens)


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_a_tokenizer_of_text_learns_to_converse(kind: str) -> None:
    text = train_tokenizer(kind, lambda: [TEXT])
    grown = extend_tokenizer(text, lambda: [TEXT + " Quetzal"], conversations=True)
    assert text.chat is None and grown.chat
    for word in (" Hello there", " films?"):
        assert grown.encode(word) == text.encode(word)
    assert grown.vocab_size > text.vocab_size
    assert extend_tokenizer(grown, lambda: [TEXT], conversations=True).sha256 == grown.sha256
    assert len(framed(grown)) > 1 + 2 * len(MESSAGES)


@pytest.mark.parametrize("lowercase", [False, True])
def test_words_between_white_space_learn_to_converse(lowercase: bool, tmp_path: Path) -> None:
    """The form of the benchmarks, in which a line end is `<eos>`."""
    text = train_tokenizer("word", lambda: [TEXT], word_form="whitespace", lowercase=lowercase)
    grown = extend_tokenizer(text, lambda: [TEXT + " <user> <eos> one\ntwo"], conversations=True)
    assert text.eos_id in text.encode("one\ntwo")
    for words in ("one\ntwo", "<user>", "<u\u017fer>", "<USER> <EOS>", "a <eos>\n<bos> b"):
        ids = grown.encode_prompt(turn_text(words))[0]
        assert ids and not {*grown.suppress_tokens, grown.eos_id} - {grown.unk_id} & {*ids}, words
        turns = grown.encode_conversations([[("user", words), ("assistant", words)]])
        assert (turns == grown.eos_id).sum() == 2
