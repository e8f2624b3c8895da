"""A training that begins with a model that exists: what it keeps, adds, records and refuses."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
import yaml

import textwright
from textwright import runs
from textwright.cli import app
from textwright.errors import RequestError, RunError
from textwright.evaluation import score
from textwright.reporting import RunSummary
from textwright.reporting.facts import exact_command
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training import Evaluation, Observer, Sample, plan_training

SHAPES: dict[str, list[str]] = {
    "lstm": ["model.hidden_size=24", "model.embedding_size=16"],
    "gpt": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=2"],
}
SHORT = {"steps": 12, "eval_every": 4}
SMALL = ["training.batch_size=4", "training.sample_tokens=20", "training.companion=off"]


class StopsAt(Observer):
    """Asks the process to stop at an evaluation, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        if evaluation.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def make_parent(text_file: Path, family: str = "lstm", **options: Any) -> Run:
    changes = [*SHAPES[family], *SMALL, "model.block_size=16"]
    options = {"steps": 30, "eval_every": 30, "name": "old", **options}
    return textwright.train(text_file, model=family, changes=changes, **options)


@pytest.fixture
def novel(text_file: Path, tmp_path: Path) -> Path:
    """Another text, with characters and words that the first one lacks."""
    file = tmp_path / "novel.txt"
    text = text_file.read_text()[5_000:13_000]
    file.write_text(text.replace("the", "thé").replace(" a ", " “à” "), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of runs with one parent, for what changes nothing there."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTWRIGHT_CACHE", str(folder / "cache"))
        text = "\n\n".join(topics[name].strip() for name in sorted(topics)[:12])
        (folder / "prose.txt").write_text(text[:20_000], encoding="utf-8")
        make_parent(folder / "prose.txt", runs_folder=folder / "runs")
    yield folder / "runs"


@pytest.fixture
def parent(made_once: Path, tmp_path: Path) -> Run:
    """That parent among the runs that are found by name."""
    return Run(Path(shutil.copytree(made_once / "old", tmp_path / "runs" / "old")))


def go_on(novel: Path, parent: Any = "old", **options: Any) -> Run:
    return textwright.train(novel, parent=parent, changes=SMALL, **{**SHORT, **options})


@pytest.mark.parametrize(
    ("family", "tokenizer"),
    [
        ("lstm", "char"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in (("gpt", "word"), ("lstm", "bpe"))),
    ],
)
def test_it_begins_where_its_parent_ended(
    family: str, tokenizer: str, text_file: Path, novel: Path
) -> None:
    lowercase = tokenizer == "word"
    parent = make_parent(text_file, family, tokenizer=tokenizer, lowercase=lowercase or None)
    run = go_on(novel)
    before, after = Tokenizer.load(parent), Tokenizer.load(run)
    sample = text_file.read_text()[:2_000]
    assert after.encode(sample) == before.encode(sample)
    assert after.lowercase == lowercase
    assert (after.vocab_size > before.vocab_size) == (tokenizer == "char")
    if tokenizer != "char":
        assert after.sha256 == before.sha256
    assert run.config() == parent.config().model_copy(update={"vocab_size": after.vocab_size})
    losses = [record["val_loss"] for record in run.metrics()]
    # The first look is the parent's own; what is added takes a little probability from the rest
    validation = novel.with_name("validation.txt")
    validation.write_text(novel.read_text()[-800:].replace("é", "e").replace("“à”", "a"))
    alike = score(parent, [str(validation)], companion="off").loss
    assert losses[0] == pytest.approx(alike, rel=0.12 if tokenizer != "word" else 0.3)
    assert losses[-1] < losses[0]
    assert textwright.load(run).generate("The", max_tokens=5, seed=1).tokens
    assert len(run.samples()) == len(losses) == 4


def conversations(file: Path, words: Sequence[str]) -> Path:
    """A file of sixteen conversations about each of `words`."""
    lines = [
        {"messages": [{"role": "user", "content": f"What is {word} number {i}?"},
                      {"role": "assistant", "content": f"It is a {word}, of course."}]}
        for i in range(16) for word in words
    ]  # fmt: skip
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return file


def test_a_vocabulary_of_words_grows_only_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    talk = conversations(tmp_path / "talk.jsonl", ["tea", "rain"])
    more = conversations(tmp_path / "more.jsonl", ["tea", "snow", "wind", "hail"])
    parent = make_parent(talk, tokenizer="word")
    size = parent.config().vocab_size
    with caplog.at_level("INFO"):
        kept = go_on(more, name="kept")
    assert f"the vocabulary is that of old; --vocab-size, with more than {size}, " in caplog.text
    assert kept.config() == parent.config()
    assert kept.tokenizer_file.read_bytes() == parent.tokenizer_file.read_bytes()
    shutil.copy(parent.weights_file, kept.weights_file)
    assert kept.metrics()[0]["val_loss"] == pytest.approx(score(kept).loss, rel=1e-5)
    grown = go_on(more, name="grown", vocab_size=size + 2)
    assert grown.config().vocab_size == size + 2
    assert grown.settings()["tokenizer"]["vocab_size"] == size + 2
    again = textwright.train(config=grown.settings_file, name="again")
    assert again.weights_file.read_bytes() == grown.weights_file.read_bytes()
    assert f"--vocab-size {size + 2}" in (exact_command(RunSummary.read(grown)) or "")
    with pytest.raises(RequestError, match=f"is {size} in 'old', not {size - 1}; --from keeps its"):
        go_on(more, name="less", vocab_size=size - 1)
    assert go_on(more, name="same", vocab_size=size).config() == parent.config()


