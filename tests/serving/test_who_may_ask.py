"""Keys, names and rights: what guards is never passed over in silence."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from pydantic import SecretStr, ValidationError
from servers import SECONDS, Served
from starlette.requests import Request
from typer.testing import CliRunner

from textwright import studio
from textwright.cli.app import app, main
from textwright.cli.guards import read_keys
from textwright.errors import BusyError, ModelUnavailableError, RequestError, TextwrightError
from textwright.runs import Run
from textwright.serving import ServerSettings
from textwright.serving.errors import to_http_error
from textwright.serving.gate import Gate
from textwright.serving.hosts import CLIENT
from textwright.serving.turns import SHARE, WAITING, Turns


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TEXTWRIGHT_API_KEY", "", "is empty"),
        ("TEXTWRIGHT_API_KEY", " \t", "is empty"),
        ("TEXTWRIGHT_API_KEY", "open sesame", "several keys"),
        ("TEXTWRIGHT_API_KEYS", "sesame", "no setting"),
        ("TEXTWRIGHT_API_KEY_FILE", "", "is empty"),
        ("TEXTWRIGHT_API_KEY_FILE", "/nowhere", "can't be read"),
        ("TEXTWRIGHT_CORS_ORIGIN", "", "is empty"),
        ("TEXTWRIGHT_ALLOW_HOST", "", "is empty"),
        ("TEXTWRIGHT_ALLOW_HOST", "http://x/", "hosts"),
        ("TEXTWRIGHT_ALLOW_TRAINING", "", "is empty"),
        ("TEXTWRIGHT_NO_STUDIO", "", "is empty"),
        ("TEXTWRIGHT_HOST", "", "is empty"),
        ("TEXTWRIGHT_ROOT_PATH", "no-slash", "root_path"),
        ("TEXTWRIGHT_MEMORY", "", "is empty"),
        ("TEXTWRIGHT_COPY_AT_MOST", "", "is empty"),
        ("TEXTWRIGHT_MAX_LENGTH", "", "is empty"),
        ("TEXTWRIGHT_DEADLINE", "nan", "deadline"),
        ("TEXTWRIGHT_LOG_PROMPTS", "", "is empty"),
    ],
)
def test_a_guard_that_is_empty_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    """As compose files make it: were it taken for one left out, anybody could ask."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("textwright.cli.serve._serve", lambda *_, **__: None)
    with pytest.raises(RequestError, match=says) as caught:
        CliRunner().invoke(app, ["serve"], catch_exceptions=False)
    assert "\n" not in str(caught.value)


def test_a_guard_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    monkeypatch.setattr("textwright.cli.serve._serve", lambda *given, **_: taken.append(given[1]))
    monkeypatch.setenv("TEXTWRIGHT_API_KEY", "sesame")
    monkeypatch.setenv("TEXTWRIGHT_ALLOW_HOST", "Example.org")
    assert CliRunner().invoke(app, ["serve", "--host", "0.0.0.0"]).exit_code == 0
    assert [key.get_secret_value() for key in taken[0].api_keys] == ["sesame"]
    assert taken[0].hosts == ("example.org",)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (b"# ours\n\nsesame\r\n  open sesame\n", ["sesame", "open sesame"]),
        (b"\xef\xbb\xbfsesame", ["sesame"]),
        (b"", "no keys"),
        (b"\xef\xbb\xbf", "no keys"),
        (b"# sesame\n#another\n", "no keys"),
        (b"sesame # ours", "comment"),
        ("sesame".encode("utf-16"), "UTF-16"),
        ("sesame".encode("utf-16-le"), "ASCII"),
        ("schlüssel".encode(), "ASCII"),
        ("schlüssel".encode("latin-1"), "can't be read"),
        (b"ses\x00ame", "ASCII"),
        (b"k\n" * (1 << 20), "longer"),
    ],
)
def test_files_of_keys(tmp_path: Path, content: bytes, keys: list[str] | str) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(content)
    if isinstance(keys, list):
        assert read_keys([], file) == keys
        return
    with pytest.raises(RequestError, match=keys):
        read_keys([], file)


def test_a_folder_is_no_file_of_keys(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="can't be read"):
        read_keys([], tmp_path)
    with pytest.raises(RequestError, match="empty"):
        read_keys([" "], None)
    with pytest.raises(ValidationError):
        ServerSettings(api_keys=(SecretStr(""),))


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Run]
) -> Iterator[Served]:
    """As `textwright serve --allow-host mine.example` on a loopback address."""
    folder = tmp_path_factory.mktemp("here")
    served = Served(
        [make_model(folder / "one")],
        settings=ServerSettings(hosts=("mine.example",)),
        also=lambda app: studio.mount(app, runs=folder, local=True),
    )
    yield served
    served.close()


