"""What Ollama's API tells of models: `/api/tags`, `/api/show`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from textwright.configs import ModelConfig, model_config
from textwright.errors import TextwrightError
from textwright.runs import Run
from textwright.serving.errors import HTTPError
from textwright.serving.fields import Body, ModelName
from textwright.serving.service import Service

TAG = ":latest"
"""Ends a model's name where nothing else does."""


class ShowRequest(Body):
    """A model to tell of."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "shakespeare"}]})

    model: ModelName = ""
    name: ModelName = Field(default="", description="The older name of `model`.")
    verbose: bool = False


class Details(BaseModel):
    """What a model is."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class Tag(BaseModel):
    """A model."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: Details


class Tags(BaseModel):
    """The models that can be asked."""

    models: list[Tag]


class Shown(BaseModel):
    """A model, in detail."""

    model_config = ConfigDict(protected_namespaces=())

    modelfile: str
    parameters: str
    template: str
    details: Details
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: str


def list_tags(service: Service) -> list[dict[str, Any]]:
    """What `/api/tags` says of every model."""
    tags = []
    for name in service.pool.names():
        with contextlib.suppress(TextwrightError, OSError):  # removed in the meantime
            tags.append(_tag(service, name))
    return tags


def _tag(service: Service, name: str) -> dict[str, Any]:
    """What `/api/tags` says of a model; its digest changes when its weights do."""
    run = service.pool.run(name)
    facts = run.weights_file.stat()
    digest = hashlib.sha256(f"{name} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()
    return {
        "name": f"{name}{TAG}",
        "model": f"{name}{TAG}",
        "modified_at": time_text(facts.st_mtime),
        "size": facts.st_size,
        "digest": digest,
        "details": _details(_config(run)),
    }


def _config(run: Run) -> ModelConfig:
    return model_config(run.read_json(run.config_file))


def _details(config: ModelConfig) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": config.family,
        "families": [config.family],
        "parameter_size": f"{config.parameter_count() / 1e6:.1f}M",
        "quantization_level": "",
    }


async def show_model(service: Service, name: str) -> dict[str, Any]:
    """What `/api/show` says of a model."""
    if not name:
        raise HTTPError(400, "model: say which", param="model")
    model = await service.model(name)
    run = service.pool.run(name)
    config = await asyncio.to_thread(_config, run)
    info: dict[str, Any] = {
        "general.architecture": config.family,
        "general.basename": model.name,
        "general.parameter_count": config.parameter_count(),
        f"{config.family}.vocab_size": config.vocab_size,
    }
    if model.runtime.block_size is not None:
        info[f"{config.family}.context_length"] = model.runtime.block_size
    sampling = model.defaults.sampling
    return {
        "modelfile": f"FROM {model.name}",
        "parameters": f"temperature {sampling.temperature}\ntop_k {sampling.top_k}\n"
        f"top_p {sampling.top_p}",
        "template": "{{ .Prompt }}",
        "details": _details(config),
        "model_info": info,
        "capabilities": ["completion"],
        "modified_at": time_text(run.weights_file.stat().st_mtime),
    }


def time_text(seconds: float) -> str:
    """A time since 1970, in seconds, as Ollama writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
