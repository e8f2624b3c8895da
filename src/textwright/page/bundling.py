"""Bundles ES modules into one script, for a page that opens from a file.

A browser doesn't load modules from `file://`. The page's own modules keep to four rules, so that
they can be concatenated, without comments and indentation, without parsing JavaScript:
`import { names } from "./x.js"` at the start of a line, `export` before a function, class or const,
no import cycles, and no template that goes on over a line's end.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?://[^\n]*|/\*\*(?:(?!\*/)[\s\S])*\*/)\n", re.MULTILINE)
_INDENTATION = re.compile(r"^\s+", re.MULTILINE)
_LONG_TEMPLATE = re.compile(r"^[^`\n]*`(?:[^`\n]*`[^`\n]*`)*[^`\n]*$", re.MULTILINE)
_UNSUPPORTED = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundle(entry: Path) -> str:
    """The module `entry` with all that it imports, as one script.

    Raises:
        ValueError: a module breaks one of these rules.
    """
    done: dict[Path, str] = {}
    parts: list[str] = []
    _add(entry.resolve(), done, parts, [])
    return '"use strict";\n' + "".join(parts)


def _add(module: Path, done: dict[Path, str], parts: list[str], path: list[Path]) -> str:
    """Append a module after those it imports; returns the name of the object of its exports."""
    if module in path:
        raise ValueError(f"{module.name} imports itself, by way of {path[-1].name}")
    if module in done:
        return done[module]
    source = _COMMENT.sub("", module.read_text(encoding="utf-8"))
    source = _INDENTATION.sub("", source)

    def replace_import(match: re.Match[str]) -> str:
        name = _add((module.parent / match[2]).resolve(), done, parts, [*path, module])
        return f"const {{{match[1]}}} = {name};\n"

    source = _IMPORT.sub(replace_import, source)
    exports = [match[2] for match in _EXPORT.finditer(source)]
    source = _EXPORT.sub(r"\1", source)
    if match := _UNSUPPORTED.search(source) or _LONG_TEMPLATE.search(source):
        raise ValueError(f"{module.name}: can't put this into one script: {match[0]}")
    name = done[module] = f"m{len(done)}_{module.stem}"
    parts.append(f"const {name} = (() => {{\n{source}return {{ {', '.join(exports)} }};\n}})();\n")
    return name
