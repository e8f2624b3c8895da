"""Models that come with the package: how they are made, what commands do with them, what is there.

The making is tried on a small recipe, and the commands on what comes of it; what the package really
has is looked at in the end.
"""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data import topics
from typing import Any

import pytest
from huggingface_hub import ModelCard
from pages import ROOT
from safetensors import safe_open
from typer.testing import CliRunner, Result

import textwright
from textwright import runs
from textwright.cli.app import app
from textwright.data import BUILT_INS
from textwright.errors import RequestError, RunError
from textwright.runs import Run
from textwright.training.planning.request import make_request

TEXT = "\n\n".join(topics.topics[name].strip() for name in sorted(topics.topics))[:40_000]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
SHIPPED = runs.shipped()
MOST_BYTES = 16_000_000

RECIPE = """
[corpus]
sources = [{source!r}]
[model]
family = "gpt"
num_layers = 1
hidden_size = 32
num_heads = 1
block_size = 32
[training]
steps = 20
eval_every = 10
sample_prompt = "The class"
"""


class Workshop:
    """`recipes/build.py` with folders of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "prose.txt").write_text(TEXT, encoding="utf-8")
        self.recipe = folder / "my-model.toml"
        self.recipe.write_text(RECIPE.format(source=str(folder / "prose.txt")), encoding="utf-8")
        self.runs, self.package, self.reports = (folder / name for name in ("r", "p", "h"))
        self.tool = runpy.run_path(str(ROOT / "recipes" / "build.py"))

    def build(self) -> Run:
        return self.tool["build"](self.recipe, self.runs, self.package, self.reports)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTWRIGHT_CACHE", str(folder / "cache"))
        made = Workshop(folder)
        made.build()
        yield made


@pytest.fixture
def shipped(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What the recipe gave, as a model of the package."""
    for part in (runs, runs.folder, runs.collection):
        monkeypatch.setattr(part, "SHIPPED_MODELS", workshop.package)
    (run,) = runs.shipped()
    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# Making them


def test_a_recipe_becomes_a_model_folder(workshop: Workshop, shipped: Run) -> None:
    assert sorted(shipped.path.iterdir()) == sorted(shipped.model_files)
    with safe_open(shipped.weights_file, "numpy") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118
        assert file.metadata() == {"format": "pt"}  # transformers asks for it
    assert (workshop.reports / "my-model.html").read_text(encoding="utf-8").startswith("<!doctype")


def test_card_and_report_tell_of_the_rounded_weights(
    workshop: Workshop, shipped: Run, tmp_path: Path
) -> None:
    card = shipped.card_file.read_text(encoding="utf-8")
    rest = tmp_path / "rest.txt"
    rest.write_text(TEXT[int(len(TEXT) * 0.9) :], encoding="utf-8")
    loss = textwright.evaluation.score(shipped, [str(rest)]).loss
    assert f"| validation loss (nats a token) | {loss:.4f} |" in card
    assert "| weights | float16, " in card
    assert "textwright generate my-model 'The class'\n" in card
    assert "textwright train --config my-model.toml --name my-model" in card
    sample = re.search(r"`textwright (generate .* --seed 1)` prints it:\n\n```text\n(.*?)\n```",
                       card, flags=re.S)  # fmt: skip
    assert sample
    printed = call("generate", "my-model", "The class", "--seed", "1")
    assert sample[2].strip("\n") == printed.stdout.strip("\n")
    for page in (card, *map(Path.read_text, workshop.reports.iterdir())):
        assert str(workshop.runs.parent) not in page
        assert "prose.txt" in page


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of transformers
def test_what_the_card_says_to_type_works(shipped: Run, capsys: pytest.CaptureFixture[str]) -> None:
    card = shipped.card_file.read_text(encoding="utf-8")
    scripts = re.findall(r"```python\n(.*?)```", card, flags=re.S)
    for script in scripts:
        names: dict[str, Any] = {}
        exec(script, names)
        assert capsys.readouterr().out.startswith("The class")
    assert len(scripts) == 2 and names["model"].dtype.itemsize == 4


