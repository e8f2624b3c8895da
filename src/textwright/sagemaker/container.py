"""What SageMaker puts into a training container, and where it looks for what comes out.

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
    def here(cls, environment: Mapping[str, str] = os.environ) -> Container:
        """The one this process runs in."""
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
        """Hyper-parameters by name, those of SageMaker's own toolkits left out.

        Every value comes as a string; the SDKs write JSON into it, people plain words. In a name
        `__` stands for the dot, which the SDK's version 3 can't put into the environment.
        """
        told = self._config("hyperparameters.json")
        return {
            name.replace("__", "."): _value(value)
            for name, value in told.items()
            if not name.startswith("sagemaker_")
        }

    def channels(self) -> dict[str, Path]:
        """The folders of the channels that hold anything, by name; `code` is the SDK's own."""
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
        """This host, all of them in order, and the network interface between them."""
        told = self._config("resourceconfig.json")
        here = told.get("current_host", "algo-1")
        return here, sorted(told.get("hosts", [here])), told.get("network_interface_name", "eth0")

    def fail(self, reason: str) -> None:
        """Say in one line why the job failed."""
        atomic.write_text(self.failure, " ".join(reason.split())[:_REASON])

    def _config(self, name: str) -> dict[str, Any]:
        file = self.base / "input" / "config" / name
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RequestError(f"{file} is damaged ({error})") from error
        if not isinstance(data, dict):
            raise RequestError(f"{file} is damaged (not a JSON object)")
        return data


def _value(text: Any) -> Any:
    """What a hyper-parameter says; `True` and `true` are the same."""
    if not isinstance(text, str):
        return text
    if text in ("True", "False"):
        return text == "True"
    try:
        return json.loads(text)
    except ValueError:
        return text
