"""What a notebook shows of a run, a text, probabilities, a conversation, a comparison."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "reporting"))
from made_runs import MakeRun, make_run

import textwright
from textwright.errors import RequestError
from textwright.generation import Generator
from textwright.generation.results import Explanation, Explanations
from textwright.notebook.playing import Frame
from textwright.runs import Run


class Reader(HTMLParser):
    """The tags and words of a fragment; fails where tags don't match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words = ""
        self.titles: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._open.append(tag)
        values = dict(attrs)
        assert not any(name.startswith("on") for name in values)
        self.titles += [values["title"]] if values.get("title") else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def shown(value: object) -> Reader:
    html = value._repr_html_()  # type: ignore[attr-defined]
    reader = Reader(html)
    assert reader.tags.isdisjoint({"script", "style", "link", "img"})
    assert "http" not in html  # nothing is loaded from elsewhere
    return reader


@pytest.fixture(scope="module")
def model() -> Generator:
    return textwright.load("shakespeare")


@pytest.fixture
def runs(tmp_path: Path) -> MakeRun:
    def make(name: str = "a", **options: object) -> Run:
        return make_run(tmp_path, name, **options)  # type: ignore[arg-type]

    return make


def test_a_text_is_shown_as_it_is(model: Generator) -> None:
    generation = model.generate("ROMEO:\n", max_tokens=40, seed=1)
    reader = shown(generation)
    assert reader.words.startswith(str(generation))
    assert "40 tokens · seed 1" in reader.words and reader.titles == []


def test_tokens_are_coloured_with_what_else_might_have_come(model: Generator) -> None:
    generation = model.generate("ROMEO:\n", max_tokens=40, seed=1, logprobs=3)
    reader = shown(generation)
    assert reader.words.replace("↵", "").startswith(str(generation))
    assert len(reader.titles) == 40
    first = generation.logprobs[0] if generation.logprobs else None
    assert first and f"{first.token!r} {first.probability:.1%}" in reader.titles[0]
    assert reader.titles[0].count(" · ") == 2  # three of them


def test_the_surprising_is_deeper(model: Generator) -> None:
    explained = Explanations([Explanation("a", 1.0, []), Explanation("b", 2.0**-9, [])])
    depth = [float(each) for each in re.findall(r"40,([\d.]+)\)", explained._repr_html_() or "")]
    assert depth[0] == 0 and depth[1] > 0.5
    assert explained.bits == 9
    assert "2 tokens · 9.0 bits · 4.50 bits a character" in shown(explained).words
    assert shown(Explanations([Explanation("x", 0.0, [])])).words  # a chance of nothing
    assert "empty" in shown(Explanations()).words
    assert model.explain("To be").bits > 0


def test_markup_in_a_text_is_text(model: Generator, runs: MakeRun) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=1>'
    assert evil in shown(Explanations([Explanation(evil, 0.5, [(evil, 0.5)])])).words
    written = replace(model.generate("A", max_tokens=2, seed=1), prompt=evil, text=evil)
    assert evil in shown(written).words
    dialogue = model.chat(user=evil, name="x<y", seed=1, max_tokens=4)
    dialogue.say("<b>hello</b>")
    reader = shown(dialogue)
    assert "<b>hello</b>" in reader.words and evil in reader.words and "x<y" in reader.words
    samples = [{"step": 0, "prompt": "", "text": evil}]
    assert evil in shown(runs("b&<i>", samples=samples)).words


def test_a_run_is_the_head_of_its_report(runs: MakeRun) -> None:
    run = runs("mine")
    reader = shown(run)
    for words in ("mine", "gpt", "bits a character", "3,000", "what it writes at step"):
        assert words in reader.words
    assert {"svg", "table"} <= reader.tags
    run.config_file.write_text("{", encoding="utf-8")
    assert "config.json" in shown(run).words  # damaged: named, not raised
    assert "shakespeare" in shown(textwright.load("shakespeare").run).words  # never trained here
    assert shown(Run(Path("nowhere"))).words.startswith("nowhere")


def test_words_stand_beside_the_html(model: Generator, runs: MakeRun) -> None:
    formatters = pytest.importorskip("IPython.core.formatters", reason="needs IPython")
    generation = model.generate("ROMEO:\n", max_tokens=20, seed=1, logprobs=3)
    dialogue = model.chat(user="ANN", seed=1, max_tokens=4)
    dialogue.say("Hello")
    run = runs("mine")
    comparison = textwright.compare(run, runs("other"))
    expected: list[tuple[object, list[str]]] = [
        (generation, [str(generation), "20 tokens · seed 1"]),
        (model.explain("To be"), ["To be\n5 tokens · "]),
        (dialogue, ["ANN Hello\n"]),
        (run, ["mine gpt", "\nsteps             3,000\n", "what it writes at step"]),
        (comparison, ["  mine        other\n", "\nparameters "]),
    ]
    for value, words in expected:
        told, _ = formatters.DisplayFormatter().format(value)
        assert told.keys() == {"text/html", "text/plain"}
        for each in words:
            assert each in told["text/plain"].replace("↵", "")
        # neither colours, which it has none of, nor a drawing's numbers, nor Python's own words
        for each in ("1 in 256", "training validation", "(", "<"):
            assert each not in told["text/plain"].split("what it writes")[0]
    told, _ = formatters.DisplayFormatter().format([run])
    assert told == {"text/plain": repr([run])}


def test_drawings_of_one_notebook_share_no_name(runs: MakeRun) -> None:
    longer = [runs("a")._repr_html_(), runs("b", total=4000)._repr_html_()]
    names = [re.findall(r'clipPath id="([^"]+)"', html or "") for html in longer]
    assert len(names[0]) == len(names[1]) == 1 and names[0] != names[1]


def test_a_comparison_shows_numbers_and_curves(runs: MakeRun) -> None:
    other = {"training": {"seed": 7}}
    reader = shown(textwright.compare(runs("one"), str(runs("two", changes=other).path)))
    assert "training.seed" in reader.words and "val_bits_per_char" in reader.words
    assert "1 one" in reader.words and "2 two" in reader.words and "svg" in reader.tags


def test_the_page_plays_in_a_frame_of_its_own(model: Generator) -> None:
    frame = model.play()
    assert isinstance(frame, Frame) and "shakespeare" in repr(frame)
    html = frame._repr_html_()
    (opening,) = re.findall(r'<iframe [^>]*?srcdoc="', html)
    assert 'sandbox="allow-scripts allow-downloads"' in opening
    assert html.endswith('"></iframe>') and "<script" not in html.split('srcdoc="', 1)[0]
    assert "&lt;script" in html
    with pytest.raises(RequestError, match="without a folder"):
        Generator(model.runtime, model.tokenizer).play()
