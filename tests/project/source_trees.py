"""The package's files as syntax trees, each parsed once for all who read them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))
