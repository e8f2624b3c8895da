"""The page's words: none is said that isn't in every language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from node import modules, run_script

from textwright.page import WEB
from textwright.page.languages import languages, words

UNSPOKEN = {
    "unpack.js", "batches.js", "evaluation.js", "member.js", "wasm.js", "worker.js",
    "gutenberg.js", "protocol.js", "recipes.js", "runfolder.js", "toml.js",
}  # fmt: skip
"""What runs where no language is spoken, a training's workers above all; what is written into a
run folder, whose words are Python's."""
CODE = [
    file
    for file in sorted(WEB.rglob("*.js"))
    if file.parent.name not in ("words", "runtime") and file.name not in UNSPOKEN
]
STRING = r'"((?:[^"\\\n]|\\.)*)"'
SPOKEN = re.compile(r"\b(?:t|later)\(" + STRING)
COUNTED = re.compile(r"\bmany\([^\"\n]*?" + STRING + ", " + STRING)
PLACE = re.compile(r"\{(\w+)\}")
PROSE = re.compile(r"^[A-Z][a-z]+|[A-Za-z]{2,},? [A-Za-z]{2,}")
NAMES = re.compile(
    r"^(Arrow(Down|Up|Left|Right)|Enter|Escape|Home|End|Page(Up|Down)|Tab|Files|AbortError"
    r"|(Unl|L)oad(ed|ing)|Bearer |Palatino, .*|textwright text 1|Recurrent|Qwen3ForCausalLM"
    r"|stopped early|textwright (import|generate|serve|train) .*)$"
    r"|^\W*<\w+ |^text\{|\" (width|fill|style)="
)
"""What isn't the page's: keys, errors and states as others name them, markup, a format."""
SILENT = re.compile(
    r"(\bclass: [\w? :\x22]*|\bclassName = |\bclass=|style[:=]|\bd: |setAttribute\(|matchMedia\()$"
)
"""Before what nobody sees."""
OTHERS = {"chat.js": "OPENINGS = [", "guessing.js": "passages = [", "reasons.js": "REASONS = ["}
"""What is said to a model, which learned English, quoted, or read in what a server says."""


TRY = """import { amount, decimal, many, speak, t, wanted } from "./words.js";
const steps = (count) => many(count, "{count} step", "{count} steps");
const told = () => [
  t("Write"), steps(1), steps(2), steps(1234567), decimal(-0.5, 2), amount(0.25),
];
const said = { en: told(), wanted: [
  wanted(["it", "de-CH"], ["de", "fr"]), wanted(["en-GB", "de"], ["de"]), wanted(["it"], ["de"]),
  wanted(["zh-TW"], ["zh"]),
] };
for (const name of process.argv.slice(3)) {
  speak(name, (await import(`./words/${name}.js`)).words);
  said[name] = told();
}
console.log(JSON.stringify(said));
"""


def spoken() -> dict[str, bool]:
    """Every sentence of the page, and whether it has plural forms."""
    found = {}
    for file in CODE:
        text = file.read_text(encoding="utf-8")
        found |= {json.loads(f'"{one[1]}"'): False for one in SPOKEN.finditer(text)}
        found |= {json.loads(f'"{one[2]}"'): True for one in COUNTED.finditer(text)}
    return found


LEXEME = re.compile(
    r"//[^\n]*|/\*.*?\*/|" + STRING
    + r"|(?<=[(,=:\[!&|?{};> ])/(?![/*= ])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*|[`{}]",
    re.DOTALL,
)  # fmt: skip
FIXED = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*(`|\$\{)", re.DOTALL)


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Where each string of a module begins, and what it holds; of templates each fixed part."""
    braces = []  # of each that is open whether it stands in a template
    place = 0
    while found := LEXEME.search(source, place):
        place = found.end()
        if found[1] is not None:
            yield found.start(), found[1]
        elif found[0] == "{":
            braces.append(False)
        elif found[0] == "`" or (found[0] == "}" and braces.pop()):
            part = FIXED.match(source, place)
            assert part is not None, source[place : place + 60]
            yield found.start(), part[0].removesuffix(part[1])
            place = part.end()
            if part[1] == "${":
                braces.append(True)


def bare(file: Path) -> list[str]:
    """The English of a module that no language can have its own words for."""
    source = file.read_text(encoding="utf-8")
    known = {one.start(1) - 1 for one in SPOKEN.finditer(source)}
    known |= {one.start(group) - 1 for one in COUNTED.finditer(source) for group in (1, 2)}
    if other := OTHERS.get(file.name):
        begin = source.index(f"const {other}")
        end = source.index("];", begin)
    else:
        begin = end = 0
    return [
        text
        for place, text in literals(source)
        if PROSE.search(text) and not NAMES.search(text) and place not in known
        and not SILENT.search(source[max(0, place - 30) : place]) and not begin < place < end
    ]  # fmt: skip


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(WEB)))
def test_no_module_has_bare_english(file: Path) -> None:
    assert bare(file) == []


def test_bare_english_is_found(tmp_path: Path) -> None:
    file = tmp_path / "views.js"
    file.write_text(
        'el("b", { class: "quiet small" }, t("Right"), "Wrong", `Not ${t("Good")} ok`);'
    )
    assert bare(file) == ["Wrong", "Not "]


def test_nothing_is_spoken_but_whole_sentences() -> None:
    """What `t` is given is written there, or was where it is marked `later`."""
    variables = {
        "view.title",
        "this.views[0].title",
        "view.brief",
        "name",
        "text",
        "known[1]",
        "lens.caption",
        "problem",
    }
    variables |= {
        "one.feature.title",
        "PHASES[phase]",
        "SIZES[size]",
        "FAMILIES.gpt",
        "FAMILIES[name]",
    }
    for file in CODE:
        source = file.read_text(encoding="utf-8")
        for one in re.finditer(r"(?<![.\w])(?:t|later)\(([^\"()\s][^),]*)", source):
            said = one[1].partition(" ??")[0]
            assert said in variables or file.name == "words.js", f"{file.name}: {one[0]}"


@pytest.mark.parametrize("language", languages())
def test_a_language_has_every_sentence_and_no_other(language: str) -> None:
    keys, own = spoken(), words(language)
    assert set(own) == set(keys)
    for english, said in own.items():
        forms = said if isinstance(said, dict) else {"other": said}
        assert "other" in forms, english
        assert len(forms) == 1 or keys[english], f"{english!r} depends on no number"
        assert set(PLACE.findall(forms["other"])) == set(PLACE.findall(english)), english
        for form in forms.values():
            assert set(PLACE.findall(form)) <= set(PLACE.findall(english)), english
            assert form.strip(), english


def test_languages_and_numbers(tmp_path: Path) -> None:
    """In Node, which has the same `Intl` as browsers."""
    (modules(tmp_path) / "try.js").write_text(TRY, encoding="utf-8")
    said = run_script("try.js", tmp_path, *languages())
    assert said["wanted"] == ["de", None, None, "zh"]
    assert said["en"] == ["Write", "1 step", "2 steps", "1,234,567 steps", "−0.50", "0.25"]
    assert said["de"] == [
        "Schreiben", "1 Schritt", "2 Schritte", "1.234.567 Schritte", "−0,50", "0,25",
    ]  # fmt: skip
    assert said["zh"][1:4] == ["1 步", "2 步", "1,234,567 步"]
    for language in languages():
        assert said[language][0] == words(language)["Write"]