def test_what_is_trained_is_not_trained_again(workshop: Workshop) -> None:
    before = contents(workshop.runs) | contents(workshop.package)
    workshop.build()
    after = contents(workshop.runs) | contents(workshop.package)
    assert {name for name in after if after[name] != before.get(name)} == set()


def test_a_changed_recipe_is_not_passed_off_as_trained(workshop: Workshop) -> None:
    recipe = workshop.recipe.read_text(encoding="utf-8")
    before = contents(workshop.package)
    try:
        workshop.recipe.write_text(recipe.replace("eval_every = 10\n", ""), encoding="utf-8")
        with pytest.raises(RunError, match=r"my-model\.toml has changed"):
            workshop.build()
    finally:
        workshop.recipe.write_text(recipe, encoding="utf-8")
    assert contents(workshop.package) == before


def test_rounding_that_costs_too_much_is_not_shipped(workshop: Workshop) -> None:
    before = contents(workshop.package)
    names = workshop.tool["tell_of_rounded"].__globals__
    names["MOST_LOST"], allowed = -1.0, names["MOST_LOST"]
    try:
        with pytest.raises(RunError, match="float16 changes the loss"):
            workshop.build()
    finally:
        names["MOST_LOST"] = allowed
    assert allowed <= 1e-3
    assert contents(workshop.package) == before


def test_the_table_tells_what_the_cards_say(workshop: Workshop, shipped: Run) -> None:
    row = workshop.tool["table"](workshop.package).splitlines()[2]
    (loss,) = re.findall(r"\| validation loss .*\| ([\d.]+) \|", shipped.card_file.read_text())
    assert row.startswith("| `my-model` | `gpt` | ") and f"| {loss} |" in row


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_every_recipe_is_of_a_text_anyone_can_have(recipe: Path) -> None:
    request = make_request(config=recipe)
    (source,) = request.values["corpus.sources"]
    if source not in BUILT_INS:  # then a script beside it makes the text, and it says how
        script = f"recipes/{recipe.stem}_text.py"
        assert (ROOT / script).is_file() and script in recipe.read_text()
        assert Path(source).name == f"{recipe.stem}.txt"
    assert request.values["training.sample_prompt"]
    # the same on every machine, which minutes are not
    assert "training.steps" in request.values or "training.epochs" in request.values
    assert f"--config recipes/{recipe.name} --name {recipe.stem}\n" in recipe.read_text()


# What commands do with them


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input="Hello!\n")


def refused(*words: str | Path) -> str:
    error = call(*words).exception
    assert isinstance(error, RequestError), error
    assert "\n" not in str(error)
    return str(error)


def test_they_are_used_by_name(shipped: Run, text_file: Path) -> None:
    made = call("generate", "my_model", "The", "-n", "5", "--seed", "1")
    assert made.exit_code == 0 and made.stdout.startswith("The")
    assert call("chat", "my-model", "-n", "5").exit_code == 0
    assert call("eval", "my-model", text_file).exit_code == 0
    assert call("runs", "compare", "my-model", "my-model").exit_code == 0
    assert "did you mean 'my-model'" in refused("generate", "my-modle")


def test_nothing_is_written_or_deleted_there(shipped: Run, tmp_path: Path) -> None:
    before = contents(shipped.path.parent)
    assert "comes with the package" in refused("runs", "rm", "my-model", "--yes")
    assert "comes with the package" in refused(
        "runs", "rm", "my-model", "--yes", "--runs", shipped.path.parent
    )
    refused("runs", "rm", shipped.path, "--yes")
    assert str(shipped.card_file) in refused("report", "my-model")
    assert "name a file" in refused("eval", "my-model")
    assert "no run 'my-model'" in refused("train", "--resume", "--name", "my-model")
    assert contents(shipped.path.parent) == before
    assert not (tmp_path / "runs").exists()


def test_they_are_listed_apart(
    shipped: Run, make_own: Callable[[str], Run], tmp_path: Path
) -> None:
    said = "models that come with the package: my-model\n"
    assert call("runs").stderr.endswith(said)
    own = make_own("other")
    listed = call("runs")
    assert listed.stderr == said and "my-model" not in listed.stdout
    assert [run["name"] for run in json.loads(call("runs", "--json").stdout)] == ["other"]
    own.path.rename(own.path.with_name("my_model"))
    assert call("runs").stderr == ""  # that name means the run now


