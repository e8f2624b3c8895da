"""Requests as plain data: what `--dry-run` prints is what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Call:
    """One request: a service and an operation, as its client names them (boto3, huggingface_hub),
    and its parameters."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    file: Path | None = None
    """The file to upload, where that is the request's body."""

    def to_json(self) -> dict[str, Any]:
        """As `--dry-run` prints it."""
        body = {} if self.file is None else {"Body": str(self.file)}
        return {"service": self.service, "operation": self.operation,
                "parameters": {**self.parameters, **body}}  # fmt: skip
