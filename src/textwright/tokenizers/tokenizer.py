"""`Tokenizer`, one class for all kinds, around a `tokenizer.json`; and incremental decoding."""

from __future__ import annotations

import codecs
import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt
import tokenizers

from textwright import atomic
from textwright.errors import RunError, TokenizerError
from textwright.tokenizers import bytepairs, words
from textwright.tokenizers.characters import CharacterTable
from textwright.tokenizers.chat import (
    ROLE_TOKENS,
    SPECIALS,
    ChatFormat,
    chat_template,
    check_role,
    specials,
    turn_text,
)
from textwright.tokenizers.checking import checked
from textwright.tokenizers.hidden import Capitals, SpellingModel, positions_bits
from textwright.tokenizers.prompts import PromptReader
from textwright.tokenizers.splitting import ChunkEncoder

if TYPE_CHECKING:
    from textwright.runs import Run


class TextStream:
    """An incremental decoder; its output, joined, equals `decode` of all ids.

    In every kind of tokenizer here an id decodes to the same bytes wherever it occurs. So nothing
    is decoded twice; only the bytes of an incomplete character are held back. Invalid UTF-8 becomes
    U+FFFD, as in `decode`.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """`pieces`: the bytes of each id."""
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The text that the id `token` completes; may be empty."""
        return self._decoder.decode(self._pieces[token])

    def flush(self) -> str:
        """The rest, at the end: U+FFFD for an incomplete character, or ''."""
        return self._decoder.decode(b"", final=True)


