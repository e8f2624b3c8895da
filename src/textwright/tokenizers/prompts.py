"""Encoding a prompt, whose characters or words the vocabulary may lack; see `folding`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers

from textwright.tokenizers.folding import nearest_form, plain

_MAX_NAMED = 8
"""Items that a warning names of each kind."""

_OPENING = "([{“‘„«"

_BY_MARK = re.compile(r"['’](?:s|t|d|m|re|ve|ll)\b|\w+|[^\w\s]")
_BY_APOSTROPHE = re.compile(r"\s*[^\s'’]+|\s*['’]|\s+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNIT = re.compile("\r\n|[\ud800-\udbff][\udc00-\udfff]|.", re.DOTALL)


@dataclass
class Prompt:
    """The ids of a prompt, and what had to be replaced or left out; each item once, in order."""

    ids: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Where in the normalized text each id's characters begin; not for `bpe`."""
    read_as: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)

    def warning(self) -> str:
        """One line that names everything that wasn't encoded as typed; empty if nothing."""
        forms = [f"{_quoted(typed)} as {_quoted(form)}" for typed, form in self.read_as.items()]
        kinds = (
            ("read as a known form", forms),
            ("read as <unk>, not in the vocabulary", list(map(_quoted, self.unknown))),
            ("left out, never seen in training", list(map(_with_code, self.left_out))),
        )
        return "; ".join(f"{kind}: {_join(items)}" for kind, items in kinds if items)


class PromptReader:
    """Encodes prompts for one tokenizer."""

    def __init__(self, backend: tokenizers.Tokenizer, kind: str, unk_id: int | None) -> None:
        """Of a tokenizer's `backend`, its `kind`, and the id that unknown words get."""
        self._backend = backend
        self._kind = kind
        self._unk_id = unk_id
        self._white_space_splits = isinstance(backend.pre_tokenizer, pre_tokenizers.WhitespaceSplit)

    def read(self, text: str) -> Prompt:
        """The ids of `text`; what the vocabulary lacks is folded to the nearest known form."""
        prompt = Prompt()
        # Surrogate pairs become characters; line ends are LF in all corpora
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        prompt.left_out.update(dict.fromkeys(_SURROGATE.findall(text)))
        text = _SURROGATE.sub("", text)
        if self._kind == "char":
            self._read_characters(text, prompt)
        elif self._kind == "word":
            self._read_words(text, prompt)
        else:
            prompt.ids = self._ids(text)
        return prompt

    def places(self, text: str) -> list[int]:
        """Where in `text` each id of `read` is, in characters, never going back."""
        read, origins = _plain_with_origins(text)
        if self._kind == "bpe":
            offsets = self._backend.encode(read, add_special_tokens=False).offsets
            places = [origins[start] for start, _ in offsets]
        else:
            normalized = _normalized_origins(self._backend.normalizer, read)
            prompt = self.read(text)
            places = [origins[normalized[start]] for start in prompt.starts]
            # Where characters compose only once those between them were left out, ids are fewer
            del places[len(prompt.ids) :]
        furthest = 0
        for index, place in enumerate(places):
            places[index] = furthest = max(furthest, place)
        return places

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def _known(self, token: str) -> bool:
        return self._backend.token_to_id(token) is not None

    def _read_characters(self, text: str, prompt: Prompt) -> None:
        text = self._backend.normalizer.normalize_str(text)
        read = []
        starts = prompt.starts
        for i, character in enumerate(text):
            if self._known(character):
                read.append(character)
                starts.append(i)
                continue
            form = nearest_form(
                character, self._known, opening=_opens_after(text[i - 1] if i else "")
            )
            if form is None:
                prompt.left_out[character] = None
            else:
                prompt.read_as[character] = form
                read.append(form)
                starts += [i] * len(form)
        prompt.ids = self._ids("".join(read))

    def _read_words(self, text: str, prompt: Prompt) -> None:
        backend = self._backend
        text = backend.normalizer.normalize_str(text)
        for token, (start, _) in backend.pre_tokenizer.pre_tokenize_str(text):
            opening = token[0].isspace() or _opens_after(text[start - 1] if start else "")
            self._read_word(token, prompt, start, opening=opening)

    def _read_word(self, token: str, prompt: Prompt, start: int, *, opening: bool) -> None:
        token_id = self._backend.token_to_id(token)
        if token_id is not None:
            prompt.ids.append(token_id)
            prompt.starts.append(start)
            return
        core = token.strip() or token
        parts = self._parts(token)
        for forms, as_typed in self._variants(token, parts, opening):
            ids_of = [self._ids(form) for form in forms]
            ids = [token_id for form_ids in ids_of for token_id in form_ids]
            if self._unk_id not in ids:
                length = 0  # of the forms before, which are as typed where there are several
                for form, form_ids in zip(forms, ids_of, strict=True):
                    prompt.starts += [start + length] * len(form_ids)
                    length += len(form)
                if not as_typed:
                    form = "".join(forms)
                    prompt.read_as[core] = form.strip() or form
                prompt.ids += ids
                return
        if len(parts) > 1:
            for part in parts:
                self._read_word(part, prompt, start, opening=False)
                start += len(part)
            return
        assert self._unk_id is not None
        prompt.unknown[core] = None
        prompt.ids.append(self._unk_id)
        prompt.starts.append(start)

    def _variants(
        self, token: str, parts: list[str], opening: bool
    ) -> Iterator[tuple[list[str], bool]]:
        """(forms, whether they are as typed) of an unknown word, the nearest first."""
        core = token.strip() or token
        space = token[: token.index(core[0])]
        other = "" if space else " "
        yield [other + core], True  # known only after a space, or only at the start of a line
        yield parts, True
        if len(core) == 1:
            form = nearest_form(core, self._known_spaced, opening=opening)
            if form is not None:
                yield [space + form], False
                yield [other + form], False
        folded = plain(core.replace("’", "'"))
        for cased in _cases((core, core.replace("'", "’"), folded)):
            yield [space + cased], False
            yield [other + cased], False

    def _parts(self, token: str) -> list[str]:
        """A word split further: "word," at its comma, if the tokenizer splits at white space alone;
        else "Ann's" at its apostrophe."""
        pattern = _BY_MARK if self._white_space_splits else _BY_APOSTROPHE
        return pattern.findall(token)

    def _known_spaced(self, token: str) -> bool:
        """Whether it is known with or without a space before it."""
        return self._known(token) or self._known(f" {token}")