def test_the_run_tells_where_it_comes_from(
    novel: Path, parent: Run, tmp_path: Path, made_once: Path
) -> None:
    run = go_on(novel)
    recorded = run.settings()
    assert recorded["training"]["parent"] == str(parent.path.absolute())
    sha256 = hashlib.sha256(parent.weights_file.read_bytes()).hexdigest()
    data = parent.settings()["data"]
    assert recorded["parent"] == {
        "name": "old",
        "sha256": sha256,
        "texts": [{"name": "prose", "sha256": data["sha256"],
                   "sources": [data["sources"][0]["address"]]}],
    }  # fmt: skip
    card, report = run.card_file.read_text(), run.report_file.read_text()
    for page in (card, report):
        assert sha256 in page and data["sha256"] in page
    assert "began as old (trained on prose) and was trained further on novel" in card
    assert "from scratch" not in card and "Untrained" not in card
    assert "began as old" in report and "As old wrote" in report
    for folder in (tmp_path, made_once.parent):
        assert str(folder) not in card  # an author's folders are not published
    grandchild = textwright.train(novel, parent=run, name="third", changes=SMALL, steps=1)
    texts = grandchild.settings()["parent"]["texts"]
    assert [text["name"] for text in texts] == ["prose", "novel"]


def test_the_card_names_every_licence(novel: Path, parent: Run) -> None:
    def licence(parents: str | None, own: str | None, texts: bool = True) -> Any:
        settings = run.settings()
        settings["data"]["licence"] = own
        settings["parent"]["texts"] = [{"name": "prose", "licence": parents}] if texts else []
        run.write_settings(settings)
        textwright.reporting.write_card(run)  # type: ignore[attr-defined]
        front = yaml.safe_load(run.card_file.read_text().split("---\n")[1])
        return front.get("license_name") or front.get("license")

    run = go_on(novel, parent, steps=1)
    assert licence("MIT", "mit") == "mit"
    assert licence("CC BY-SA 4.0", "public domain") == "public-domain-and-cc-by-sa-4.0"
    assert licence(None, "mit") is None and licence("mit", None) is None
    assert licence(None, "mit", texts=False) is None  # what it had read isn't known


def test_a_model_folder_alone_will_do(novel: Path, parent: Run, tmp_path: Path) -> None:
    settings = parent.settings()
    settings["data"]["licence"] = "CC BY-SA 3.0"
    parent.write_settings(settings)
    textwright.reporting.write_card(parent)  # type: ignore[attr-defined]
    alone = tmp_path / "somewhere" / "alone"
    alone.mkdir(parents=True)
    for file in (parent.config_file, parent.weights_file, parent.tokenizer_file, parent.card_file):
        shutil.copy(file, alone)
    run = go_on(novel, alone, steps=2)
    recorded = run.settings()
    assert recorded["parent"]["name"] == "alone"
    assert recorded["parent"]["texts"] == [{"name": "prose", "licence": "cc-by-sa-3.0"}]
    assert recorded["plan"]["size"] == "nano"  # the recipe of the size nearest to it
    parent.card_file.unlink()
    (alone / "README.md").unlink()
    assert go_on(novel, alone, steps=2).settings()["parent"]["texts"] == []


@pytest.mark.parametrize(
    ("family", "stop"), [("lstm", 8), pytest.param("gpt", 0, marks=pytest.mark.slow)]
)
def test_resumed_without_its_parent_it_is_the_same_to_the_byte(
    family: str, stop: int, text_file: Path, novel: Path
) -> None:
    parent = make_parent(text_file, family)
    more = {"changes": [*SMALL, "training.ema_decay=0.9", "model.dropout=0.2"]}
    whole = textwright.train(novel, parent="old", name="whole", **SHORT, **more)
    parts = textwright.train(
        novel, parent="old", name="parts", observers=[StopsAt(stop)], **SHORT, **more
    )
    assert parts.settings()["result"]["status"] == "interrupted"
    parent.remove()
    if stop == 0:  # as a kill before the first checkpoint leaves it
        shutil.rmtree(parts.checkpoints_folder)
        parts.metrics_file.unlink()
        parts.weights_file.rename(parts.start_file)
    textwright.train(novel, parent="old", name="parts", resume=True, **SHORT)
    for file in ("model.safetensors", "config.json", "tokenizer.json", "samples.jsonl"):
        assert (parts.path / file).read_bytes() == (whole.path / file).read_bytes(), file


