"""The page as one HTML file with the model inside: it needs no server and no network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from pathlib import Path

from textwright import atomic
from textwright.page.bundling import bundle
from textwright.page.languages import words_of
from textwright.page.packing import Dtype, pack, script_json
from textwright.runs import Run, find

_WEB = Path(__file__).parent / "web"
_STYLES = ("style.css", "write.css", "views.css")
_LINK = '<link rel="stylesheet" href="{}">\n'

_COMMENT = re.compile(r"/\*.*?\*/\n?|^\s+", re.DOTALL | re.MULTILINE)


def offline_page(run: Run, *, dtype: Dtype = "float16") -> str:
    """The page with the model of `run` inside, as the text of an HTML file.

    Args:
        run: with a trained model, of one of the package's families.
        dtype: of the matrices; `int8` halves the file, at a small loss of quality.

    Raises:
        RunError: there is no model, or a file of it is damaged.
        RequestError: the page can't run this family.
    """
    packed = pack(run, dtype)
    style = _COMMENT.sub("", "".join(_read(name) for name in _STYLES))
    program = bundle(_WEB / "offline.js")
    program = f"globalThis.languages = {script_json(words_of(program))};\n{program}"
    script = _COMMENT.sub("", _read("unpack.js"))
    icon = _base64(_read("icon.svg").encode())
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}' '{_hash(program)}'; "
        f"style-src '{_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = {
        'href="icon.svg"': f'href="data:image/svg+xml;base64,{icon}"',
        _LINK.format(_STYLES[0]): f"<style>{style}</style>\n",
        ' data-languages=""': "",
        **{_LINK.format(name): "" for name in (*_STYLES[1:], "served.css")},
        '<script type="module" src="studio.js"></script>\n': "",
        '<meta charset="utf-8">': '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "<title>textwright</title>": f"<title>{html.escape(run.name)} · textwright</title>",
    }
    body = (
        f'<script type="application/json" id="model">{script_json(packed.data)}</script>\n'
        f'<script type="text/plain" id="weights">{_base64(packed.weights)}</script>\n'
        f'<script type="text/plain" id="program">{_packed(program)}</script>\n'
        f"<script>{script}</script>\n</body>"
    )
    return _replace(_read("index.html"), {**head, "</body>": body})


def write_offline_page(run: Run | str, out: str | Path, *, dtype: Dtype = "float16") -> Path:
    """Write `offline_page` to the file `out`, atomically; returns its path.

    Args:
        run: a `Run`, or what `textwright.load` takes.
        out: the file, which is replaced if it exists.
        dtype: see `offline_page`.
    """
    found = run if isinstance(run, Run) else find(run)
    out = Path(out)
    atomic.write_text(out, offline_page(found, dtype=dtype))
    return out


def _read(name: str) -> str:
    return (_WEB / name).read_text(encoding="utf-8")


def _packed(text: str) -> str:
    """A text that `web/unpack.js` unpacks: to a third, the same bytes each time."""
    return _base64(gzip.compress(text.encode(), 9, mtime=0))


def _hash(text: str) -> str:
    """How a Content-Security-Policy names an inline script or style."""
    return "sha256-" + _base64(hashlib.sha256(text.encode()).digest())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _replace(text: str, changes: dict[str, str]) -> str:
    """Replace the keys of `changes` in `text`, each of which must occur exactly once."""
    for old in changes:
        if text.count(old) != 1:
            raise ValueError(f"index.html has not exactly one {old}")
    pattern = re.compile("|".join(map(re.escape, changes)))
    return pattern.sub(lambda match: changes[match[0]], text)
