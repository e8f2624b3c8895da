"""A training as a browser's tab does it, run in Node on the compiled engine: what comes out is one
of Python's run folders, and Python's goes on there.
"""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node import modules, run_script
from safetensors.numpy import load_file

import textwright
from textwright import publishing, runs
from textwright.data import open_text, prepare_tokens
from textwright.data.training_corpus import open_training_corpus
from textwright.errors import RunError
from textwright.kernels import FOLDER
from textwright.models.base import load_model
from textwright.page.packing import pack
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.tokenizers import Tokenizer
from textwright.tokenizers.folding import folding_tables
from textwright.training.loop import checkpoints
from textwright.training.loop.callbacks import Evaluation, Observer, Sample
from textwright.training.loop.evaluation import evaluate

ENGINE = FOLDER / "learning.wasm"
TEXT = 'It was the best of times, it was the worst of times; "naïve" café.\n' * 14
ASKED = {"text": TEXT, "source": "My Novel.txt", "steps": 4, "family": "lstm", "size": "pico"}

Jobs = Callable[..., list[Any]]


@pytest.fixture(scope="module", name="tab")
def _tab(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Gives `tab_training.mjs` some jobs; a `pico` LSTM is narrow there, for all it does is slow
    in proportion to its square."""
    folder = modules(tmp_path_factory.mktemp("tab"))
    recipes = folder / "learning" / "recipes.js"
    whole = recipes.read_text(encoding="utf-8")
    narrow = whole.replace('"hidden_size": 256', '"hidden_size": 128', 1)
    assert narrow != whole
    recipes.write_text(narrow, encoding="utf-8")
    if not ENGINE.is_file():
        pytest.skip("needs the engine, which a compiler for WebAssembly makes: pip install ziglang")

    def tab(*jobs: dict[str, Any]) -> list[Any]:
        asked = {"tables": folding_tables(), "jobs": jobs}
        given: list[Any] = run_script("tab_training.mjs", folder, ENGINE, given=asked)
        for one in given:
            assert "error" not in one, one["error"]
        return given

    return tab


@pytest.fixture(scope="module", name="first")
def _first(tab: Jobs) -> dict[str, Any]:
    """A training of four steps."""
    (told,) = tab({"kind": "train", "asked": ASKED})
    given: dict[str, Any] = told
    return given


def unpacked(told: dict[str, Any], folder: Path) -> Run:
    folder.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(told["zip"]))) as archive:
        archive.extractall(folder)
    return Run(folder)


def packed(run: Run) -> str:
    """The archive of a run, in a folder of its own as people pack it."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for file in sorted(run.path.rglob("*")):
            if file.is_file():
                archive.write(file, Path("packed") / file.relative_to(run.path))
    return base64.b64encode(whole.getvalue()).decode()


def loss_of(run: Run) -> float:
    validation = open_training_corpus(run).validation
    return evaluate(
        load_model(run, "cpu"), prepare_tokens(validation, Tokenizer.load(run)).array()
    ).loss


def test_a_tabs_run_folder_is_one_of_pythons(first: dict[str, Any], tmp_path: Path) -> None:
    check_folder(first, tmp_path / "runs")


@pytest.mark.slow
def test_so_is_that_of_a_gpt(tab: Jobs, tmp_path: Path) -> None:
    (told,) = tab({"kind": "train", "asked": {**ASKED, "family": "gpt"}})
    check_folder(told, tmp_path / "runs")


def check_folder(told: dict[str, Any], folder: Path) -> None:
    """It loads, writes the tab's own samples, has the tab's loss, finds its text and goes on."""
    run = unpacked(told, folder / "tab")
    settings = run.settings()
    assert told["phase"] == "finished"
    assert told["events"]["evaluated"] == len(run.metrics()) == 5
    assert told["events"]["kept"] == 6
    assert settings["result"]["status"] == "finished"
    assert loss_of(run) == pytest.approx(settings["result"]["val_loss"], abs=1e-4)
    assert run.metrics()[-1]["val_loss"] < run.metrics()[0]["val_loss"]
    written = textwright.load(run).generate(seed=1, max_tokens=200)
    assert written.text == run.samples()[-1]["text"]
    latest = checkpoints.load_latest(run)
    assert latest is not None
    assert latest.trainer_state.step == 4
    went_on = textwright.train(name="tab", runs_folder=folder, resume=True, steps=6)
    assert went_on.settings()["result"]["steps"] == 6
    assert went_on.metrics()[-1]["val_loss"] < settings["result"]["val_loss"]
    child = textwright.train(
        run.text_file, name="child", runs_folder=folder, parent="tab", steps=1, companion="off"
    )
    assert child.settings()["parent"]["texts"][0]["name"] == "my-novel"


def test_a_closed_tab_goes_on_as_if_it_had_never_been(tab: Jobs, tmp_path: Path) -> None:
    """With what was kept, or with the run folder that was downloaded; on one worker or two."""
    asked = {**ASKED, "text": TEXT * 3, "steps": 4}
    whole, lost, kept, half = tab(
        {"kind": "train", "asked": asked},
        {"kind": "train", "asked": asked, "crash": 3},
        {"kind": "interrupted", "asked": asked, "pause": 2, "workers": 2},
        {"kind": "train", "asked": asked, "pause": 3},
    )
    assert half["phase"] == "paused"
    (downloaded,) = tab({"kind": "goOn", "zip": half["zip"]})
    folders = [
        unpacked(told, tmp_path / str(place))
        for place, told in enumerate((whole, lost, kept, downloaded))
    ]
    tensors = [load_file(run.checkpoint_folder(4) / "tensors.safetensors") for run in folders]
    for run, other in zip(folders[1:], tensors[1:], strict=True):
        assert untimed(run) == untimed(folders[0])
        assert run.samples() == folders[0].samples()
        for name, tensor in tensors[0].items():
            np.testing.assert_array_equal(other[name], tensor, name)


def test_one_that_was_stopped_and_goes_on_is_what_it_says(tab: Jobs, tmp_path: Path) -> None:
    """The look at a stop is that of the archive then; after going on there is none of it left, but
    on the screen, until the next look."""
    (told,) = tab({"kind": "stopped", "asked": {**ASKED, "steps": 100_000}})
    at_stop, on = told["found"]
    stopped, went = (unpacked(one, tmp_path / one["phase"]) for one in told["found"])
    step = stopped.settings()["result"]["steps"]
    assert stopped.settings()["result"]["best_step"] == step == at_stop["best"]["step"] > 0
    assert loss_of(stopped) == pytest.approx(stopped.settings()["result"]["val_loss"], abs=1e-4)
    result = went.settings()["result"]
    assert [at for at, _ in went.checkpoints()] == [result["steps"]]
    assert result["steps"] > step
    assert f"step {result['steps']:,} of" in result["verdict"]
    assert [row["step"] for row in went.metrics()] == [result["best_step"]] == [0]
    assert loss_of(went) == pytest.approx(result["val_loss"], abs=1e-4)
    assert on["best"] == at_stop["best"]


def test_it_is_kept_by_the_clock(tab: Jobs) -> None:
    """However many steps that is: those between two looks take long on a telephone."""
    (told,) = tab({"kind": "late", "asked": {**ASKED, "steps": 100_000}})
    assert told["kept"] == 2  # before the first step, and when it was time


def test_files_are_in_english_whatever_the_page_speaks(tab: Jobs, tmp_path: Path) -> None:
    pasted = {**ASKED, "source": "", "steps": 1}
    (told,) = tab({"kind": "train", "asked": pasted, "language": "de"})
    settings = unpacked(told, tmp_path / "tab").settings()
    assert settings["result"]["verdict"] == "too few evaluations to tell"
    assert settings["data"]["sources"][0]["address"] == "pasted text"
    assert told["verdict"] == "zu wenige Messungen, um es zu sagen"
    assert told["notes"][0].startswith("Der Text ist kurz")


def untimed(run: Run) -> list[dict[str, Any]]:
    """The metrics, but for what a clock told."""
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "tokens_per_second")}
        for row in run.metrics()
    ]