class TokenPlaces:
    """Where in the decoded text each token begins, in characters: places never go back.

    The place of a token that is part of a character is the character's; that of one without text is
    the end of the text so far.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """`pieces`: the bytes of each id."""
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._length = 0  # of the text so far, without an incomplete character

    def push(self, token: int) -> int:
        """The place of the next id, `token`."""
        piece = self._pieces[token]
        if not piece:
            return self._length
        # Its first byte may complete a character, begin one, or show that the last one was invalid
        text = self._decoder.decode(piece[:1])
        place = self._length + len(text)
        if text and not self._decoder.getstate()[0]:
            place -= 1
        self._length += len(text) + len(self._decoder.decode(piece[1:]))
        return place


Kind: TypeAlias = Literal["char", "word", "bpe"]
KINDS: tuple[str, ...] = get_args(Kind)

_SPECIALS = ("pad", "bos", "eos", "unk")
_NO_LIMIT = int(1e30)  # what transformers itself writes for "any length"


class Tokenizer:
    """Text to ids and back; immutable and thread-safe.

    Attributes:
        kind: `char`, `word` or `bpe`.
        file: the text of its `tokenizer.json`.
        backend: the `tokenizers` library's tokenizer, whose ids these are.
        vocab_size: number of ids; they run from 0.
        lowercase: whether it lower-cases all text.
        sha256: of the text of `tokenizer.json`.
        pad_id, bos_id, eos_id, unk_id: ids of the special tokens, None where there is none.
        chat: the format of conversations; None for a tokenizer of running text.
        suppress_tokens: ids that generation never draws, for no text has them.
    """

    def __init__(self, file: str, kind: Kind | None = None) -> None:
        """Read the text of a `tokenizer.json`.

        Args:
            file: its text.
            kind: what it should be; None accepts each kind.

        Raises:
            TokenizerError: it is no tokenizer, of another kind, or of none of these kinds.
        """
        data, trusted = checked(file)
        try:
            self.backend = tokenizers.Tokenizer.from_str(trusted)
        except BaseException as error:  # the library raises bare `Exception`
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            reason = " ".join(str(error).split())[:200]
            raise TokenizerError(f"no tokenizer file: {reason}") from error
        vocabulary = self.backend.get_vocab()
        self.chat = ChatFormat(vocabulary) if _is_of_conversations(data) else None
        if self.chat:
            self.backend.encode_special_tokens = True  # "<eos>" in a text is text
        detected = _detect_kind(data, vocabulary)
        if detected is None or detected != (kind or detected):
            raise TokenizerError(
                f"not a {kind or 'char, word or bpe'} tokenizer, but {detected or 'another'}"
            )
        self.kind: Kind = detected
        self.vocab_size = len(vocabulary)
        if sorted(vocabulary.values()) != list(range(self.vocab_size)):
            raise TokenizerError("the ids of the vocabulary do not run from 0 without a gap")
        normalizer = self.backend.normalizer
        self.lowercase = normalizer is not None and normalizer.normalize_str("A") == "a"
        self.sha256 = hashlib.sha256(file.encode()).hexdigest()
        self.file = file
        special = vocabulary.get if detected == "word" or self.chat else lambda token: None
        self.pad_id: int | None = special(words.PAD)
        self.bos_id: int | None = special(words.BOS)
        self.eos_id: int | None = special(words.EOS)
        self.unk_id: int | None = special(words.UNK)
        roles = self.chat.role_ids.values() if self.chat else ()
        undrawn = (self.pad_id, self.bos_id, self.unk_id, *roles)
        self.suppress_tokens = tuple(token for token in undrawn if token is not None)

    # Text to ids

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, as the `tokenizers` library gives them.

        `char` leaves out unknown characters, `word` encodes unknown words as `unk_id`. No text
        becomes a special token. Lone surrogates are left out.
        """
        ids: list[int] = self.backend.encode(_encodable(text), add_special_tokens=False).ids
        return ids

    def encode_array(self, text: str) -> npt.NDArray[np.uint32]:
        """As `encode`, fast, for corpora; (tokens,)."""
        text = _encodable(text)
        return self._table.encode(text) if self.kind == "char" else self._chunks.encode(text)

    def encode_turns(self, turns: Sequence[str]) -> list[list[int]]:
        """The ids of the words of each turn, as `encode` gives them of `turn_text`; fast."""
        texts = [_encodable(turn_text(words)) for words in turns]
        if self.kind == "char":
            return [self._table.encode(text).tolist() for text in texts]
        return self._chunks.encode_many(texts)

    def encode_conversations(
        self,
        conversations: Sequence[Sequence[tuple[str, str]]],
        loss_on: Literal["both", "assistant"] = "both",
    ) -> npt.NDArray[np.int64]:
        """The ids of conversations, concatenated, (tokens,).

        Args:
            conversations: (role, words) of the turns of each.
            loss_on: `assistant` gives complements (`~id`) but for the words of the assistant and
                the `<eos>` of its turns.

        Raises:
            TokenizerError: it is a tokenizer for running text.
        """
        if self.chat is None:
            raise TokenizerError("this tokenizer is for running text, not for conversations")
        chat = self.chat
        encoded = iter(self.encode_turns([words for one in conversations for _, words in one]))
        all_count = loss_on == "both"
        ids: list[int] = []
        for conversation in conversations:
            ids.append(chat.bos_id if all_count else ~chat.bos_id)
            for role, _ in conversation:
                words = next(encoded)
                begin = chat.role_ids[check_role(role)]
                if all_count:
                    ids += (begin, *words, chat.eos_id)
                elif role == "assistant":
                    ids += (~begin, *words, chat.eos_id)
                else:
                    ids += (~begin, *(~token for token in words), ~chat.eos_id)
        return np.array(ids, np.int64)

    def unknown_characters(self, text: str) -> Counter[str]:
        """The count of each character of `text` that `encode` leaves out; only `char` does.

        Cheap if there are none.
        """
        return self._table.unknown(_encodable(text)) if self.kind == "char" else Counter()

    def hidden_bits(self, texts: Iterable[str]) -> float:
        """The bits that encode what the ids of a text hide: unknown words, characters that are left
        out, capitals; see `textwright.tokenizers.hidden`.

        Args:
            texts: the chunks of a corpus, or the turns of conversations.
        """
        unknown: Counter[str] = Counter()
        characters = 0
        capitals = Capitals() if self.lowercase else None
        for text in map(_encodable, texts):
            characters += len(text)
            if capitals is not None:
                capitals.add(text)
            if self.kind == "char":
                unknown.update(self._table.unknown(text))
            elif self.kind == "word":
                unknown.update(words.unknown_words(self.backend, text))
        written = unknown.pop(words.UNK, 0) if self.kind == "word" else 0
        bits = capitals.bits() if capitals is not None else 0.0
        if not unknown:
            return bits
        count = unknown.total()
        if self.kind == "char":
            bits += positions_bits(count, characters - count)
            return bits + sum(self._spelling.character_bits(c) * n for c, n in unknown.items())
        bits += positions_bits(count, written) if written else 0.0
        return bits + sum(self._spelling.word_bits(word) * n for word, n in unknown.items())

    def encode_prompt(self, text: str, *, strict: bool = False) -> tuple[list[int], list[str]]:
        """The ids of a prompt, and at most one warning about it.

        Characters and words that the vocabulary lacks are folded to the nearest known form (curly
        quotes to straight ones, é to e, another case); failing that, characters are left out, and
        words become `unk_id`.

        Args:
            text: the prompt.
            strict: raise instead of encoding anything but what was typed.

        Raises:
            TokenizerError: `strict`, and the vocabulary lacks some of `text`.
        """
        prompt = self._prompts.read(text)
        warning = prompt.warning()
        if strict and warning:
            raise TokenizerError(
                f"the prompt has what the vocabulary of this model lacks ({warning}); "
                "change it, or generate without --strict"
            )
        return prompt.ids, [warning] if warning else []

    def prompt_places(self, text: str) -> list[int]:
        """Where in `text` each id of `encode_prompt` is, in characters; places never go back.

        Where another form was read, the place is that of the original in `text`.
        """
        return self._prompts.places(text)

    # Ids to text

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; invalid UTF-8 becomes U+FFFD."""
        if self.chat:
            ids = [token for token in ids if token not in self._textless]
        return str(self.backend.decode(list(ids), skip_special_tokens=False))

    def stream(self) -> TextStream:
        """An incremental decoder."""
        return TextStream(self._pieces)

    def places(self) -> TokenPlaces:
        """Where in their decoded text tokens begin, pushed one by one."""
        return TokenPlaces(self._pieces)

    def token_bytes(self, id: int) -> bytes:  # noqa: A002
        """The bytes that a token adds to a text: joined, they are its UTF-8; a special token of a
        conversation adds none."""
        return self._pieces[id]

    def token_text(self, id: int) -> str:  # noqa: A002
        """How a token is displayed: its text, the name of a special one, `\\xe2` for a byte that is
        part of a character."""
        token = self.backend.id_to_token(id)
        if token is None:
            raise TokenizerError(f"no token {id}; the vocabulary has {self.vocab_size}")
        if id in (*self.suppress_tokens, self.eos_id):
            return str(token)
        return self._pieces[id].decode("utf-8", errors="backslashreplace")

    @functools.cached_property
    def vocabulary(self) -> str:
        """A hash of all tokens in their order: equal where ids mean the same."""
        pieces = (str(self.backend.id_to_token(token)) for token in range(self.vocab_size))
        return hashlib.sha256("\0".join(pieces).encode()).hexdigest()[:16]

    # The run folder

    def save(self, run: Run) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as `transformers` reads them."""
        atomic.write_text(run.tokenizer_file, self.file)
        run.write_json(run.tokenizer_config_file, self.config())

    def config(self) -> dict[str, Any]:
        """What `tokenizer_config.json` holds."""
        special = {
            f"{name}_token": self.backend.id_to_token(token)
            for name in _SPECIALS
            if (token := getattr(self, f"{name}_id")) is not None
        }
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": _NO_LIMIT,
            "clean_up_tokenization_spaces": False,
            # "<eos>" in a text is text; a chat template escapes it itself
            "split_special_tokens": self.chat is None,
            **special,
            **({"chat_template": chat_template()} if self.chat else {}),
            "textwright": {"kind": self.kind},
        }

    @classmethod
    def load(cls, run: Run) -> Tokenizer:
        """Read the tokenizer of `run`.

        `tokenizer_config.json` may be missing, or another project's: the kind is detected from
        `tokenizer.json`.

        Raises:
            RunError: a file is missing or damaged, or the two do not belong together.
        """
        run.read_json(run.tokenizer_file)  # names the run where the file is missing or damaged
        kind = None
        if run.tokenizer_config_file.exists():
            own = run.read_json(run.tokenizer_config_file).get("textwright")
            kind = own.get("kind") if isinstance(own, dict) else None
        try:
            return cls(run.tokenizer_file.read_text(encoding="utf-8"), cast("Kind | None", kind))
        except TokenizerError as error:
            raise RunError(
                f"run {run.name!r}: tokenizer.json can't be used ({error}); "
                "take the file from a copy of the run, or train again"
            ) from error

    # Built on first use

    @functools.cached_property
    def _table(self) -> CharacterTable:
        vocabulary = self.backend.get_vocab()
        return CharacterTable(
            _without_specials(vocabulary) if self.chat else vocabulary, self.backend.normalizer
        )

    @functools.cached_property
    def _chunks(self) -> ChunkEncoder:
        return ChunkEncoder(self.backend)

    @functools.cached_property
    def _prompts(self) -> PromptReader:
        return PromptReader(self.backend, self.kind, self.unk_id)

    @functools.cached_property
    def _spelling(self) -> SpellingModel:
        vocabulary = _without_specials(self.backend.get_vocab())
        known = sorted(vocabulary, key=vocabulary.__getitem__)
        return SpellingModel(known if self.kind == "word" else (), "".join(known))

    @functools.cached_property
    def _textless(self) -> frozenset[int]:
        """Special tokens of a conversation that decode to nothing: all but `<unk>`."""
        vocabulary = self.backend.get_vocab()
        tokens = specials(self.kind) if self.chat else []
        return frozenset(vocabulary[token] for token in tokens if token != words.UNK)

    @functools.cached_property
    def _pieces(self) -> list[bytes]:
        if self.kind == "bpe":
            vocabulary = self.backend.get_vocab()
            return [
                b"" if vocabulary[token] in self._textless else bytepairs.token_bytes(token)
                for token in sorted(vocabulary, key=vocabulary.__getitem__)
            ]
        return [self.decode([token]).encode() for token in range(self.vocab_size)]