ROUTES = ["/", "/health", "/docs", "/v1/models", "/metrics", "/studio/", "/api/models", "/nowhere"]


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "10.0.0.1", "127.0.0.1.evil"])
def test_a_name_that_turns_to_this_machine_is_not_answered(here: Served, name: str) -> None:
    """By no route: a page of that name in the user's browser could read what is answered."""
    for route in ROUTES:
        refused = here.client.get(route, headers={"host": name})
        assert refused.status_code == 403 and "--allow-host" in refused.text, route
    body = {"model": "one"}
    for route in ("/api/export", "/api/copied", "/v1/completions", "/gen_text"):
        assert here.client.post(route, json=body, headers={"host": name}).status_code == 403


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.8.8:80", "[::1]:8000", "mine.example"]
)
def test_its_own_names_are(here: Served, name: str) -> None:
    assert here.client.get("/health", headers={"host": name}).status_code == 200


@pytest.mark.parametrize(
    ("host", "words", "hosts"),
    [
        ("127.0.0.1", [], ()),
        ("localhost", ["--allow-host", "a.b"], ("a.b",)),
        ("127.0.0.1", ["--root-path", "/x"], None),
        ("127.0.0.1", ["--root-path", "/x", "--allow-host", "a.b"], ("a.b",)),
        ("0.0.0.0", [], None),
        ("0.0.0.0", ["--allow-host", "a.b"], ("a.b",)),
    ],
)
def test_which_names_are_answered(
    monkeypatch: pytest.MonkeyPatch, host: str, words: list[str], hosts: Any
) -> None:
    taken: list[Any] = []
    monkeypatch.setattr("textwright.cli.serve._serve", lambda *given, **_: taken.append(given[1]))
    assert CliRunner().invoke(app, ["serve", "--host", host, *words]).exit_code == 0
    assert taken[0].hosts == hosts


@pytest.mark.parametrize("allowed", [False, True])
def test_generating_and_taking_the_model_away_are_two_rights(
    tmp_path: Path, make_model: Callable[..., Run], allowed: bool
) -> None:
    served = Served(
        [make_model(tmp_path / "one")],
        settings=ServerSettings(allow_export=allowed),
        also=lambda app: studio.mount(app, runs=tmp_path, local=False),
    )
    body = {"model": "one"}
    assert served.client.post("/gen_text", json={"model_name": "one"}).status_code == 200
    export = served.client.post("/api/export", json=body)
    assert export.status_code == (200 if allowed else 403)
    copied = served.client.post("/api/copied", json={**body, "text": "It was"})
    assert (copied.status_code == 403) is not allowed
    assert served.client.post("/api/look", json={**body, "text": "It"}).status_code == 200
    served.close()


