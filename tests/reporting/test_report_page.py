"""report.html: all of it, in one file, whatever the run lacks and whatever its texts hold."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pytest
from made_runs import MakeRun, curve, evaluations, make_run

from textwright.configs import RecurrentConfig
from textwright.reporting import RunSummary, report_html, write_report
from textwright.reporting.report import stages
from textwright.runs import Run

VOID = {"meta", "link", "br", "img", "input", "hr"}
ATTACK = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What a page holds: every start tag with its attributes, and whether tags match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def page_of(run: Run) -> str:
    return report_html(RunSummary.read(run))


def text_of(page: str) -> str:
    body = re.sub(r"<style.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture(scope="module", name="usual")
def _usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module", name="page")
def _page(usual: Run) -> str:
    return page_of(usual)


def test_everything_is_there(usual: Run) -> None:
    path = write_report(usual)
    assert path == usual.path / "report.html"
    page = path.read_text(encoding="utf-8")
    text = text_of(page)
    best = usual.metrics()[-1]
    for expected in (
        "shakespeare", "0.82 M parameters", "Still improving when it ended",
        f"{best['val_loss']:.4f}", f"{best['val_bits_per_char']:.4f}", "12.3 M", "2 min 54 s",
        "public domain", "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86", "1,003,854",
        "windows of 128 tokens", "matrix_learning_rate", "2.13.0", "3.12.4",
        "textwright train shakespeare --model gpt --minutes 3",
    ):  # fmt: skip
        assert expected in text
    assert len(page.encode()) < 200_000


def test_every_sample_is_there_in_order(usual: Run, page: str) -> None:
    strip = page[page.index('<div class="strip"') :]
    places = [
        strip.index(html.escape(sample["text"], quote=True).replace("&#x27;", "&#39;")
                    .replace("&quot;", "&#34;"))
        for sample in usual.samples()[::2]  # the fixture's come in equal pairs
    ]  # fmt: skip
    assert places == sorted(places)
    assert strip.count("<article") == len(usual.samples()) == 16
    assert page.count("<article") == 16 + 6
    assert "Untrained" in page


def test_it_needs_nothing_but_itself(page: str) -> None:
    found = Page(page)
    assert not found.names() & {"script", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in found.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href", "action", "data"):
                assert value is not None
                assert value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"url\((?!#)|@import", page)
    policy = next(a["content"] for t, a in found.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_ids_are_unique_and_every_reference_leads_somewhere(page: str) -> None:
    ids = [a["id"] for _, a in Page(page).tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', page)) <= {
        pair for name in ids for pair in ((name, ""), ("", name))
    }


def test_curves_take_both_schemes_from_the_page(usual: Run, page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 6  # three curves, each for a wide screen and for a phone
    for drawing in drawings:
        assert not re.search(r"#[0-9a-f]{6}\b", drawing), "a colour of its own"
        assert "var(--" in drawing
        assert "<style" not in drawing
    assert "prefers-color-scheme: dark" in page
    used = set(re.findall(r"var\((--[\w-]+)\)", page))
    light, dark = re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL)
    for name in used - {"--tone", "--key", "--sans", "--serif", "--mono"}:
        assert f"{name}:" in light
        assert f"{name}:" in dark
    assert f"best {usual.metrics()[-1]['val_loss']:.4f} at step 3,000" in page


def test_the_same_run_gives_the_same_bytes(usual: Run, page: str) -> None:
    assert page_of(usual) == page


def test_markup_shows_as_the_text_it_is(make_run: MakeRun) -> None:
    sample = {"step": 200, "prompt": ATTACK, "text": f"</pre><script>{ATTACK}</script>"}
    run = make_run(
        "odd",
        samples=[sample],
        changes={
            "data": {"name": ATTACK, "licence": ATTACK, "warnings": [ATTACK],
                     "sources": [{"address": ATTACK}]},
            "training": {"sample_prompt": ATTACK},
            "run": {"command": f"textwright train '{ATTACK}'", "platform": ATTACK},
            "plan": {"protocol": ATTACK},
            "result": {"status": "finished"},
        },
    )  # fmt: skip
    odd = Run(run.path.rename(run.path.with_name("a<b>&c")))
    page = page_of(odd)
    assert "<img" not in page
    assert "<script" not in page
    assert not Page(page).names() & {"img", "script", "b>"}
    assert text_of(page).count(ATTACK) >= 8
    assert "a<b>&c" in text_of(page)


def test_half_a_surrogate_pair_does_not_stop_it(make_run: MakeRun) -> None:
    run = make_run(samples=[])
    run.samples_file.write_text('{"step": 0, "text": "caf\\ud83d"}\n', encoding="utf-8")
    assert write_report(run).read_text(encoding="utf-8").count("caf?") == 1


def test_without_an_evaluation_it_says_so(make_run: MakeRun) -> None:
    page = page_of(make_run(records=[], samples=[], status="interrupted"))
    assert "There is no evaluation to draw yet" in page
    assert "<svg" not in page
    Page(page)


def test_one_evaluation_is_too_few_to_tell(make_run: MakeRun) -> None:
    records = evaluations([0], [4.17], [4.17], 100)
    page = page_of(make_run(records=records))
    assert "A sample" in text_of(page)
    assert "Too few evaluations to tell" in page
    Page(page)


def test_an_interrupted_run_says_where_it_goes_on(make_run: MakeRun) -> None:
    steps = range(0, 801, 200)
    losses = [curve(step, 1.4) for step in steps]
    page = page_of(make_run(records=evaluations(steps, losses, losses, 3000), status="interrupted"))
    assert "Interrupted at step 800 of 3,000; --resume goes on from there" in text_of(page)
    assert "800 of 3,000 steps" in text_of(page)


def test_a_loss_on_part_of_the_text_says_so(make_run: MakeRun) -> None:
    text = text_of(page_of(make_run(changes={"plan": {"eval_tokens": 15_805, "protocol": None}})))
    assert "nats a token, on 15.8 k of 0.11 M tokens" in text
    assert "15,805 of the 111,540 validation tokens" in text


def test_a_run_that_was_killed_is_interrupted(make_run: MakeRun) -> None:
    assert RunSummary.read(make_run(status="running")).status == "interrupted"


def test_a_bare_model_folder_has_a_page_too(make_run: MakeRun) -> None:
    run = make_run(config=RecurrentConfig(vocab_size=40, block_size=32, num_layers=2))
    for file in (run.settings_file, run.metrics_file, run.samples_file):
        file.unlink()
    page = page_of(run)
    assert "lstm model" in text_of(page)
    Page(page)


def test_damaged_files_are_named(make_run: MakeRun) -> None:
    run = make_run()
    run.settings_file.write_text("[training\n", encoding="utf-8")
    page = page_of(run)
    assert "This run is damaged: run.toml is damaged" in text_of(page)
    Page(page)


def test_odd_records_do_not_stop_it(make_run: MakeRun) -> None:
    records: list[dict[str, Any]] = [
        {"step": 0, "val_loss": None}, {"step": 1, "val_loss": "?", "train_loss": float("nan")},
        {"step": 2, "val_loss": 2.0, "lr": True}, {"step": 3, "val_loss": float("inf")},
    ]  # fmt: skip
    run = make_run(records=[], samples=[])
    for record in records:
        run.append(run.metrics_file, record)
    Page(page_of(run))


def in_a_process(run: Run, before: str = "") -> list[str]:
    """Write the report of `run` in a new process: its error, if any, and what it imported."""
    code = (
        f"import sys; {before}\n"
        "from pathlib import Path\n"
        "from textwright.errors import MissingPackageError\n"
        "from textwright.reporting import write_report\n"
        "from textwright.runs import Run\n"
        f"try: write_report(Run(Path({str(run.path)!r})))\n"
        "except MissingPackageError as error: print(error)\n"
        "print(*{'torch', 'transformers'} & {*sys.modules})"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_it_imports_no_torch(usual: Run) -> None:
    assert in_a_process(usual) == [""]


def test_without_jinja_the_extra_is_named(usual: Run) -> None:
    message, imported = in_a_process(usual, "sys.modules['jinja2'] = None")
    assert "jinja2" in message
    assert "pip install 'textwright[train]'" in message
    assert imported == ""


@pytest.mark.parametrize(("count", "kept"), [(0, None), (1, 0), (6, 2), (7, 3), (40, 33), (40, 1)])
def test_stages_hold_the_first_the_last_and_the_kept(count: int, kept: int | None) -> None:
    shown = stages(count, kept)
    assert shown == sorted(set(shown))
    assert len(shown) == min(count, 6)
    if count:
        assert {0, count - 1} <= set(shown)
    if kept is not None:
        assert kept in shown