@pytest.fixture
def make_own(shipped: Run, tmp_path: Path) -> Callable[[str], Run]:
    """A run of the user's with another default length than the shipped model's."""

    def make(name: str, folder: str = "runs") -> Run:
        own = Run(tmp_path / folder / name)
        own.path.mkdir(parents=True)
        for file in shipped.model_files:
            (own.path / file.name).write_bytes(file.read_bytes())
        return own

    return make


def test_what_is_the_users_own_goes_first(
    shipped: Run, make_own: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").mkdir()  # of texts, say
    assert runs.find("my-model").path == shipped.path
    (tmp_path / "my-model").rmdir()
    here = make_own("my-model", ".")
    assert runs.find("my-model").path == here.path
    own = make_own("my_model")
    assert runs.find("my-model").path == own.path == runs.find("my_model").path
    assert call("runs", "rm", "my-model", "--yes").exit_code == 0
    assert not own.path.exists() and shipped.has_model()


def test_a_training_may_be_called_as_one_of_them(shipped: Run, text_file: Path) -> None:
    run = textwright.train(
        text_file, name="my-model", model="rnn", size="nano", steps=1, companion="off"
    )
    assert runs.find("my-model").path.resolve() == run.path.resolve()


GENERATE = """
import socket, sys
from pathlib import Path
def refuse(*_, **__): raise AssertionError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.modules["torch"] = None  # importing it fails
import textwright
from textwright import runs
for run in runs.shipped():
    for prompt in ("", "The "):
        model = textwright.load(run.name)
        made = model.generate(prompt, max_tokens=40, seed=1)
        assert len(made.tokens) == 40 or made.finish_reason == "stop" and made.text.strip()
    assert model.explain("The end") and made._repr_html_()
    assert model.chat(seed=1).say("Hello!") is not None
    print(run.name)
"""


# Those that are there


def test_all_are_there_and_small() -> None:
    assert [run.name for run in SHIPPED] == [recipe.stem for recipe in RECIPES]
    files = [file for file in runs.SHIPPED_MODELS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


def test_they_all_generate_without_torch_and_without_a_network(tmp_path: Path) -> None:
    words = [sys.executable, "-c", GENERATE]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == [recipe.stem for recipe in RECIPES]


def test_the_page_has_the_table_that_the_cards_give(workshop: Workshop) -> None:
    page = (ROOT / "docs" / "shipped.md").read_text(encoding="utf-8")
    assert workshop.tool["table"](runs.SHIPPED_MODELS) + "\n\n" in page


@pytest.mark.parametrize("run", SHIPPED, ids=lambda run: run.name)
def test_each_is_whole_and_says_how_it_was_made(run: Run, workshop: Workshop) -> None:
    there = [file for file in run.model_files if file.exists()]  # a companion only where it helps
    assert sorted(run.path.iterdir()) == sorted(there)
    with safe_open(run.weights_file, "numpy") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118
    card = ModelCard.load(run.card_file)
    told: Any = card.data
    assert {one.metric_type for one in told.eval_results} >= {"loss", "bits_per_char"}
    assert told.license or told.license_name
    (source,) = make_request(config=ROOT / "recipes" / f"{run.name}.toml").values["corpus.sources"]
    licences = {
        **{name: built_in.licence for name, built_in in BUILT_INS.items()},
        **{recipe: text["licence"] for recipe, text in workshop.tool["MADE_TEXTS"].items()},
    }
    assert f"| licence | {licences[Path(source).stem]} |" in card.text
    assert f"textwright train --config recipes/{run.name}.toml --name {run.name}\n" in card.text
    talks = textwright.load(run).tokenizer.chat is not None
    typed = f"textwright chat {run.name}\n" if talks else f"`textwright generate {run.name} "
    assert typed in card.text
    report = (ROOT / "docs" / "reports" / f"{run.name}.html").read_text(encoding="utf-8")
    for page in (card.content, report):
        assert not re.search(r"(?<![\w.:/])/(home|tmp|root|work|Users|var|mnt)/|[A-Z]:\\", page)