def test_who_waits_for_a_turn_is_counted_and_may_leave(
    here: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work whose client has gone is not begun."""
    go, calls = threading.Event(), []
    statuses: list[int] = []

    def work(*_: Any, **__: Any) -> dict[str, Any]:
        calls.append(1)
        assert go.wait(SECONDS)
        return {}

    def ask(timeout: float = SECONDS) -> None:
        body = {"model": "one", "text": "It"}
        with suppress(httpx.ReadTimeout):
            answer = here.client.post("/api/look", json=body, timeout=timeout)
            statuses.append(answer.status_code)
            assert answer.status_code == 200 or "retry-after" in answer.headers

    def start(count: int, *timeout: float) -> list[threading.Thread]:
        threads = [threading.Thread(target=ask, args=timeout) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads

    monkeypatch.setattr("textwright.studio.inspect_routes.inspect_activations", work)
    first = start(1)
    here.until(lambda: len(calls) == 1)
    for thread in start(WAITING, 0.2):
        thread.join()
    assert statuses == []  # each waited, and left
    late = start(2 * WAITING)
    here.until(lambda: 429 in statuses)
    go.set()
    for thread in [*first, *late]:
        thread.join()
    assert set(statuses) == {200, 429} and len(statuses) == 1 + 2 * WAITING
    assert len(calls) == statuses.count(200)


def test_loading_takes_nobody_elses_threads(tmp_path: Path, make_model: Callable[..., Run]) -> None:
    """However many ask for a model that is being loaded: those who ask for another are answered,
    also where a thread encodes their prompt."""
    served = Served([make_model(tmp_path / "one"), make_model(tmp_path / "two", "lstm")])
    go = threading.Event()
    get = served.pool.get
    loads: list[str] = []

    def slow(name: str) -> Any:
        loads.append(name)
        assert go.wait(SECONDS)
        return get(name)

    served.until(lambda: all(each.status == "Loaded" for each in served.pool.statuses.values()))
    served.pool._entries["two"].generator = None
    served.pool.get = slow  # type: ignore[method-assign]
    statuses: list[int] = []

    def ask() -> None:
        body = {"model_name": "two", "generation_length": 2}
        answer = served.client.post("/gen_text", json=body)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    try:
        served.until(lambda: loads != [])
        body = {"model_name": "one", "start_phrase": "It was " * 500, "generation_length": 2}
        assert served.client.post("/gen_text", json=body).status_code == 200
    finally:
        go.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40 and loads == ["two"]
    served.close()


@pytest.mark.parametrize(
    ("keys", "address", "given", "same"),
    [
        ((), "10.0.0.1", "", False),
        ((), "127.0.0.1", "", True),  # a proxy's clients, or this machine's one person
        (("a",), "10.0.0.1", "a", False),
        (("a", "b"), "127.0.0.1", "a", False),
    ],
)
def test_whose_share_it_is(keys: tuple[str, ...], address: str, given: str, same: bool) -> None:
    """A client's, by its key where there are several, else by its address."""
    clients: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clients.append(scope[CLIENT])

    async def nothing(message: Any = None) -> Any:
        return {"type": "http.disconnect"}

    settings = ServerSettings(api_keys=tuple(map(SecretStr, keys)))
    gate = Gate(app, settings)
    for sent, host in ((given, address), (given and keys[-1], address[:-1] + "9")):
        headers = [(b"authorization", f"BEARER  {sent}".encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers,
                 "client": (host, 1)}  # fmt: skip
        asyncio.run(gate(scope, nothing, nothing))
        asyncio.run(gate(scope, nothing, nothing))
    assert clients[0] == clients[1] and clients[2] == clients[3]
    assert (clients[0] is None) is same is (clients[0] == clients[2])
    assert "a" not in clients


def test_one_client_cannot_have_all_turns() -> None:
    go = threading.Event()

    async def ask(turns: Turns, client: str) -> int:
        http = Request({"type": "http", CLIENT: client}, asyncio.Event().wait)
        try:
            await turns.run(http, go.wait, SECONDS)
        except BusyError as error:
            assert "of yours" in str(error)
            return 429
        return 200

    async def all_of_them() -> list[int]:
        turns = Turns(SECONDS)
        asked = [asyncio.ensure_future(ask(turns, who)) for who in ["greedy"] * 8 + ["other"]]
        await asyncio.sleep(0)
        go.set()
        return [*await asyncio.gather(*asked), await ask(turns, "greedy")]

    assert asyncio.run(all_of_them()) == [200] * SHARE + [429] * 2 + [200] * 2


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ModelUnavailableError("/srv/My/runs/one/model.safetensors is damaged"), "model.safetens"),
        (TextwrightError("no space left on the disk for /srv/x/.studio/uploads; free some"), "for"),
        (TextwrightError(r"C:\Users\Ann\runs\one can't be written"), "one can't"),
    ],
)
def test_folders_of_this_machine_are_not_for_clients(error: TextwrightError, says: str) -> None:
    message = to_http_error(error).message
    assert says in message and "/srv" not in message and "Ann" not in message


def test_settings_may_lie_in_a_file_beside_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(["serve", "shakespeare", *words])
        assert end.value.code == 2
        said = capsys.readouterr().err
        monkeypatch.delenv("TEXTWRIGHT_API_KEY_FILE", raising=False)
        return said

    monkeypatch.chdir(tmp_path)
    # What the file puts into the environment goes with the test
    monkeypatch.setenv("TEXTWRIGHT_API_KEY_FILE", "")
    monkeypatch.delenv("TEXTWRIGHT_API_KEY_FILE")
    Path(".env").write_text("OTHER=1\nexport TEXTWRIGHT_API_KEY_FILE='of-the-file'  # a comment\n")
    assert "of-the-file" in refused()
    assert "OTHER" not in os.environ
    monkeypatch.setenv("TEXTWRIGHT_API_KEY_FILE", "of-the-environment")
    assert "of-the-environment" in refused()
    Path("other.env").write_text("TEXTWRIGHT_API_KEY_FILE=of-another\n")
    assert "of-another" in refused("--env-file", "other.env")
    assert "--env-file none.env can't be read" in refused("--env-file", "none.env")
