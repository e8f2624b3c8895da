"""The folders of a training container: what SageMaker puts there, and what it reads from there.

The folder is `/opt/ml`, or `$SAGEMAKER_BASE_DIR`:

    input/config/hyperparameters.json     every value a string
    input/config/inputdataconfig.json     the channels
    input/config/resourceconfig.json      the hosts
    input/data/<channel>/                 their files
    checkpoints/                          kept in step with S3, also before the start
    model/                                becomes model.tar.gz
    output/data/                          becomes output.tar.gz
    output/failure                        why it failed

AWS describes them under "How Amazon SageMaker AI Provides Training Information".
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright import atomic
from textwright.errors import RequestError

BASE_VARIABLE = "SAGEMAKER_BASE_DIR"
_REASON = 1024
"""Characters of the failure file that SageMaker shows."""


@dataclass(frozen=True)
class Container:
    """The folders of a training container below `base`."""

    base: Path

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> Container:
        """The container that this process runs in."""
        return cls(Path(environment.get(BASE_VARIABLE) or "/opt/ml"))

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def checkpoints(self) -> Path:
        return self.base / "checkpoints"

    @property
    def output_data(self) -> Path:
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        return self.base / "output" / "failure"

    def hyperparameters(self) -> dict[str, Any]:
        """Hyper-parameters by name, without those of SageMaker's own toolkits.

        Every value is a string: the SDKs write JSON into it, people plain words. In a name `__`
        stands for the dot, which the SDK's version 3 can't put into the environment.
        """
        return {
            name.replace("__", "."): _parse(value)
            for name, value in self._config("hyperparameters.json").items()
            if not name.startswith("sagemaker_")
        }

    def channels(self) -> dict[str, Path]:
        """The folders of the channels that aren't empty, by name, without the SDK's own."""
        names = set(self._config("inputdataconfig.json"))
        data = self.base / "input" / "data"
        if data.is_dir():
            names |= {entry.name for entry in data.iterdir() if entry.is_dir()}
        return {
            name: data / name
            for name in sorted(names - {"code", "sm_drivers"})
            if (data / name).is_dir() and any((data / name).iterdir())
        }

    def hosts(self) -> tuple[str, list[str], str]:
        """This host, all hosts in order, and the network interface between them."""
        config = self._config("resourceconfig.json")
        host = config.get("current_host", "algo-1")
        interface = config.get("network_interface_name", "eth0")
        return host, sorted(config.get("hosts", [host])), interface

    def fail(self, reason: str) -> None:
        """Write why the job failed, in one line, where SageMaker reads it."""
        atomic.write_text(self.failure, " ".join(reason.split())[:_REASON])

    def _config(self, name: str) -> dict[str, Any]:
        file = self.base / "input" / "config" / name
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RequestError(f"{file} is damaged ({error}); mend it") from error
        if not isinstance(data, dict):
            raise RequestError(f"{file} is damaged (not a JSON object); mend it")
        return data


def _parse(text: Any) -> Any:
    """The value of a hyper-parameter; `True` and `true` are the same."""
    if not isinstance(text, str):
        return text
    if text in ("True", "False"):
        return text == "True"
    try:
        return json.loads(text)
    except ValueError:
        return text
