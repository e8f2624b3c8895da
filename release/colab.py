"""Write the badges that open the notebooks in Colab, and the wheel that they install there.

    python release/colab.py OWNER/NAME [FOLDER]

OWNER/NAME is the repository on GitHub; FOLDER is a checkout of it, this one if left out. README and
the notebooks get a badge, and the notebooks' first cell names the wheel of this version, as the
repository's release has it. Said again, with another repository or for another version, it is
written anew.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ("quickstart", "lesson")
PLATFORM = "manylinux_2_17_x86_64"
"""Colab's machines."""

_BADGE = re.compile(r"\[!\[Open in Colab\].*\n\n")
_PACKAGE = re.compile(r'(PACKAGE = "textwright\[[\w,]+\])[^"]*"')


def badge(repository: str, notebook: str) -> str:
    """What opens a notebook of the repository, as Markdown."""
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    target = f"github/{repository}/blob/main/examples/{notebook}.ipynb"
    return f"[![Open in Colab]({picture})](https://colab.research.google.com/{target})\n\n"


def wheel(repository: str, version: str) -> str:
    """The address of a release's wheel."""
    name = f"textwright-{version}-py3-none-{PLATFORM}.whl"
    return f"https://github.com/{repository}/releases/download/v{version}/{name}"


def write(repository: str, root: Path) -> None:
    """Write badges and wheel into the checkout at `root`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = wheel(repository, project["version"])
    readme = root / "README.md"
    text = _BADGE.sub("", readme.read_text(encoding="utf-8"))
    readme.write_text(_below_title(text, badge(repository, NOTEBOOKS[0])), encoding="utf-8")
    for name in NOTEBOOKS:
        file = root / "examples" / f"{name}.ipynb"
        notebook = json.loads(file.read_text(encoding="utf-8"))
        title, install = notebook["cells"][:2]
        _set(title, _below_title(_BADGE.sub("", _text(title)), badge(repository, name)))
        _set(install, _PACKAGE.sub(rf'\1 @ {address}"', _text(install)))
        shown = json.dumps(notebook, indent=1, ensure_ascii=False)
        file.write_text(f"{shown}\n", encoding="utf-8")


def _below_title(text: str, line: str) -> str:
    title, _, rest = text.partition("\n\n")
    return f"{title}\n\n{line}{rest}"


def _text(cell: dict[str, Any]) -> str:
    """A cell's source, which is a string or a list of lines."""
    return "".join(cell["source"])


def _set(cell: dict[str, Any], text: str) -> None:
    cell["source"] = text if isinstance(cell["source"], str) else text.splitlines(keepends=True)


if __name__ == "__main__":
    if len(sys.argv) < 2 or not re.fullmatch(r"[\w-]+/[\w.-]+", sys.argv[1]):
        sys.exit(__doc__)
    write(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT)