def test_resuming_from_another_parent_is_refused(novel: Path, parent: Run) -> None:
    go_on(novel, observers=[StopsAt(4)])
    shutil.copytree(parent.path, parent.path.with_name("other"))
    with pytest.raises(RequestError, match="training.parent is '.*old' in run 'novel', not 'oth"):
        textwright.train(name="novel", resume=True, parent="other")
    textwright.train(name="novel", resume=True, parent=parent)
    scratch = make_parent(novel, name="scratch", observers=[StopsAt(0)])
    with pytest.raises(RequestError, match="training.parent is None in run 'scratch'"):
        textwright.train(name=scratch.name, resume=True, parent="old")


def test_a_run_toml_and_the_exact_command_give_the_same_model(
    novel: Path, parent: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = go_on("novel.txt", "runs/old")  # type: ignore[arg-type]
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    again = textwright.train(config=run.settings_file, name="again")
    assert again.weights_file.read_bytes() == run.weights_file.read_bytes()
    assert again.settings()["parent"] == run.settings()["parent"]
    command = exact_command(RunSummary.read(run))
    assert command is not None and f"--from {parent.path}" in command
    assert "model.hidden_size" not in command and "--tokenizer" not in command
    with pytest.raises(SystemExit) as end:
        app.main([*shlex.split(command)[1:], "--name", "typed", "--json"])
    assert end.value.code == 0
    typed = runs.find("typed")
    assert typed.weights_file.read_bytes() == run.weights_file.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "gpt"}, "model.family is 'lstm' in 'old', not 'gpt'; --from keeps"),
        ({"size": "nano"}, "--from and --size: take one of them"),
        ({"tokenizer": "bpe"}, "tokenizer.kind is 'char' in 'old', not 'bpe'"),
        ({"lowercase": True}, "tokenizer.lowercase is False in 'old', not True"),
        ({"vocab_size": 500}, r"tokenizer.vocab_size is \d+ in 'old', not 500"),
        ({"changes": ["model.hidden_size=25"]}, "model.hidden_size is 24 in 'old', not 25"),
        ({"changes": ["model.block_size=32"]}, "model.block_size is 16 in 'old', not 32"),
        ({"changes": ["model.num_heads=2"]}, "num_heads is a setting of gpt, not of lstm"),
        ({"changes": ["training.sed=2"]}, "unknown setting training.sed"),
        ({"changes": ["model.dropout=2"]}, "dropout.*below 1"),
        ({"parent": "olt"}, "no run 'olt' in .*did you mean 'old'"),
    ],
)
def test_what_the_parent_decides_is_not_asked_for(
    options: dict[str, Any], message: str, novel: Path, made_once: Path
) -> None:
    options = {"parent": "old", "runs_folder": made_once, **options}
    for do in (textwright.train, plan_training):
        with pytest.raises((RequestError, RunError), match=message) as caught:
            do(novel, steps=1, **options)
        assert "\n" not in str(caught.value)
    assert [run.name for run in runs.list_runs(made_once)] == ["old"]


def test_what_agrees_with_the_parent_may_be_said(novel: Path, made_once: Path) -> None:
    options = {"model": "lstm", "tokenizer": "char", "runs_folder": made_once, "minutes": 0.02}
    changes = ["model.hidden_size=24", "model.dropout=0.3"]
    config, settings, plan = plan_training(novel, parent="old", changes=changes, **options)
    assert config.dropout == 0.3 and plan.size == "nano"
    parent = runs.find("old", made_once)
    assert settings.training.parent == str(parent.path)
    assert settings.tokenizer.kind == "char"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model.safetensors", "run 'old': model.safetensors is damaged"),
        ("tokenizer.json", "run 'old': tokenizer.json is damaged"),
        ("config.json", "run 'old': config.json is damaged"),
    ],
)
def test_a_damaged_parent_is_one_error(
    file: str, message: str, novel: Path, made_once: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(made_once, folder)
    (folder / "old" / file).write_bytes(b"{ half of a fi")
    with pytest.raises(RunError, match=message):
        go_on(novel)
    if file != "config.json":  # without that it is no run at all
        (folder / "old" / file).unlink()
        with pytest.raises(RunError, match=f"run 'old' has no {file}"):
            go_on(novel)
    assert [entry.name for entry in folder.iterdir()] == ["old"]


def test_on_the_command_line(
    novel: Path, made_once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as end:
            app.main(
                ["train", str(novel), "--from", str(made_once / "old"), "--steps", "2", *words]
            )
        return (end.value.code, *capsys.readouterr())

    code, told, said = run("--lowercase", "--steps", "2")
    assert code == 2 and told == ""
    assert said.startswith("error: tokenizer.lowercase is False in 'old'")
    assert len(said.splitlines()) == 1
    code, told, said = run("--steps", "2")
    assert code == 0 and "training novel from old: nano, " in said