def _plain_with_origins(text: str) -> tuple[str, list[int]]:
    """`text` as `read` takes it, without lone surrogates and with LF, and the place in `text` of
    each of its characters and of its end."""
    characters, origins = [], []
    place = 0
    for match in _UNIT.finditer(text):
        unit = match[0]
        if len(unit) == 2 and unit != "\r\n":
            unit = unit.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        if not _SURROGATE.match(unit):
            characters.append("\n" if unit[0] == "\r" else unit)
            origins.append(match.start())
        place = match.end()
    return "".join(characters), [*origins, place]


def _normalized_origins(normalizer: normalizers.Normalizer, text: str) -> list[int]:
    """The place in `text` of each character of the normalized text, and of its end."""
    # The library gives them away only with the offsets of tokens: so each character is one
    each = tokenizers.Tokenizer(models.WordLevel({"": 0}, unk_token=""))
    each.normalizer = normalizer
    each.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return [*(start for start, _ in each.encode(text).offsets), len(text)]


def _opens_after(before: str) -> bool:
    """Whether a quote after the character `before` ('' at the start) opens rather than closes."""
    return not before or before.isspace() or before in _OPENING


def _cases(forms: Iterable[str]) -> dict[str, None]:
    """`forms`, then each in every case; an ordered set."""
    cases = dict.fromkeys(forms)
    for form in list(cases):
        cases.update(dict.fromkeys((form.lower(), form.capitalize(), form.upper())))
    return cases


def _join(items: list[str]) -> str:
    more = len(items) - _MAX_NAMED
    return ", ".join(items[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _with_code(character: str) -> str:
    code = f"U+{ord(character):04X}"
    is_visible = character.isprintable() and not unicodedata.combining(character)
    return f"{character!r} ({code})" if is_visible else code
