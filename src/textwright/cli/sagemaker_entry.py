"""`textwright sagemaker-entry`: what a SageMaker container runs, to train or to serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from textwright.cli.generate import Companion, Precision
from textwright.cli.serve_options import (
    LogPrompts,
    MaxLength,
    Queue,
    ServedCompanion,
    ServedPrecision,
    Slots,
)

if TYPE_CHECKING:
    from textwright.generation import Generator
    from textwright.runs import Run

Memory = Annotated[
    str | None,
    typer.Option(
        help="Weights of a multi-model endpoint in memory at most, e.g. 2G; a model that doesn't "
        "fit gets 507. Else most of the container's memory.",
        envvar="TEXTWRIGHT_MEMORY",
    ),
]


def train() -> None:
    """Do the training job that /opt/ml describes; what an image's `train` runs.

    textwright sagemaker-entry train
    """
    from textwright.cli.train import check_torch

    check_torch()
    from textwright.cli.progress import Blocks
    from textwright.sagemaker.container import Container
    from textwright.sagemaker.job import run

    if code := run(Container.current(), [Blocks()]):
        raise typer.Exit(code)


def serve(
    memory: Memory = None,
    precision: ServedPrecision = Precision.auto,
    companion: ServedCompanion = Companion.auto,
    slots: Slots = 64,
    queue: Queue = 64,
    max_length: MaxLength = 4096,
    log_prompts: LogPrompts = False,
) -> None:
    """Serve the model in /opt/ml/model on port 8080; what an image's `serve` runs.

    textwright sagemaker-entry serve
    """
    from textwright.cli.serve import memory_bytes, missing

    try:
        from textwright.sagemaker import hosting
        from textwright.serving import Metrics
        from textwright.serving.logs import write_json_lines
        from textwright.serving.server import listen, run
    except ImportError as error:
        raise missing(error) from error
    from textwright.engine import Engine
    from textwright.generation import load
    from textwright.sagemaker.container import Container

    def loader(run: Run) -> Generator:
        return load(run, precision=precision, companion=companion)

    container = hosting.Hosting.from_environment()
    settings = container.settings(max_length, log_prompts=log_prompts)
    models = hosting.model_pool(
        Container.current(), container, memory=memory_bytes(memory), loader=loader
    )
    metrics = Metrics()
    engine = Engine(slots=slots, waiting=queue, workers=container.workers, observer=metrics)
    app = hosting.create(models, container, engine, settings, metrics)
    write_json_lines()
    run(app, listen("0.0.0.0", container.port), settings)
