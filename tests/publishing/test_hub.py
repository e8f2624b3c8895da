"""Push, pull and generate, by the real library against a stand-in of the Hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hub_stand_in import TOKEN, Hub, hub_stand_in

import textwright
from commands import Command
from textwright.cli.app import main
from textwright.companion.mixing import Companion
from textwright.publishing import push
from textwright.runs import Run, shipped

pytestmark = pytest.mark.slow


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_stand_in() as hub:
        yield hub


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained runs: a `gpt` and an `lstm`."""
    folder = tmp_path_factory.mktemp("trained")
    text = folder / "text.txt"
    text.write_text("the cat sat on the mat, and that was that.\n" * 300, encoding="utf-8")
    changes = ["training.batch_size=4", "model.block_size=32", "model.num_layers=1"]
    for family in ("gpt", "lstm"):
        own = ["model.hidden_size=32", *(["model.num_heads=1"] if family == "gpt" else [])]
        textwright.train(
            text, model=family, name=f"cat-{family}", steps=40, runs_folder=folder,
            changes=[*changes, *own], companion="off",
        )  # fmt: skip
    return folder


def process(
    *words: str, hub: Hub, folder: Path, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """`textwright WORDS` in `folder`, with a Hugging Face home of its own there."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "hf"), "HF_TOKEN": token}
    return subprocess.run(
        [sys.executable, "-m", "textwright", *words],
        env=keep | own, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def here(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    """The Hub, for `textwright` in this process."""
    from huggingface_hub import constants

    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    return hub


def files_with(secret: str, folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]


def test_a_model_goes_to_the_hub_and_back(hub: Hub, runs: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    name = "ann/cat-gpt"
    pushed = process("push", str(runs / "cat-gpt"), name, "--private", hub=hub, folder=tmp_path)
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.split() == [f"{hub.endpoint}/{name}"]
    assert "private" in str(hub.created[0]) and not hub.unknown
    files = hub.repositories["model", name]
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= files.keys()
    assert not {"run.toml", "metrics.jsonl"} & files.keys()
    card = ModelCard(files["README.md"].decode())
    assert card.data.eval_results and card.data.pipeline_tag == "text-generation"
    assert {one.metric_type for one in card.data.eval_results} >= {"loss", "bits_per_char"}
    assert f"hf:{name}" in card.text and str(runs) not in card.content
    empty = tmp_path / "empty"
    pulled = process("pull", name, "--runs", str(empty), hub=hub, folder=tmp_path)
    assert pulled.returncode == 0, pulled.stderr
    assert Path(pulled.stdout.strip()) == empty / "cat-gpt"
    settings = {"max_tokens": 60, "seed": 3}
    expected = textwright.load(runs / "cat-gpt").generate("the ", **settings)
    assert str(textwright.load("cat-gpt", empty).generate("the ", **settings)) == str(expected)
    words = ("generate", f"hf:{name}", "the ", "-n", "60", "--seed", "3", "--json")
    direct = process(*words, hub=hub, folder=tmp_path)
    told = json.loads(direct.stdout)
    assert told["prompt"] + told["text"] == str(expected) and told["model_name"] == "cat-gpt"
    assert not hub.unknown
    for done in (pushed, pulled, direct):
        assert TOKEN not in done.stdout + done.stderr
    assert not files_with(TOKEN, tmp_path) and TOKEN.encode() not in b"".join(files.values())


def test_every_card_means_the_same_to_the_hubs_classes(runs: Path, tmp_path: Path) -> None:
    """Shipped models and one's own: read, built anew from what was read, and validated."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData, SpaceCard
    from huggingface_hub.repocard_data import model_index_to_eval_results

    trained = [Run(path) for path in sorted(runs.glob("cat-*"))]
    for run in (*trained, *shipped()):
        name = f"ann/{run.name}"
        folders = push(run, name, space="ann/page", static=True, dry_run=tmp_path / run.name)
        text = (Path(folders[0]) / "README.md").read_text(encoding="utf-8")
        card = ModelCard(text, ignore_metadata_errors=False)
        fields = card.data.to_dict()
        assert fields == yaml.safe_load(text.split("---\n")[1])
        model_name, results = model_index_to_eval_results(fields.pop("model-index"))
        again = ModelCardData(model_name=model_name, eval_results=results, **fields)
        assert again.to_dict() == card.data.to_dict()
        assert model_name == run.name and fields["pipeline_tag"] == "text-generation"
        assert all(isinstance(one, EvalResult) and one.metric_value > 0 for one in results)
        assert all("protocol" in (one.metric_args or {}) for one in results)
        assert {one.metric_type for one in results} >= {"loss", "bits_per_char", "perplexity"}
        assert run in trained or fields["license"]
        space = (Path(folders[1]) / "README.md").read_text(encoding="utf-8")
        assert SpaceCard(space).data.to_dict()["models"] == [name]


def test_dry_run_writes_what_would_be_pushed(
    here: Hub, command: Command, runs: Path, tmp_path: Path
) -> None:
    done = command("push", runs / "cat-lstm", "ann/cat", "--dry-run")
    assert done.stdout.split() == [str(Path("hub", "ann", "cat"))]
    assert here.requests == []
    assert textwright.load(tmp_path / "hub/ann/cat").generate("the", max_tokens=3, seed=1).tokens
    front = yaml.safe_load((tmp_path / "hub/ann/cat/README.md").read_text().split("---\n")[1])
    assert front["model-index"][0]["results"] and front["library_name"] == "textwright"


def test_a_static_space_has_the_model_inside(
    here: Hub, command: Command, runs: Path, tmp_path: Path
) -> None:
    done = command("push", runs / "cat-gpt", "ann/cat", "--space", "ann/cat-page", "--static")
    assert [line.removeprefix(here.endpoint) for line in done.stdout.split()] == [
        "/ann/cat", "/spaces/ann/cat-page",
    ]  # fmt: skip
    space = here.repositories["space", "ann/cat-page"]
    front = yaml.safe_load(space["README.md"].decode().split("---\n")[1])
    assert front["sdk"] == "static" and front["models"] == ["ann/cat"]
    page = tmp_path / "page.html"
    command("export", runs / "cat-gpt", "--to", "page", "--trainable", "--out", page)
    assert page.read_bytes() == space[front["app_file"]]
    assert page.read_bytes().startswith(b"<!doctype html>")


def test_what_a_run_counted_is_published_unless_it_is_left_out(
    here: Hub, command: Command, runs: Path, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(runs / "cat-lstm", tmp_path / "counted"))
    Companion(0.9).write(run.companion_file)
    command("push", run.path, "ann/cat", "--space", "ann/page", "--static")
    model, page = here.repositories["model", "ann/cat"], here.repositories["space", "ann/page"]
    assert run.companion_file.name in model and b'"companion":{' in page["index.html"]
    off = ("--companion", "off")
    command("push", run.path, "ann/cat", "--space", "ann/page", "--static", *off)
    assert run.companion_file.name not in model and b'"companion":{' not in page["index.html"]
    assert "model.safetensors" in model and run.companion_file.is_file()


def test_no_file_of_an_earlier_model_stays_beside_another(
    here: Hub, command: Command, runs: Path, tmp_path: Path
) -> None:
    """Its counts would be mixed with a network that they weren't fitted to."""
    run = Run(shutil.copytree(runs / "cat-lstm", tmp_path / "counted"))
    Companion(0.9).write(run.companion_file)
    command("push", run.path, "ann/cat")
    files = here.repositories["model", "ann/cat"]
    files["notes.txt"] = b"mine"
    command("push", runs / "cat-gpt", "ann/cat")
    assert run.companion_file.name not in files and files["notes.txt"] == b"mine"


def refusal(words: list[str], runs: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line in answer to a wrong request; `RUN` stands for a trained run."""
    with pytest.raises(SystemExit) as ended:
        main([str(runs / "cat-gpt") if word == "RUN" else word for word in words])
    shown = capsys.readouterr()
    assert ended.value.code == 2 and shown.out == "" and TOKEN not in shown.err
    assert len(shown.err.splitlines()) == 1
    return shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["push", "RUN", "no-owner"], "write user/name"),
        (["push", "RUN", "ann/cat", "--static"], "--space user/space"),
        (["push", "RUN", "ann/cat", "--space", "ann/cat"], "a name of its own"),
        (["pull", "ann/nothing"], "the Hub has no ann/nothing"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], message: str, here: Hub, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(words, runs, capsys)
    assert not here.repositories and not Path("runs").exists()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "log in with hf auth login, or set HF_TOKEN"),
        (403, "take one that may write there"),
        (404, "the Hub has no ann/cat"),
        (409, "refuses ann/cat (409): not now at all"),
        (400, "refuses ann/cat (400): not now at all"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    status: int, message: str, here: Hub, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("/api/repos/create", "/preupload/", "/commit/"):
        if part.endswith("create") and status == 409:
            continue  # it is there already: no refusal
        here.refuses = {part: (status, "not now\nat all")}
        assert message in refusal(["push", "RUN", "ann/cat"], runs, capsys)
        assert not here.repositories.get(("model", "ann/cat"))


def test_a_wrong_token_is_refused_and_not_shown(
    here: Hub, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    shown = refusal(["push", "RUN", "ann/cat"], runs, capsys)
    assert "HF_TOKEN" in shown and "hf_wrong" not in shown


def test_nothing_private_goes_where_everyone_sees_it(
    here: Hub, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.repositories |= {("space", "ann/app"): {}, ("model", "ann/old"): {}}
    here.public |= {"ann/app", "ann/old"}
    private = ["push", "RUN", "ann/cat", "--private", "--space", "ann/app", "--static"]
    assert "ann/app is on the Hub already and everyone sees it" in refusal(private, runs, capsys)
    assert "ann/old" in refusal(["push", "RUN", "ann/old", "--private"], runs, capsys)
    assert not any(here.repositories.values())  # neither of the two, nor the model beside them
    with pytest.raises(SystemExit) as ended:
        main(["push", str(runs / "cat-gpt"), "ann/old"])  # a push in the open goes there again
    assert ended.value.code == 0 and "README.md" in here.repositories["model", "ann/old"]


def test_a_dry_run_takes_the_place_of_nothing_else(
    here: Hub, runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mine = tmp_path / "hub" / "spaces" / "ann" / "app" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    words = ["push", "RUN", "ann/cat", "--space", "ann/app", "--static", "--dry-run"]
    assert "notes.txt, which would be lost" in refusal(words, runs, capsys)
    assert mine.read_text() == "mine" and not (tmp_path / "hub" / "ann").exists()
    beside = ["push", "RUN", "ann/cat-lstm", "--dry-run", "--out", str(tmp_path)]
    (tmp_path / "ann").symlink_to(runs)
    assert "is a run" in refusal(beside, runs, capsys)
    assert Run(runs / "cat-lstm").config().family == "lstm"


def test_a_pull_never_takes_the_place_of_a_run(here: Hub, command: Command, runs: Path) -> None:
    before = (runs / "cat-gpt" / "config.json").read_bytes()
    here.repositories["model", "bob/cat-gpt"] = {"config.json": b"{}"}
    done = command("pull", "bob/cat-gpt", "--runs", runs, code=2)
    assert "exists already" in done.stderr
    assert (Run(runs / "cat-gpt").config_file).read_bytes() == before
    done = command("pull", "bob/cat-gpt", "--name", "other", "--runs", runs, code=2)
    assert "lacks files" in done.stderr
    assert not (runs / "other").exists()