def _detect_kind(data: dict[str, Any], vocabulary: dict[str, int]) -> Kind | None:
    """The kind of a parsed `tokenizer.json`; None if it is none of these."""
    model, decoder = data["model"], data.get("decoder") or {}
    if model["type"] == "WordLevel":
        return "word" if words.UNK in vocabulary else None
    if model["type"] == "BPE" and decoder.get("type") == "ByteLevel":
        return "bpe"
    if (
        model["type"] == "BPE"
        and not model["merges"]
        and all(len(key) == 1 or key in SPECIALS for key in vocabulary)
    ):
        return "char" if data.get("normalizer") and not data.get("pre_tokenizer") else None
    return None


def _is_of_conversations(data: dict[str, Any]) -> bool:
    """Whether a parsed `tokenizer.json` has what a conversation is formatted by."""
    added = {one["content"] for one in data.get("added_tokens") or [] if one.get("special")}
    return added.issuperset((words.BOS, words.EOS, *ROLE_TOKENS.values()))


def _without_specials(vocabulary: dict[str, int]) -> dict[str, int]:
    """The entries that aren't special tokens of conversations."""
    return {token: i for token, i in vocabulary.items() if token not in SPECIALS}


def _encodable(text: str) -> str:
    """`text` without lone surrogates, which neither UTF-8 nor the library can hold."""
    if not text.isascii():  # constant time
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return text.encode("utf-8", "ignore").decode()
    return text
