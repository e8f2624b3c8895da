"""A tokenizer with a larger vocabulary: the ids there are stay, what a new text needs is added."""

from __future__ import annotations

import json

import tokenizers

from textwright.tokenizers import characters, words
from textwright.tokenizers.chat import marked
from textwright.tokenizers.tokenizer import Tokenizer
from textwright.tokenizers.training import MAX_TYPES, MAX_WORDS, Chunks, word_sample


def grow_tokenizer(
    tokenizer: Tokenizer, part_chunks: Chunks, *, conversations: bool = False
) -> Tokenizer:
    """`tokenizer` with what the text has and it lacks, after the ids that it has.

    `char` gets every new character, in order of code point. `word` gets those of the text's most
    frequent words (as many as a vocabulary of its own would have) that are new, the most frequent
    first. `bpe` reads any text already and stays as it is. Everything else stays too: splitting,
    lower-casing, special tokens.

    Args:
        tokenizer: what to begin with.
        part_chunks: gives the chunks of the text from the start, each time it is called.
        conversations: give it the special tokens of a conversation too, where it lacks them.
    """
    if conversations and tokenizer.chat is None:
        file = marked(tokenizer.backend.to_str(), tokenizer.kind)
        tokenizer = Tokenizer(file, tokenizer.kind)
    if tokenizer.kind == "char":
        found = sorted(characters.distinct(part_chunks(), tokenizer.backend.normalizer))
    elif tokenizer.kind == "word":
        found = words.most_frequent(tokenizer.backend, word_sample(part_chunks))[:MAX_WORDS]
    else:
        return tokenizer
    room = MAX_TYPES - tokenizer.vocab_size
    new = [token for token in found if tokenizer.backend.token_to_id(token) is None][:room]
    if not new:
        return tokenizer
    data = json.loads(tokenizer.backend.to_str())
    data["model"]["vocab"].update({token: tokenizer.vocab_size + i for i, token in enumerate(new)})
    grown = tokenizers.Tokenizer.from_str(json.dumps(data))
    return Tokenizer(grown.to_str(pretty=True), tokenizer.kind)


def read_before(tokenizer: Tokenizer, grown: Tokenizer) -> list[list[int]]:
    """What `tokenizer` reads in place of each token that `grown` has on top of it: ids, in order.

    “ is read as ", Monster as monster; what it can't read at all is the empty list.
    """
    read = []
    for token in range(tokenizer.vocab_size, grown.vocab_size):
        ids, _ = tokenizer.encode_prompt(str(grown.backend.id_to_token(token)))
        read.append([] if tokenizer.unk_id in ids else ids)
    return read
