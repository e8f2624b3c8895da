"""The hosting side of a SageMaker container: our server as the platform asks it."""

from __future__ import annotations

import asyncio
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from conformance import INVOKING, PROMPT, Endpoint, models_come_and_go
from containers import Serving, small_model

import textwright
from textwright.engine import ModelPool
from textwright.errors import NoRoomError, RequestError
from textwright.generation import load
from textwright.runs import Run
from textwright.sagemaker import hosting
from textwright.sagemaker.archive import package
from textwright.sagemaker.hosting import Hosting


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a `model.tar.gz` as the platform lays it out."""
    base = tmp_path_factory.mktemp("hosting")
    package(small_model(base / "small"), base / "model.tar.gz")
    with tarfile.open(base / "model.tar.gz") as archive:
        archive.extractall(base / "ml" / "model", filter="data")
    return base / "ml"


@pytest.fixture(scope="module")
def endpoint(unpacked: Path) -> Iterator[Endpoint]:
    serving = Serving(unpacked)
    try:
        serving.wait(200)
        yield Endpoint(serving.client, textwright.load(unpacked / "model"))
    finally:
        assert serving.stop() == 0


@pytest.mark.parametrize("check", INVOKING, ids=lambda check: check.__name__)
def test_our_server_answers(check: Callable[[Endpoint], None], endpoint: Endpoint) -> None:
    check(endpoint)


def test_text_and_streams_come_in_pieces(endpoint: Endpoint) -> None:
    long = {"prompt": PROMPT, "max_tokens": 4000, "stream": True, "ignore_eos": True}
    for body, kind in ((PROMPT, "text/plain"), (json.dumps(long), "application/json")):
        headers = {"content-type": kind}
        with endpoint.client.stream(
            "POST", "/invocations", content=body, headers=headers
        ) as answer:
            assert answer.headers["transfer-encoding"] == "chunked"
            pieces = list(answer.iter_raw())
        assert len(pieces) > 1, kind


@pytest.mark.slow
def test_a_multi_model_container_loads_and_unloads(tmp_path: Path) -> None:
    folders = [tmp_path / "ml" / "models" / name / "model" for name in ("a1", "b2")]
    runs = [small_model(folders[0]), small_model(folders[1], "lstm", seed=2)]
    large = small_model(tmp_path / "large")
    # Room for the large one and the small one, not for two large ones, whatever holds the weights
    room = str(3 * runs[0].weights_file.stat().st_size // 2)
    serving = Serving(tmp_path / "ml", SAGEMAKER_MULTI_MODEL="true", TEXTWRIGHT_MEMORY=room)
    try:
        serving.wait(200)
        _go_through(serving, folders, runs, large, tmp_path)
    finally:
        assert serving.stop() == 0


def _go_through(
    serving: Serving, folders: list[Path], runs: list[Run], large: Run, tmp_path: Path
) -> None:
    models_come_and_go(serving.client, folders, load(runs[0]))
    client = serving.client
    for name, folder, status in (
        ("one", folders[0], 200), ("two", folders[1], 200), ("full", large.path, 507),
        ("none", tmp_path / "none", 400),
    ):  # fmt: skip
        answer = client.post("/models", json={"model_name": name, "url": str(folder)})
        assert answer.status_code == status, answer.text
    assert client.post("/models", json={"model_name": "x"}).status_code == 400
    assert client.delete("/models/two").status_code == 200
    answer = client.post("/models", json={"model_name": "full", "url": str(large.path)})
    assert answer.status_code == 507  # the first one alone is as large
    assert client.delete("/models/one").status_code == 200
    answer = client.post("/models", json={"model_name": "full", "url": str(large.path)})
    assert answer.status_code == 200
    assert client.post("/invocations", json={}).status_code == 404


class InProcess:
    """The app of a container, asked without a socket."""

    def __init__(self, models: ModelPool, container: Hosting) -> None:
        self._transport = httpx.ASGITransport(hosting.create(models, container))

    def get(self, path: str) -> httpx.Response:
        return self._ask("GET", path)

    def post(self, path: str, body: str) -> httpx.Response:
        return self._ask("POST", path, content=body, headers={"content-type": "application/json"})

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://c") as client:
                return await client.request(method, path, **more)

        return asyncio.run(asked())


def test_ping_says_why_it_is_not_healthy(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(run: Run) -> textwright.Generator:
        assert go_on.wait(200)
        return load(run)

    small_model(tmp_path / "model")
    models = ModelPool([Run(tmp_path / "model")], loader=slow)
    app = InProcess(models, Hosting())
    models.watch()
    try:
        loading = app.get("/ping")
        assert loading.status_code == 503 and "being loaded" in loading.json()["reason"]
        go_on.set()
        end = time.monotonic() + 200
        while app.get("/ping").status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        models.close()


def test_large_invocations_are_read_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_model(tmp_path / "model")
    app = InProcess(ModelPool([Run(tmp_path / "model")]), Hosting())
    threads = set()
    loads = json.loads

    def watched(data: Any) -> Any:
        threads.add(threading.current_thread())
        return loads(data)

    monkeypatch.setattr("textwright.sagemaker.invocations.json.loads", watched)
    bodies: list[tuple[Any, str | None]] = [
        ({"prompt": "It", "max_tokens": 1, "stop": ["#" * 50_000]}, "stop"),
        ({"messages": [{"role": "user", "content": "It"}] * 300, "max_tokens": 1}, None),
        ({"inputs": [{"start_phrase": "It"}] * 300}, "at most 64"),
        ({"start_phrase": "It", "generation_length": 1, "x": [1] * 1000}, "x: "),
        ([1] * 200_000, "commas"),
        (dict.fromkeys(map(str, range(2000))), "1,000 fields"),
    ]
    for body, says in bodies:
        answer = app.post("/invocations", json.dumps(body))
        assert answer.status_code == (400 if says else 200), answer.text
        assert says is None or says in answer.text
    assert threads and threading.current_thread() not in threads


@pytest.mark.parametrize("spoiled", ["config.json", "model.safetensors"])
def test_a_broken_model_is_told_by_ping(spoiled: str, tmp_path: Path) -> None:
    run = small_model(tmp_path / "model")
    if spoiled == "config.json":
        run.config_file.unlink()
    else:
        run.weights_file.write_bytes(run.weights_file.read_bytes()[:1000])
    models = ModelPool([run])
    models.load_all()
    answer = InProcess(models, Hosting()).get("/ping")
    assert answer.status_code == 503
    assert answer.json()["status"] == "Failed" and spoiled in answer.json()["reason"]


def test_pages_of_many_models(tmp_path: Path) -> None:
    models = ModelPool(loader=load)
    run = small_model(tmp_path / "model")
    for number in range(105):
        models.add_loaded(f"m{number:03}", run)
    app = InProcess(models, Hosting(multi_model=True))
    first = app.get("/models").json()
    rest = app.get(f"/models?next_page_token={first['nextPageToken']}").json()
    assert len(first["models"]) == 100 and "nextPageToken" not in rest
    assert [each["modelName"] for each in rest["models"]] == [f"m{n}" for n in range(100, 105)]


def test_memory_that_runs_out_while_loading_is_no_room(tmp_path: Path) -> None:
    def fails(run: Run) -> textwright.Generator:
        raise MemoryError

    models = ModelPool(loader=fails)
    with pytest.raises(NoRoomError, match="'big' has no room"):
        models.add_loaded("big", small_model(tmp_path / "model"))
    assert models.statuses == {}


def test_the_environment_says_how_to_serve() -> None:
    container = Hosting.from_environment(
        {"SAGEMAKER_BIND_TO_PORT": "9000", "SAGEMAKER_MODEL_SERVER_TIMEOUT": "30",
         "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6", "SAGEMAKER_MULTI_MODEL": "true"}
    )  # fmt: skip
    assert container == Hosting(9000, True, 30, 6)
    settings = container.settings()
    assert (settings.max_body, settings.deadline) == (6 << 20, 25)
    with pytest.raises(RequestError, match="SAGEMAKER_BIND_TO_PORT must be a whole number"):
        Hosting.from_environment({"SAGEMAKER_BIND_TO_PORT": "http"})
