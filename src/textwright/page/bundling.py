"""ES modules as one script, for a page that opens from a file.

A browser doesn't load modules from `file://`. The page's own modules keep to three forms, so that
they can be put one after another without understanding JavaScript: `import { names } from "./x.js"`
at the start of a line, `export` before a function, class or const, and no circle of imports.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundle(entry: Path) -> str:
    """The module `entry` with all that it imports, as one script.

    Raises:
        ValueError: a module has another form of import or export, or imports go round in a circle.
    """
    done: dict[Path, str] = {}
    parts: list[str] = []
    _add(entry.resolve(), done, parts, [])
    return '"use strict";\n' + "".join(parts)


def _add(module: Path, done: dict[Path, str], parts: list[str], path: list[Path]) -> str:
    """Put a module after those it needs; gives the name that its exports go by."""
    if module in path:
        raise ValueError(f"{module.name} imports itself, by way of {path[-1].name}")
    if module in done:
        return done[module]
    source = module.read_text(encoding="utf-8")

    def imported(match: re.Match[str]) -> str:
        name = _add((module.parent / match[2]).resolve(), done, parts, [*path, module])
        return f"const {{{match[1]}}} = {name};\n"

    source = _IMPORT.sub(imported, source)
    exports = [match[2] for match in _EXPORT.finditer(source)]
    source = _EXPORT.sub(r"\1", source)
    if left := _LEFT.search(source):
        raise ValueError(f"{module.name}: can't put this into one script: {left[0]}")
    name = done[module] = f"m{len(done)}_{module.stem}"
    parts.append(f"const {name} = (() => {{\n{source}return {{ {', '.join(exports)} }};\n}})();\n")
    return name
