"""The C kernels, a file a family, and the build of them that fits the processor.

`hatch_build.py` compiles the C files into libraries beside this file, each for other instruction
sets; `kernels()` chooses one, by default the fastest that runs, and `$TEXTWRIGHT_KERNELS` overrides
it: `auto`, `off`, or the name of a build. Without a library the runtimes are NumPy's, and training
is torch's alone. Begin with `gpt.c` and `products.h`; `structures.py` mirrors their structures with
ctypes. Nothing here knows a family's Python side, which is `runtimes`; of training
that is `models.fused` (`training.c`) and `training.optim.muon` (`muon.c`).

`learning/` is the engine that trains in a browser's tab: C too, compiled to WebAssembly, and called
by the page's `learning/*.js` alone. Begin with `learning/products.h`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import zlib
from pathlib import Path
from typing import NamedTuple

from textwright.configs import nearest
from textwright.errors import RequestError

VARIABLE = "TEXTWRIGHT_KERNELS"
BUILDS = ("avx512", "avxvnni", "avx2", "dotprod", "baseline")
"""The fastest first; the last runs everywhere."""
FOLDER = Path(__file__).parent


class Kernels(NamedTuple):
    """The build in use."""

    library: ctypes.CDLL | None
    """None where NumPy is used."""
    name: str
    """The build, or `numpy`."""
    reason: str
    """Why this one, for `doctor`."""


def kernels() -> Kernels:
    """The build in use in this process.

    Raises:
        RequestError: `TEXTWRIGHT_KERNELS` names no build, or one that this processor can't run.
    """
    return _choose(os.environ.get(VARIABLE, "").strip().lower() or "auto")


@functools.cache
def _choose(choice: str) -> Kernels:
    if choice == "off":
        return Kernels(None, "numpy", f"{VARIABLE} is off")
    if choice not in ("auto", *BUILDS):
        hint = nearest(choice, ["auto", "off", *BUILDS])
        raise RequestError(f"{VARIABLE}: no kernels are called {choice!r}{hint}")
    usable, problem = available()
    if choice != "auto" and choice not in usable:
        known = ", ".join(usable) or problem
        raise RequestError(f"{VARIABLE}: {choice!r} doesn't run here; what does: {known}")
    if not usable:
        return Kernels(None, "numpy", problem)
    name = usable[0] if choice == "auto" else choice
    reason = "the fastest that this processor runs" if choice == "auto" else f"{VARIABLE} says so"
    return Kernels(ctypes.CDLL(str(_file(name))), name, reason)


def available() -> tuple[list[str], str]:
    """The builds present that this processor runs, the fastest first; else the reason."""
    file = _file("baseline")
    if file is None:
        return [], "the package was built without a C compiler"
    try:
        library = ctypes.CDLL(str(file))
        can_run, made_of = library.can_run, library.made_of
    except (OSError, AttributeError) as error:
        return [], f"{file.name} doesn't load: {str(error) or 'it is damaged'}".split("\n", 1)[0]
    made_of.restype = ctypes.c_uint32
    sources = b"".join(file.read_bytes() for file in sorted(FOLDER.glob("*.[ch]")))
    if sources and made_of() != zlib.crc32(sources):
        return [], "the kernels were made of other sources; make them anew: python hatch_build.py"
    usable = [name for name in BUILDS if _file(name) and can_run(name.encode())]
    return usable, "" if usable else "this processor is older than those the kernels are made for"


def learning_engine() -> tuple[Path | None, str]:
    """The engine that trains in a browser's tab, a WebAssembly module; else the reason why not."""
    file = FOLDER / "learning.wasm"
    if not file.is_file():
        return None, (
            "the package was built without a compiler for WebAssembly; pip install ziglang, and "
            "install textwright anew"
        )
    names = FOLDER / "learning" / "shared.txt"  # of what the engine has in common with the kernels
    shared = names.read_text(encoding="utf-8").split() if names.is_file() else []
    sources = sorted([*(FOLDER / "learning").glob("*.[ch]"), *(FOLDER / one for one in shared)])
    there = b"".join(one.read_bytes() for one in sources if one.is_file())
    if there and file.read_bytes()[-4:] != zlib.crc32(there).to_bytes(4, "little"):
        return None, f"{file.name} was made of other sources; make it anew: python hatch_build.py"
    return file, ""


def _file(name: str) -> Path | None:
    """A build's library, with the suffix of the platform; None where there is none."""
    files = [FOLDER / f"{name}{suffix}" for suffix in (".so", ".dylib", ".dll")]
    return next((file for file in files if file.is_file()), None)
