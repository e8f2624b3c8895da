"""The launcher's commands; each file of tests chooses the stand-in of AWS, `cloud`."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rehearsal import CALLED, Command, Rehearsal, environment

from textwright.cli.app import main
from textwright.sagemaker import endpoints, monitor
from textwright.sagemaker.endpoints import wait
from textwright.sagemaker.monitor import follow

ROLE = "arn:aws:iam::123456789012:role/textwright"
SMALL = {"model": "gpt", "model.hidden_size": 32, "model.num_layers": 1, "model.num_heads": 1,
         "model.block_size": 16, "training.threads": 1}  # fmt: skip


@pytest.fixture
def account(
    cloud: tuple[str, Rehearsal], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Rehearsal:
    for name, value in environment(cloud[0]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    settings = {"region": "eu-west-1", "bucket": "my-bucket", "role": ROLE,
                "train": {"hyperparameters": SMALL}}  # fmt: skip
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    monkeypatch.setenv("TEXTWRIGHT_SAGEMAKER", str(tmp_path / "settings.json"))
    monkeypatch.setattr(monitor, "follow", partial(follow, every=0.2))
    monkeypatch.setattr(endpoints, "wait", partial(wait, every=0.2))
    cloud[1].refuse.clear()
    return cloud[1]


@pytest.fixture
def command(
    account: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run `textwright sagemaker …`; gives exit code, output and errors."""
    from botocore.client import BaseClient

    send = BaseClient._make_api_call  # type: ignore[attr-defined]

    def recorded(client: Any, operation: str, parameters: Any) -> Any:
        if client.meta.endpoint_url == os.environ["AWS_ENDPOINT_URL"]:  # the commands', not moto's
            CALLED.add((client.meta.service_model.service_name, operation))
        return send(client, operation, parameters)

    def run(*words: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", recorded)
            with pytest.raises(SystemExit) as end:
                main(["sagemaker", *words])
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, said.out, said.err

    return run
