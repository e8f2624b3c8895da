"""Compiled runtimes: C, one readable file a family, chosen for the processor when it is loaded.

The libraries beside this file are made when the package is built or installed (`hatch_build.py`),
each for other instructions. Where none is there, or none loads, NumPy serves.
`TEXTWRIGHT_KERNELS` chooses: `auto`, `off`, or the name of a build.
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
"""From the fastest to the one that runs everywhere."""
FOLDER = Path(__file__).parent


class Kernels(NamedTuple):
    """What serves here."""

    library: ctypes.CDLL | None
    """None: NumPy."""
    name: str
    """Of the build, or `numpy`."""
    reason: str
    """Why it is this one."""


def kernels() -> Kernels:
    """The kernels in force.

    Raises:
        RequestError: `TEXTWRIGHT_KERNELS` names none, or one that this processor can't run.
    """
    return _choose(os.environ.get(VARIABLE, "").strip().lower() or "auto")


@functools.cache
def _choose(wanted: str) -> Kernels:
    if wanted == "off":
        return Kernels(None, "numpy", f"{VARIABLE} is off")
    if wanted not in ("auto", *BUILDS):
        hint = nearest(wanted, ["auto", "off", *BUILDS])
        raise RequestError(f"{VARIABLE}: no kernels are called {wanted!r}{hint}")
    usable, problem = available()
    if wanted != "auto" and wanted not in usable:
        known = ", ".join(usable) or problem
        raise RequestError(f"{VARIABLE}: {wanted!r} doesn't run here; what does: {known}")
    if not usable:
        return Kernels(None, "numpy", problem)
    name = usable[0] if wanted == "auto" else wanted
    reason = "the fastest that this processor runs" if wanted == "auto" else f"{VARIABLE} says so"
    return Kernels(ctypes.CDLL(str(_file(name))), name, reason)


def available() -> tuple[list[str], str]:
    """The builds that are there and that this processor runs, the fastest first; or why none."""
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
    return [name for name in BUILDS if _file(name) and can_run(name.encode())], ""


def _file(name: str) -> Path | None:
    """A build's library; its ending is the platform's."""
    found = [FOLDER / f"{name}{ending}" for ending in (".so", ".dylib", ".dll")]
    return next((file for file in found if file.is_file()), None)
