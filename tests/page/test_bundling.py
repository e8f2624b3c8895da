"""Modules as one script."""

from __future__ import annotations

from pathlib import Path

import pytest

from textwright.page import WEB
from textwright.page.bundling import bundle


def test_what_is_needed_comes_first_and_once(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(
        'import { b } from "./b.js";\nimport { c } from "./c.js";\nb(c);\n'
    )
    (tmp_path / "b.js").write_text('import { c } from "./c.js";\nexport const b = (x) => x + c;\n')
    (tmp_path / "c.js").write_text("export const c = 1;\n")
    script = bundle(tmp_path / "a.js")
    assert script.count("const c = 1;") == 1
    assert script.index("const c = 1") < script.index("const b =") < script.index("b(c)")
    assert "import" not in script
    assert "export" not in script


@pytest.mark.parametrize(
    "line",
    [
        'import b from "./b.js";',
        'import * as b from "./b.js";',
        "export default 1;",
        "export { b };",
        'export * from "./b.js";',
        "const text = `a",
    ],
)
def test_other_forms_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.js").write_text(f"{line}\n")
    with pytest.raises(ValueError, match="can't put this into one script"):
        bundle(tmp_path / "a.js")


def test_a_circle_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = 1;\n')
    with pytest.raises(ValueError, match=r"a\.js imports itself, by way of b\.js"):
        bundle(tmp_path / "a.js")


def test_the_page_makes_no_request_and_writes_no_markup() -> None:
    """What a person, a file or a model says goes in as text."""
    for module in WEB.rglob("*.js"):
        source = module.read_text(encoding="utf-8")
        for means in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert means not in source, module
        assert "://" not in source.replace("http://www.w3.org/2000/svg", ""), module
