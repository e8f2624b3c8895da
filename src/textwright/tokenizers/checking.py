"""What a `tokenizer.json` from elsewhere may say, before the `tokenizers` library reads it.

The library trusts its file: a padding of two thousand million tokens aborts the process, deep
nesting overflows its stack, and a wrong type panics. So the file is held against what the package's
own three kinds can be; what they never use (padding, truncation, other steps) is refused or put
aside.
"""

from __future__ import annotations

import json
from typing import Any

from textwright.errors import TokenizerError

MAX_SIZE = 1 << 28
"""Characters of the file."""
_MAX_DEPTH = 12
_STEPS: dict[str, set[str]] = {
    "normalizer": {"Sequence", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Replace"},
    "pre_tokenizer": {"ByteLevel", "Split", "WhitespaceSplit", "Sequence", "Digits"},
    "decoder": {"ByteLevel", "Fuse", "Sequence", "Replace"},
    "post_processor": {"ByteLevel", "TemplateProcessing", "Sequence"},
}


def checked(file: str) -> tuple[dict[str, Any], str]:
    """(the parsed file, its text for the library) of a `tokenizer.json`.

    Raises:
        TokenizerError: it is nothing that a tokenizer of these kinds can be.
    """
    if len(file) > MAX_SIZE:
        raise TokenizerError("no tokenizer file: it is too large")
    try:
        data = json.loads(file)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"no tokenizer file: {type(error).__name__}") from error
    if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
        raise TokenizerError("no tokenizer file: it has no model")
    if _depth(data, _MAX_DEPTH) > _MAX_DEPTH:
        raise TokenizerError("no tokenizer file: it is nested too deeply")
    model, added = data["model"], data.get("added_tokens") or []
    if model.get("type") not in ("WordLevel", "BPE"):
        raise TokenizerError(
            f"not a char, word or bpe tokenizer, but {str(model.get('type'))[:40]!r}"
        )
    _check_vocabulary(model.get("vocab"), added)
    _check_merges(model.get("merges", []))
    for name, types in _STEPS.items():
        _check_step(name, data.get(name), types)
    if data.get("padding") or data.get("truncation"):  # no text is padded or cut here
        file = json.dumps({**data, "padding": None, "truncation": None}, ensure_ascii=False)
    return data, file


def _check_vocabulary(vocabulary: Any, added: Any) -> None:
    if not isinstance(vocabulary, dict) or not isinstance(added, list):
        raise TokenizerError("no tokenizer file: it has no vocabulary")
    for token in added:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str):
            raise TokenizerError("no tokenizer file: an added token is damaged")
    ids = [*vocabulary.values(), *(token.get("id") for token in added)]
    if any(type(one) is not int or not 0 <= one < len(ids) for one in ids):
        raise TokenizerError("the ids of the vocabulary do not run from 0 without a gap")


def _check_merges(merges: Any) -> None:
    def is_pair(merge: Any) -> bool:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        return (
            isinstance(parts, list)
            and len(parts) == 2
            and all(isinstance(part, str) for part in parts)
        )

    if not isinstance(merges, list) or not all(map(is_pair, merges)):
        raise TokenizerError("no tokenizer file: its merges are damaged")


def _check_step(name: str, step: Any, types: set[str]) -> None:
    if step is None:
        return
    if not isinstance(step, dict) or step.get("type") not in types:
        kind = step.get("type") if isinstance(step, dict) else type(step).__name__
        raise TokenizerError(f"no tokenizer file of these kinds: {name} {str(kind)[:40]!r}")
    for parts in ("normalizers", "pretokenizers", "decoders", "processors"):
        listed = step.get(parts, [])
        if not isinstance(listed, list) or len(listed) > 100:
            raise TokenizerError(f"no tokenizer file: its {name} is damaged")
        for part in listed:
            _check_step(name, part, types)


def _depth(value: Any, most: int) -> int:
    """How deeply lists and objects are nested, looking no deeper than `most` + 1."""
    level, depth = [value], 0
    while level and depth <= most:
        below = []
        for one in level:
            if isinstance(one, dict):
                below += [part for part in one.values() if isinstance(part, dict | list)]
            elif isinstance(one, list):
                below += [part for part in one if isinstance(part, dict | list)]
        level, depth = below, depth + 1
    return depth