@pytest.mark.slow
def test_python_goes_on_with_what_a_tab_left(tab: Jobs, tmp_path: Path) -> None:
    job = {"kind": "train", "asked": {**ASKED, "steps": 6}}
    whole, half = (
        unpacked(told, tmp_path / name)
        for told, name in zip(tab(job, {**job, "pause": 3}), ("whole", "half"), strict=True)
    )
    assert half.settings()["result"]["status"] == "interrupted"
    went = textwright.train(name="half", runs_folder=tmp_path, resume=True)
    for here, there in zip(went.metrics(), whole.metrics(), strict=True):
        assert here["val_loss"] == pytest.approx(there["val_loss"], abs=1e-3)


class StopAt(Observer):
    def __init__(self, step: int) -> None:
        self.step = step

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        if evaluation.step >= self.step:
            raise InterruptedError


@pytest.mark.slow
def test_a_tab_goes_on_with_a_run_that_python_began(tab: Jobs, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    how = {"model": "lstm", "size": "pico", "runs_folder": tmp_path, "companion": "off"}
    changes = ["training.precision=float32", "training.patience=0"]
    for name in ("stays", "goes"):
        with pytest.raises(InterruptedError):
            textwright.train(
                tmp_path / "text.txt", name=name, steps=8, observers=[StopAt(4)], changes=changes,
                **how,
            )  # fmt: skip
    stayed = textwright.train(name="stays", runs_folder=tmp_path, resume=True, companion="off")
    archive = packed(Run(tmp_path / "goes"))
    again = TEXT.replace("\n", "\r\n")
    (told,) = tab({"kind": "goOn", "zip": archive, "text": again})
    without = failure(tab, {"kind": "goOn", "zip": archive})
    other = failure(tab, {"kind": "goOn", "zip": archive, "text": TEXT + TEXT})
    went = unpacked(told, tmp_path / "went")
    assert [row["step"] for row in went.metrics()] == [row["step"] for row in stayed.metrics()]
    for here, there in zip(stayed.metrics(), went.metrics(), strict=True):
        assert there["val_loss"] == pytest.approx(here["val_loss"], abs=1e-3)
        assert there["val_bits_per_char"] == pytest.approx(here["val_bits_per_char"], abs=2e-3)
        assert there["lr"] == pytest.approx(here["lr"])
    assert without == "goes doesn't bring its text; give it too"
    assert other == "this is not the text that goes began with; give that one"


def failure(tab: Jobs, job: dict[str, Any]) -> str:
    with pytest.raises(AssertionError) as error:
        tab(job)
    return str(error.value).split("\n")[0]


@pytest.mark.slow
def test_a_tab_begins_with_a_model(tab: Jobs, tmp_path: Path) -> None:
    """With a run's, or the one in the page; its vocabulary grows, and it reads as before."""
    (first,) = tab({"kind": "train", "asked": {**ASKED, "steps": 16}})
    parent = unpacked(first, tmp_path / "parent")
    made = pack(parent).data
    weights = {
        name: {"shape": list(tensor.shape), "data": packed_floats(tensor)}
        for name, tensor in read_weights(parent.weights_file).items()
    }
    job = {"kind": "train", "asked": {**ASKED, "steps": 1}}
    grows = {"kind": "train", "asked": {**ASKED, "text": TEXT + "áÆ𝄞“” " * 5 + TEXT, "steps": 1}}
    of_run, of_page, grown = tab(
        {**job, "parent": {"zip": first["zip"]}},
        {**job, "parent": {"data": made, "weights": weights}},
        {**grows, "parent": {"data": made, "weights": weights}},
    )
    for told, name in ((of_run, "my-novel"), (of_page, parent.name)):
        child = unpacked(told, tmp_path / f"of-{name}")
        assert child.settings()["parent"]["name"] == name
        assert child.metrics()[0]["val_loss"] == pytest.approx(loss_of(parent), abs=1e-4)
        # at a tenth of the usual rates, for it reads such a text already
        assert child.settings()["training"]["learning_rate"] == pytest.approx(0.0008)
    own = parent.settings()["data"]["sha256"]
    assert Run(tmp_path / "of-my-novel").settings()["parent"]["texts"][0]["sha256"] == own
    larger = unpacked(grown, tmp_path / "grown")
    assert larger.config().vocab_size == Tokenizer.load(larger).vocab_size == 24 + 5
    tokenizer = Tokenizer.load(larger)
    assert tokenizer.encode("Æá𝄞“") == [24, 25, 28, 26]
    # By how often both stand in the text, á is far less likely than the a that it is like
    bias = read_weights(larger.weights_file)["output.bias"]
    assert bias[25] < bias[tokenizer.encode("a")[0]] - 1


@pytest.mark.slow
def test_the_last_look_reads_all_of_the_text_unless_it_is_cut_short(
    tab: Jobs, tmp_path: Path
) -> None:
    asked = {**ASKED, "text": "".join(f"{n} is {n * n}.\n" for n in range(4000)), "steps": 1}
    job = {"kind": "train", "asked": asked}
    whole, cut = (
        unpacked(told, tmp_path / str(place)).settings()["result"]
        for place, told in enumerate(tab(job, {**job, "cut": True}))
    )
    assert whole["eval_tokens"] == 0
    assert "its first" not in whole["protocol"]
    assert cut["status"] == "finished"
    assert cut["eval_tokens"] == 4096
    assert "its first 4,096 tokens" in cut["protocol"]
    assert cut["val_loss"] != whole["val_loss"]
    assert loss_of(Run(tmp_path / "0")) == pytest.approx(whole["val_loss"], abs=1e-4)


@pytest.mark.slow
def test_a_training_of_minutes_measures_and_ends(tab: Jobs, tmp_path: Path) -> None:
    asked = {**ASKED, "text": TEXT * 9, "minutes": 0.1}
    (told,) = tab({"kind": "train", "asked": {**asked, "steps": None}, "workers": 2})
    run = unpacked(told, tmp_path / "tab")
    assert told["phase"] == "finished"
    assert run.settings()["training"]["minutes"] == 0.1
    assert told["step"] == run.settings()["plan"]["steps"]
    assert run.settings()["plan"]["tokens_per_second"] > 0


def packed_floats(tensor: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(tensor.astype("<f4").tobytes()).decode()


def test_a_rate_that_was_moved_is_marked_and_goes_along(tab: Jobs, tmp_path: Path) -> None:
    (told,) = tab({"kind": "train", "asked": ASKED, "rate": 0.5})
    run = unpacked(told, tmp_path / "tab")
    (mark,) = told["marks"]
    assert (mark["what"], mark["value"]) == ("rate", 0.5)
    assert run.settings()["tab"]["marks"] == told["marks"]
    assert run.settings()["training"]["learning_rate"] == 0.004
    assert run.metrics()[mark["step"] + 1]["lr"] <= 0.004


def test_a_training_that_diverges_keeps_the_best(tab: Jobs, tmp_path: Path) -> None:
    """Where the browser has no room, too."""
    job = {"kind": "train", "asked": {**ASKED, "steps": 6}, "rate": 1e30, "keeps": False}
    (told,) = tab(job)
    run = unpacked(told, tmp_path / "tab")
    assert told["phase"] == "failed"
    assert told["message"].startswith("the loss is no number any more at step")
    assert told["notes"] == [
        "what is learned can't be kept in this browser (no room); download it before you leave"
    ]
    assert run.settings()["result"]["status"] == "diverged"
    assert run.settings()["result"]["verdict"].startswith("diverged")
    assert loss_of(run) == pytest.approx(run.settings()["result"]["val_loss"], abs=1e-4)
    assert textwright.load(run).generate(max_tokens=5).text


def test_an_archive_becomes_a_run(first: dict[str, Any], tmp_path: Path) -> None:
    archive = tmp_path / "My Novel (1).zip"
    archive.write_bytes(base64.b64decode(first["zip"]))
    with pytest.raises(RunError, match=r"is an archive; make a run of it: textwright import"):
        runs.find(str(archive), tmp_path)
    run = publishing.import_run(archive, runs_folder=tmp_path / "runs")
    assert run.name == "my-novel-1"
    assert run.settings()["run"]["name"] == "my-novel-1"
    assert "## Numbers" in run.card_file.read_text(encoding="utf-8")
    assert run.report_file.is_file()
    assert "naïve" in open_text([str(run.text_file)]).read()
    other = publishing.import_run(archive, name="second", runs_folder=tmp_path / "runs")
    assert other.has_model()


HOSTILE = {
    "no.zip": (b"no archive", "is damaged, or no ZIP archive"),
    "none.zip": ({"a/other.txt": b""}, "holds no run"),
    "hollow.zip": ({"a/config.json": b"{}"}, "config.json"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_is_none_is_told_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    content, words = HOSTILE[name]
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            for path, data in content.items():
                archive.writestr(path, data)
    with pytest.raises(textwright.TextwrightError, match=words):
        publishing.import_run(file, runs_folder=tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*"))


def test_nothing_is_unpacked_beside_the_run(tmp_path: Path) -> None:
    file = tmp_path / "evil.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("../outside.txt", "x")
        archive.writestr("checkpoints/step-1/../../../../outside.txt", "x")
        archive.writestr("code.py", "x")
    run = runs.unpack(file, "evil", tmp_path / "runs")
    assert [one.name for one in run.path.rglob("*")] == ["config.json"]
    assert not list(tmp_path.rglob("outside.txt"))
