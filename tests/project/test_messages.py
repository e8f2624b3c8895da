"""Every message that a user can meet: found in the code, and held to what makes one of use.

`python tests/project/test_messages.py` lists them all, by file, to be read as the person in front
of each: what happened, why, and what to do, in words of theirs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from source_trees import parsed

from textwright import errors

SOURCE = Path(errors.__file__).parent

_SAYS_WHAT_TO_DO = re.compile(
    r"; |is the most|that textwright's \w+ has|--\w|pip install|`|, not (\{|an? |for )"
    r"|\{problem\}|\{[\w.]*message|\{_INSTEAD|^\{…\}|\{hint\}|\{(nearest|_nearest|self\._hint)"
    r"|\{reason\}|\{error|one_line|\{_REMEDY"
    r"|\bthere (are|is no|is not)\b|\b(must|can't be|should|needs?|takes?|write|give|choose|name"
    r"|set|train|take|try|remove|make|leave|log in|wait|mend|copy|goes? on|get it|go on)\b"
)
_WORDS_OF_PROGRAMS = re.compile(
    r"\b(invalid|illegal|unexpected|failed to|unable to|exception|traceback|NoneType|null|please"
    r"|oops|sorry|aborted|fatal|sanity|deprecated|runtime error)\b",
    re.IGNORECASE,
)
_ENOUGH = {
    # The name of what is missing is all that there is to say, or who hears it is told elsewhere
    "ClosedError", "DeadlineError", "UnknownModelError", "ModelUnavailableError",
}  # fmt: skip
_SAID_INSIDE = (
    "tokenizers/checking.py", "tokenizers/tokenizer.py", "publishing/vocabularies.py", "studio/",
    "engine/step.py", "sagemaker/", "cloud/", "cli/endpoints.py",
)  # fmt: skip
"""Where messages are reasons inside of others, or answers to the page, which knows what to do."""


class Message(NamedTuple):
    """One message as the code has it, with `{…}` for what is filled in."""

    file: str
    line: int
    kind: str
    text: str


def error_classes(trees: dict[str, ast.Module]) -> set[str]:
    """The names of the package's exceptions, those of single files too."""
    names = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.TextwrightError)
    }
    classes = [
        node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    for _ in range(3):  # of subclasses
        names |= {
            node.name
            for node in classes
            if any(isinstance(base, ast.Name) and base.id in names for base in node.bases)
        }
    return names


def messages() -> list[Message]:
    """All errors that are made, warnings and notes that are logged, and what is left out of files,
    which are told alike."""
    trees = {
        path.relative_to(SOURCE).as_posix(): parsed(path) for path in sorted(SOURCE.rglob("*.py"))
    }
    names = error_classes(trees)
    return [
        Message(file, call.lineno, kind, text)
        for file, tree in trees.items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and (kind := _kind(call, names))
        for text in _texts(call)
    ]


def _kind(call: ast.Call, names: set[str]) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id if call.func.id in names else ""
    if not isinstance(call.func, ast.Attribute):
        return ""
    method, of = call.func.attr, ast.unparse(call.func.value).lower()
    is_logger = method in ("warning", "info", "error") and of.rpartition(".")[2].endswith(
        ("log", "logger")
    )
    is_finding = method in ("leave_out", "note") or (method == "append" and "warning" in of)
    return method if is_logger or is_finding else ""


def _texts(call: ast.Call) -> Iterator[str]:
    if call.args and (text := _text(call.args[0])):
        yield " ".join(text.split())


def _text(node: ast.expr) -> str:
    """The words of a string, of a sum of strings, or of either of two; empty where it has none."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else _filled(part)
                for part in node.values
            )
        case ast.BinOp(op=ast.Add()):
            return (_text(node.left) or "{…}") + (_text(node.right) or "{…}")
        case ast.IfExp():
            return f"{_text(node.body)} / {_text(node.orelse)}"
    return ""


def _filled(part: ast.expr) -> str:
    assert isinstance(part, ast.FormattedValue)
    return "{" + ast.unparse(part.value) + "}"


ALL = messages()
ERRORS = [one for one in ALL if one.kind.endswith("Error") and one.text]


def test_the_messages_are_found() -> None:
    files = {one.file for one in ALL}
    assert len(ALL) > 400 and {"data/corpus.py", "training/planning/request.py"} <= files
    assert {"warning", "info", "leave_out", "append", "CorpusError"} <= {one.kind for one in ALL}


@pytest.mark.parametrize("rule", ["one line", "no full stop", "in their words"])
def test_the_form_of_messages(rule: str) -> None:
    broken = {
        "one line": lambda text: "\n" in text,
        "no full stop": lambda text: text.endswith((".", "!")) and not text.endswith("…"),
        "in their words": lambda text: _WORDS_OF_PROGRAMS.search(re.sub(r"\{[^}]*\}", "", text)),
    }[rule]
    assert [one for one in ALL if broken(one.text)] == []


def test_an_error_says_what_to_do() -> None:
    lacking = [
        f"{one.file}:{one.line}: {one.text}"
        for one in ERRORS
        if not _SAYS_WHAT_TO_DO.search(one.text)
        and one.kind not in _ENOUGH
        and not one.file.startswith(_SAID_INSIDE)
    ]
    assert lacking == [], "say what the reader can do about it"


if __name__ == "__main__":
    for file in sorted({one.file for one in ALL}):
        print(file)
        for one in ALL:
            if one.file == file:
                print(f"  {one.line:4} {one.kind:20} {one.text}")
