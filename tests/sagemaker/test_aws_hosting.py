"""AWS's own model server and PyTorch handler serve our archive: the suite that ours passes."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance import INVOKING, Endpoint, models_come_and_go
from containers import Serving, small_model
from namespaces import inside, need_namespaces, need_toolkits

import textwright
from textwright.sagemaker.archive import package

pytestmark = pytest.mark.slow

# What the `serve` of AWS's PyTorch images called while they had this server
START = """
from sagemaker_inference import model_server
from sagemaker_pytorch_serving_container import handler_service
model_server.start_model_server(handler_service=handler_service.__name__)
"""


class AWSServing(Serving):
    """multi-model-server as AWS's toolkit starts it, at the true paths."""

    def __init__(self, base: Path, **environment: str) -> None:
        python = need_toolkits() / "bin" / "python"
        if shutil.which("java") is None:
            pytest.skip("multi-model-server needs Java: install a JRE")
        words = inside(base, [str(python), "-W", "ignore", "-c", START], own_processes=True)
        (base.parent / "tmp").mkdir(exist_ok=True)
        variables = {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "TMPDIR": str(base.parent / "tmp"),
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
            "SAGEMAKER_MODEL_SERVER_VMARGS": "-XX:-UseContainerSupport -XX:TieredStopAtLevel=1",
        }
        super().__init__(base, words, **variables, **environment)

    def stop(self) -> int:
        self.client.close()
        self.process.kill()  # and all that it started
        return self.process.wait(200)


@pytest.fixture(scope="module", autouse=True)
def _can_be(tmp_path_factory: pytest.TempPathFactory) -> None:
    need_namespaces(tmp_path_factory.mktemp("namespaces"))


def unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    # What it names is here already; a container installs it from an index
    (folder / "code" / "requirements.txt").unlink()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    base = tmp_path_factory.mktemp("aws")
    package(small_model(base / "small"), base / "model.tar.gz")
    unpack(base / "model.tar.gz", base / "ml" / "model")
    serving = AWSServing(base / "ml", SAGEMAKER_BASE_DIR="/opt/ml")
    try:
        serving.wait(200)
        model = textwright.load(base / "ml" / "model")
        yield Endpoint(serving.client, model, own_headers=False)
    finally:
        serving.stop()


@pytest.mark.parametrize("check", INVOKING, ids=lambda check: check.__name__)
def test_aws_server_answers(check: Callable[[Endpoint], None], endpoint: Endpoint) -> None:
    check(endpoint)


def test_aws_server_loads_and_unloads(tmp_path: Path) -> None:
    runs = [small_model(tmp_path / "one"), small_model(tmp_path / "two", "lstm", seed=2)]
    for name, run in zip(("a1", "b2"), runs, strict=True):
        package(run, tmp_path / f"{name}.tar.gz")
        unpack(tmp_path / f"{name}.tar.gz", tmp_path / "ml" / "models" / name / "model")
    serving = AWSServing(
        tmp_path / "ml", SAGEMAKER_MULTI_MODEL="true", SAGEMAKER_BASE_DIR="/opt/ml"
    )
    try:
        serving.wait(200)
        folders = [Path(f"/opt/ml/models/{name}/model") for name in ("a1", "b2")]
        models_come_and_go(serving.client, folders, textwright.load(runs[0]))
    finally:
        serving.stop()
