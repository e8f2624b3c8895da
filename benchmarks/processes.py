"""What the benchmarks share: a process run to its end and what it cost; how results are told."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean


@dataclass(frozen=True)
class Finished:
    """A process that ended well."""

    output: str
    """Its standard output."""
    cpu_seconds: float
    """User and system time, of its children too."""
    wall_seconds: float
    peak_mb: int
    """Resident memory at its height."""


def run(
    words: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a process to its end.

    Raises:
        SystemExit: it failed; the message is one line.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall_seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        text = output.read().decode(errors="replace")
        if process.returncode:
            said = (errors.read().decode(errors="replace").strip() or text.strip()).splitlines()
            name = " ".join(word for word in words[1:] if "\n" not in word)
            last = said[-1] if said else "it says nothing"
            raise SystemExit(f"failed with {process.returncode}: {name}: {last}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Finished(
        text, used.ru_utime + used.ru_stime, wall_seconds, round(used.ru_maxrss * unit / 1e6)
    )


def report(line: str) -> None:
    """Say how far a benchmark is, apart from its results."""
    print(line, file=sys.stderr, flush=True)


def spread(values: Sequence[float], digits: int) -> str:
    """The mean, and the lowest and highest where there are several."""
    text = f"{mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f} to {max(values):.{digits}f})"
    return text
