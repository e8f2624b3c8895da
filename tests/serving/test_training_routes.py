"""Training over HTTP: who may, what is taken, where it lies. Trainings themselves run in the
browser's tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from servers import Served

import textwright
from textwright import studio
from textwright.errors import BusyError, CorpusError, RequestError, TextwrightError
from textwright.page import offline_page
from textwright.runs import Run
from textwright.serving import ServerSettings
from textwright.serving.hosts import is_loopback
from textwright.studio import shelf
from textwright.studio.training_process import TrainingProcess, TrainingRecord
from textwright.studio.uploads import MAX_IN_PROGRESS, Upload, Uploads, file_name

MARKUP = "<img src=x onerror=alert(1)>.txt"
OCTETS = {"content-type": "application/octet-stream"}


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("My Novel.TXT", "my-novel.txt"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/", "text"),
        ("..", "run"),
        ("", "text"),
        (MARKUP, "img-src-x-onerror-alert-1.txt"),
        ("book.txt.gz", "book.txt.gz"),
        ("a.b.c.epub", "a-b-c.epub"),
        ("x.tar.gz.exe/../..", "run"),
        ("nul\0byte\n.txt", "nul-byte.txt"),
        ("con.txt", "run-con.txt"),
        (".hidden", "hidden"),
        ("é日本.md", "é日本.md"),
        ("a" * 300 + ".txt", "a" * 80 + ".txt"),
    ],
)
def test_a_name_becomes_a_plain_one(name: str, called: str) -> None:
    assert file_name(name) == called


@pytest.fixture(name="uploads")
def _uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "runs" / "uploads", 1000)


def test_pieces_make_a_text(uploads: Uploads) -> None:
    number = uploads.begin("../Mine.txt", 11)
    with pytest.raises(RequestError, match="byte 0 of 11 is expected"):
        uploads.add(number, 6, b"world")
    assert uploads.add(number, 0, b"Hello ") == 6
    with pytest.raises(RequestError, match="no such text is here"):
        uploads.take(number)
    with pytest.raises(RequestError, match="byte 6 of 11 is expected"):
        uploads.add(number, 6, b"world and more")
    assert uploads.add(number, 6, b"world") == 11
    text = uploads.take(number)
    assert text.name == "../Mine.txt"
    assert text.file.name == "mine.txt"
    assert text.file.parent.parent == uploads.folder
    assert text.file.read_bytes() == b"Hello world"
    for again in (lambda: uploads.take(number), lambda: uploads.add(number, 11, b"!")):
        with pytest.raises(RequestError, match="no such text"):
            again()


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.txt", b"\x7fELF\0\0\0\1\2\3" * 20, "a.txt holds no usable text"),
        ("a.txt", b"%PDF-1.4 and more", "a PDF; call it NAME.pdf"),
        ("a.txt.gz", b"\x1f\x8b\x08 broken", "damaged"),
    ],
)
def test_what_is_no_text_is_refused_and_gone(
    uploads: Uploads, name: str, data: bytes, why: str
) -> None:
    number = uploads.begin(name, len(data))
    with pytest.raises(CorpusError, match=why):
        uploads.add(number, 0, data)
    assert list(uploads.folder.iterdir()) == []


def test_size_and_number_are_limited(uploads: Uploads) -> None:
    with pytest.raises(RequestError, match=r"big\.txt is 1 kB long; texts of up to 1 kB"):
        uploads.begin("big.txt", 1001)
    with pytest.raises(RequestError, match="is empty"):
        uploads.begin("none.txt", 0)
    for _ in range(MAX_IN_PROGRESS):
        uploads.begin("a.txt", 10)
    with pytest.raises(BusyError):
        uploads.begin("a.txt", 10)


def test_what_nobody_needs_goes_with_the_next(uploads: Uploads) -> None:
    def send(text: bytes) -> Path:
        number = uploads.begin("a.txt", len(text), used=used)
        uploads.add(number, 0, text)
        return uploads.take(number).file

    used: list[Path] = []
    first = send(b"A first text.")
    used.append(first)
    second = send(b"A second text.")
    assert second.exists()
    third = send(b"A third text.")
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)


def test_two_servers_on_one_folder_leave_each_other_alone(uploads: Uploads) -> None:
    """Neither what arrives, nor what waits for its training; what nobody can wait for goes."""
    other = Uploads(uploads.folder, 1000)
    arriving = other.begin("a.txt", 12)
    other.add(arriving, 0, b"A text ")
    waiting = other.begin("b.txt", 12)
    other.add(waiting, 0, b"Another text")
    left = uploads.folder / "of-a-server-that-is-gone"
    left.mkdir()
    os.utime(left, (1, 1))
    uploads.begin("c.txt", 5)
    assert other.add(arriving, 7, b"whole") == 12 and not left.exists()
    assert other.take(arriving).file.read_bytes() == b"A text whole"
    assert other.take(waiting).file.read_bytes() == b"Another text"


@pytest.mark.parametrize("cut", ["", "A te"])
def test_a_text_whose_beginning_is_gone_is_not_taken_for_whole(uploads: Uploads, cut: str) -> None:
    number = uploads.begin("a.txt", 12)
    uploads.add(number, 0, b"A text ")
    (file,) = uploads.folder.iterdir()
    file.unlink()
    if cut:
        file.write_text(cut)
    with pytest.raises(RequestError, match="choose the file again"):
        uploads.add(number, 7, b"whole")
    with pytest.raises(RequestError, match="send it"):
        uploads.add(number, 7, b"whole")
    uploads.add(number := uploads.begin("a.txt", 6), 0, b"A text")
    shutil.rmtree(uploads.folder)
    with pytest.raises(RequestError, match="choose the file again"):
        uploads.take(number)


def test_a_training_that_cannot_be_recorded_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, nobody would know of it, and nobody could stop it."""
    process = TrainingProcess(tmp_path)
    (text := tmp_path / "mine.txt").write_text("Some text.")

    def full(*_: Any) -> None:
        raise TextwrightError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("textwright.atomic.write_text", full)
        with pytest.raises(TextwrightError, match="full"):
            process.start(Upload("Mine", text), "gpt", 1, "a")
    assert process.state("a") is None
    process.check_idle()  # its lock is free: the process that had it has ended
    assert not process._alive()


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("localhost.evil", False),
     ("", False)],
)  # fmt: skip
def test_which_addresses_are_this_machines_own(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def mounted(runs: Path, *, local: bool) -> Callable[[FastAPI], None]:
    return lambda app: studio.mount(app, runs=runs, local=local)


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training") / "runs"


@pytest.fixture(scope="module", name="here")
def _here(folder: Path, make_model: Callable[..., Run]) -> Iterator[Served]:
    run = make_model(folder.parent / "my-gpt")
    served = Served([run], also=mounted(folder, local=True))
    yield served
    served.close()


def post(served: Served, path: str, body: Any, status: int = 200, **headers: str) -> Any:
    answer = served.client.post(path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_people_here_may_and_others_may_not(here: Served) -> None:
    assert post(here, "/api/training", {})["allowed"] is True
    port = here.url.rpartition(":")[2]
    assert post(here, "/api/training", {}, host=f"localhost:{port}")["allowed"] is True
    for headers in (
        {"host": "evil.example"},
        {"x-forwarded-for": "10.0.0.7"},
        {"forwarded": "for=10.0.0.7"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ):
        status = post(here, "/api/training", {}, **headers)
        assert status["allowed"] is False
        assert "--allow-training" in status["why"]
        assert status["training"] is None
        for path, body in (
            ("/api/uploads", {"name": "a.txt", "size": 5}),
            ("/api/training/start", {"upload": "x", "family": "gpt", "minutes": 1}),
            ("/api/training/stop", {"number": "x"}),
            ("/api/training/resume", {"number": "x"}),
        ):
            post(here, path, body, 403, **headers)
        answer = here.client.post(
            "/api/uploads/piece?upload=x&at=0", content=b"x", headers={**OCTETS, **headers}
        )
        assert answer.status_code == 403


@pytest.mark.parametrize("allowed", [False, True])
def test_a_server_for_others_trains_only_when_told_to(
    tmp_path: Path, make_model: Callable[..., Run], allowed: bool
) -> None:
    settings = ServerSettings(api_keys=(SecretStr("sesame"),), allow_training=allowed)
    run = make_model(tmp_path / "a-model")
    served = Served([run], settings=settings, also=mounted(tmp_path / "runs", local=False))
    try:
        key = {"authorization": "Bearer sesame"}
        for path in (
            "training",
            "uploads",
            "training/start",
            "training/stop",
            "training/resume",
            "export",
        ):
            post(served, f"/api/{path}", {}, 401)
        answer = served.client.post("/api/uploads/piece?upload=x&at=0", content=b"", headers=OCTETS)
        assert answer.status_code == 401
        assert post(served, "/api/training", {}, **key)["allowed"] is allowed
        announced = {"name": "a.txt", "size": 5}
        post(served, "/api/uploads", announced, 200 if allowed else 403, **key)
    finally:
        served.close()


def test_a_text_stays_in_its_folder(here: Served, folder: Path) -> None:
    text = b"Some text to keep." * 4
    upload = post(here, "/api/uploads", {"name": "../../../tmp/" + MARKUP, "size": len(text)})
    where = f"/api/uploads/piece?upload={upload['upload']}&at=0"
    form = here.client.post(where, content=text, headers={"content-type": "text/plain"})
    assert form.status_code == 415
    answer = here.client.post(where, content=text, headers=OCTETS)
    assert answer.json() == {"received": len(text)}
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert [file.name for file in files] == [file_name(MARKUP)]
    assert files[0].parent.parent == folder / ".studio" / "uploads"
    request = {"upload": upload["upload"], "family": "../gpt", "minutes": 1}
    assert "no family" in post(here, "/api/training/start", request, 400)["error"]
    for minutes in (0, -1, 1e9):
        post(here, "/api/training/start", {**request, "family": "gpt", "minutes": minutes}, 400)
    for strange in ("x", "../../x", "x/y"):
        request = {"upload": strange, "family": "gpt", "minutes": 1}
        assert "no such text" in post(here, "/api/training/start", request, 400)["error"]
        answer = here.client.post(
            "/api/uploads/piece", params={"upload": strange, "at": 0}, content=b"x", headers=OCTETS
        )
        assert answer.status_code == 400


def test_a_training_of_another_server_is_seen(here: Served, folder: Path) -> None:
    """A process that holds the lock stands for it, as after a server that was killed."""
    place = folder / ".studio"
    place.mkdir(parents=True, exist_ok=True)
    holds = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\nprint(flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", holds, str(place / "lock")]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        other.stdout.readline()
        record = TrainingRecord(
            number="n", run="mine", text=MARKUP, file=place / "mine.txt", family="gpt", minutes=2,
            browser="a", began=0, pid=other.pid,
        )  # fmt: skip
        (place / "training.json").write_text(record.model_dump_json())
        for browser, yours in (("a", True), ("b", False)):
            status = post(here, "/api/training", {"browser": browser})["training"]
            assert (status["phase"], status["text"], status["yours"]) == (
                "preparing",
                MARKUP,
                yours,
            )
        refused = post(here, "/api/uploads", {"name": "a.txt", "size": 5}, 409)
        assert "a training is under way" in refused["error"]
        stop = {"number": "n", "browser": "b"}
        assert "another browser" in post(here, "/api/training/stop", stop, 409)["error"]
        assert "is over" in post(here, "/api/training/stop", {**stop, "number": "m"}, 409)["error"]
        assert "is under way" in post(here, "/api/training/resume", stop, 409)["error"]
        other.kill()
    status = post(here, "/api/training", {"browser": "a"})["training"]
    assert status["phase"] == "failed"
    assert "gone without a word" in status["reason"]
    (place / "train.log").write_text("error: something else\n")  # it is over, and told once
    assert post(here, "/api/training", {})["training"]["reason"] == status["reason"]
    for number, why in (("m", "another training has taken its place"), ("n", "nothing of that")):
        refused = post(here, "/api/training/resume", {"number": number, "browser": "a"}, 409)
        assert why in refused["error"]


def test_a_reason_tells_nothing_of_folders(tmp_path: Path) -> None:
    process = TrainingProcess(tmp_path)
    process.folder.mkdir()
    file = process.folder / "uploads" / "mine.txt"
    record = TrainingRecord(
        number="n", run="mine", text="Mine.txt", file=file, family="gpt", minutes=2, browser="a",
        began=0,
    )  # fmt: skip
    (process.folder / "training.json").write_text(record.model_dump_json())
    (process.folder / "train.log").write_text(
        f"note: something\nerror: {file} is too short; see {tmp_path}/other or https://a.b/c\n"
    )
    state = process.state("a")
    assert state is not None
    assert state["reason"] == "Mine.txt is too short; see other or https://a.b/c"


def test_the_run_gets_a_name_that_is_free(tmp_path: Path, make_model: Callable[..., Run]) -> None:
    make_model(tmp_path / "mine")
    process = TrainingProcess(tmp_path)
    assert process._free_name("mine", ["mine_2", "other"]) == "mine-3"


def test_a_model_comes_along_as_one_file(here: Served) -> None:
    answer = here.client.post("/api/export", json={"model": "my-gpt", "dtype": "int8"})
    assert answer.text == offline_page(here.pool.run("my-gpt"), dtype="int8")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == "sandbox"
    post(here, "/api/export", {"model": "../my-gpt"}, 404)


@pytest.mark.slow
def test_a_training_that_has_finished_goes_on_for_some_minutes_more(
    tmp_path: Path, text_file: Path, make_model: Callable[..., Run]
) -> None:
    runs = tmp_path / "runs"
    trained = textwright.train(
        text_file, name="mine", runs_folder=runs, steps=6, eval_every=3,
        changes=["model.hidden_size=16", "model.embedding_size=8", "training.batch_size=4"],
    )  # fmt: skip
    served = Served([make_model(tmp_path / "a-model")], also=mounted(runs, local=True))
    try:
        record = TrainingRecord(
            number="n", run="mine", text="mine.txt", file=text_file, family="lstm", minutes=1,
            browser="a", began=0, ended="finished",
        )  # fmt: skip
        (runs / ".studio").mkdir(exist_ok=True)
        (runs / ".studio" / "training.json").write_text(record.model_dump_json())
        asked = {"number": "n", "browser": "b"}
        refused = post(served, "/api/training/resume", asked, 409)
        assert "has finished; more_minutes goes on with it" in refused["error"]
        for minutes in (0, -1, 1e9):
            post(served, "/api/training/resume", {**asked, "more_minutes": minutes}, 400)
        before = post(served, "/api/training", {"browser": "b"})["training"]
        assert before["can_go_on"] and before["legs"] == [] and before["verdict"]["kind"]
        begun = post(served, "/api/training/resume", {**asked, "more_minutes": 0.02})["training"]
        assert begun["phase"] in ("preparing", "training") and begun["yours"]
        assert begun["minutes"] == 1.02
        deadline = time.monotonic() + 300
        while (state := post(served, "/api/training", {"browser": "b"})["training"])["phase"] in (
            "preparing",
            "training",
        ):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert (state["phase"], state["legs"]) == ("finished", [6]), state
        assert trained.metrics()[-1]["step"] == state["steps"] > 6
        shutil.rmtree(trained.checkpoints_folder)
        gone = post(served, "/api/training/resume", {**asked, "more_minutes": 1}, 409)
        assert "its checkpoints are gone" in gone["error"]
    finally:
        served.close()


def test_a_text_from_the_shelf_is_asked_for_by_its_name() -> None:
    assert {one["name"]: one["near"] for one in shelf.texts()}["python-docs"] is True
    assert shelf.take("python-docs").file == Path("python-docs")
    with pytest.raises(RequestError, match="no built-in text '../x'"):
        shelf.take("../x")
