"""Extending a vocabulary for another text; existing ids stay."""

from __future__ import annotations

import json

import tokenizers

from textwright.tokenizers import characters, words
from textwright.tokenizers.chat import add_special_tokens
from textwright.tokenizers.tokenizer import Tokenizer
from textwright.tokenizers.training import MAX_TYPES, Chunks, word_sample


def extend_tokenizer(
    tokenizer: Tokenizer,
    part_chunks: Chunks,
    *,
    vocab_size: int | None = None,
    conversations: bool = False,
) -> Tokenizer:
    """`tokenizer` with the tokens that the text needs and it lacks, after its own ids.

    `char` gets every new character, in order of code point, since it can't read one otherwise.
    `word` reads any text, as `<unk>` where it must: it gets new words, the most frequent first,
    where a larger vocabulary is asked for. `bpe` encodes any text. Pre-tokenization, lower-casing
    and special tokens stay.

    Args:
        tokenizer: the one to extend; it is not changed.
        part_chunks: returns the chunks of the text from the start, each time it is called.
        vocab_size: up to which new words are added; of `word` alone.
        conversations: also add the special tokens of conversations.
    """
    if conversations and tokenizer.chat is None:
        file = add_special_tokens(tokenizer.backend.to_str(), tokenizer.kind)
        tokenizer = Tokenizer(file, tokenizer.kind)
    if tokenizer.kind == "char":
        tokens = sorted(characters.distinct(part_chunks(), tokenizer.backend.normalizer))
        most = MAX_TYPES
    elif tokenizer.kind == "word" and (vocab_size or 0) > tokenizer.vocab_size:
        tokens = words.most_frequent(tokenizer.backend, word_sample(part_chunks))
        most = min(vocab_size or 0, MAX_TYPES)
    else:
        return tokenizer
    new = [token for token in tokens if tokenizer.backend.token_to_id(token) is None]
    new = new[: most - tokenizer.vocab_size]
    if not new:
        return tokenizer
    data = json.loads(tokenizer.backend.to_str())
    data["model"]["vocab"].update({token: tokenizer.vocab_size + i for i, token in enumerate(new)})
    extended = tokenizers.Tokenizer.from_str(json.dumps(data))
    return Tokenizer(extended.to_str(pretty=True), tokenizer.kind)


def encode_new_tokens(tokenizer: Tokenizer, extended: Tokenizer) -> list[list[int]]:
    """How `tokenizer` encodes each token that only `extended` has: a list of ids, in id order.

    “ is encoded as ", Monster as monster; the list is empty where it would be `<unk>` or left out.
    """
    encoded = []
    for token in range(tokenizer.vocab_size, extended.vocab_size):
        ids, _ = tokenizer.encode_prompt(str(extended.backend.id_to_token(token)))
        encoded.append([] if tokenizer.unk_id in ids else ids)
    return encoded
