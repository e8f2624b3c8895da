"""What `report.html` and `sweep.html` share: the page around them, its style, how it is filled.

Templates escape every value, so that markup in a name, a sample or a setting shows as text.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textwright.errors import MissingPackageError

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, **values: Any) -> str:
    """A page as text.

    Args:
        template: of this folder; it extends `page.html.jinja`.
        values: what it names.

    Raises:
        MissingPackageError: Jinja is not installed.
    """
    try:
        environment = _environment()
    except ImportError as error:
        page = template.removesuffix(".jinja")
        raise MissingPackageError(
            f"{page} needs jinja2; pip install 'textwright[train]'"
        ) from error
    page = environment.get_template(template).render(**values)
    return page.encode("utf-8", "replace").decode("utf-8")  # lone surrogates


@functools.cache  # it keeps templates as compiled
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
