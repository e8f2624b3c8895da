"""The page as one HTML file, with a model inside or one to come: it needs no server, no network."""

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
from textwright.page.learning import engine, knowledge
from textwright.page.packing import Dtype, pack, script_json
from textwright.runs import Run, find

_WEB = Path(__file__).parent / "web"
_STYLES = ("style.css", "write.css", "served.css", "views.css")
_SERVED = "served.css"
"""Of the parts that a page without a server and without training hasn't."""
_LINK = '<link rel="stylesheet" href="{}">\n'

_COMMENT = re.compile(r"/\*.*?\*/\n?|^\s+", re.DOTALL | re.MULTILINE)


def offline_page(
    run: Run | None,
    *,
    dtype: Dtype = "float16",
    trainable: bool = False,
    companion: str = "auto",
) -> str:
    """The page with the model of `run` inside, as the text of an HTML file.

    Args:
        run: with a trained model, of one of the package's families. None: the page has none yet,
            and opens on training one.
        dtype: of the matrices; `int8` halves the file, at a small loss of quality.
        trainable: whether it can train, too; it always can where there is no model.
        companion: `off` leaves out what the run counted in its text.

    Raises:
        RunError: there is no model, or a file of it is damaged.
        RequestError: the page can't run this family, or this package can't train in a tab.
    """
    trains = trainable or run is None
    packed = None if run is None else pack(run, dtype, companion)
    styles = [name for name in _STYLES if trains or name != _SERVED]
    style = _COMMENT.sub("", "".join(map(_read, styles)))
    program = bundle(_WEB / ("trainable.js" if trains else "offline.js"))
    program = f"globalThis.languages = {script_json(words_of(program))};\n{program}"
    script = _COMMENT.sub("", _read("unpack.js"))
    icon = _base64(_read("icon.svg").encode())
    # Workers come out of a blob; WebAssembly is compiled, and nothing else.
    learns = (" 'wasm-unsafe-eval'", "worker-src blob:; ") if trains else ("", "")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}' '{_hash(program)}'{learns[0]}; "
        f"{learns[1]}style-src '{_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    title = "textwright" if run is None else f"{html.escape(run.name)} · textwright"
    head = {
        'href="icon.svg"': f'href="data:image/svg+xml;base64,{icon}"',
        _LINK.format(_STYLES[0]): f"<style>{style}</style>\n",
        ' data-languages=""': "",
        **{_LINK.format(name): "" for name in _STYLES[1:]},
        '<script type="module" src="studio.js"></script>\n': "",
        '<meta charset="utf-8">': '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "<title>textwright</title>": f"<title>{title}</title>",
    }
    data = _data("json", "model", script_json(packed.data if packed else None))
    data += _data("plain", "weights", _base64(packed.weights) if packed else "")
    if trains:
        data += _data("json", "knowledge", script_json(knowledge()))
        data += _data("plain", "engine", _packed(engine()))
        data += _data("plain", "worker", _packed(bundle(_WEB / "learning" / "worker.js").encode()))
    data += _data("plain", "program", _packed(program.encode()))
    return _replace(
        _read("index.html"), {**head, "</body>": f"{data}<script>{script}</script>\n</body>"}
    )


def write_offline_page(
    run: Run | str | None,
    out: str | Path,
    *,
    dtype: Dtype = "float16",
    trainable: bool = False,
    companion: str = "auto",
) -> Path:
    """Write `offline_page` to the file `out`, atomically; returns its path.

    Args:
        run: a `Run`, or what `textwright.load` takes; None for a page that has no model yet.
        out: the file, which is replaced if it exists.
        dtype, trainable, companion: see `offline_page`.
    """
    found = find(run) if isinstance(run, str) else run
    out = Path(out)
    page = offline_page(found, dtype=dtype, trainable=trainable, companion=companion)
    atomic.write_text(out, page)
    return out


def _read(name: str) -> str:
    return (_WEB / name).read_text(encoding="utf-8")


def _data(kind: str, name: str, content: str) -> str:
    """An element that a script reads, and no browser runs."""
    types = {"json": "application/json", "plain": "text/plain"}
    return f'<script type="{types[kind]}" id="{name}">{content}</script>\n'


def _packed(data: bytes) -> str:
    """What the page unpacks: a text to a third, the same bytes each time."""
    return _base64(gzip.compress(data, 9, mtime=0))


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
