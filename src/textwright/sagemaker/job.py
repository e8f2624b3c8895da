"""A training job inside the container: from `/opt/ml/input` to `/opt/ml/model`.

The run folder is in `/opt/ml/checkpoints`, which SageMaker syncs with S3, so that a job which is
interrupted and restarted resumes exactly. On several hosts, or with several GPUs, this process
starts `torchrun`, whose workers run the same command; rank 0 writes all files.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textwright import atomic, torchrun
from textwright.cloud.results import verify
from textwright.configs import CONFIG_CLASSES, Settings, nearest
from textwright.errors import RequestError, TextwrightError
from textwright.runs import Run
from textwright.sagemaker.archive import add_code
from textwright.sagemaker.container import Container

if TYPE_CHECKING:
    from textwright.training.loop.callbacks import Observer

log = logging.getLogger("textwright")

STOPPED = 128 + signal.SIGTERM
"""Exit code of a job that was stopped; its model is saved."""

_SHUTDOWN_TIMEOUT = "110"
"""Seconds that workers have to save; SageMaker kills the container 120 s after SIGTERM."""

_OPTIONS: dict[str, Any] = {
    "name": str, "model": str, "size": str, "tokenizer": str, "vocab_size": int,
    "lowercase": bool, "from": str, "val_fraction": float, "minutes": float, "steps": int,
    "epochs": float, "eval_every": int, "checkpoint_every": int, "seed": int, "device": str,
    "corpus": str, "loss_on": str, "encoding": str, "field": str, "assistant": str,
    "sample_prompt": str,
}  # fmt: skip
"""Hyper-parameters that are options of `textwright train`; others are settings' dotted names."""
_BUDGETS = ("minutes", "steps", "epochs")
_ARGUMENTS = {"from": "parent", "val_fraction": "validation_fraction"}
_OUTPUTS = ("report_file", "metrics_file", "samples_file", "settings_file")


def run(container: Container, observers: Sequence[Observer]) -> int:
    """Train, and export the results; returns the exit code.

    Why it failed is written to `output/failure`, in one line.
    """
    try:
        workers = _torchrun_command(container)
        if workers is not None and torchrun.world_size() == 1:
            return _run_workers(container, *workers)
        return _train(container, observers)
    except TextwrightError as error:
        _fail(container, str(error))
        raise TextwrightError(str(error)) from error  # exit code 1, for a RequestError too
    except Exception as error:
        _fail(container, f"{type(error).__name__}: {error}")
        raise


def arguments(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `textwright.train` from hyper-parameters; `corpus` is one of them.

    Raises:
        RequestError: one is unknown, or has a value of another type.
    """
    options: dict[str, Any] = {"changes": []}
    for name, value in hyperparameters.items():
        option = name.replace("-", "_")
        if "." in name:
            options["changes"].append(f"{name}={_setting_value(value)}")
        elif option in _OPTIONS:
            converted = _convert(name, value, _OPTIONS[option])
            if option in _BUDGETS and str(value).startswith("+"):
                converted = f"+{converted}"  # on top of what the run in the checkpoint has
            options[_ARGUMENTS.get(option, option)] = converted
        else:
            raise RequestError(f"unknown hyper-parameter {name}{_nearest(option)}")
    return options


def _nearest(name: str) -> str:
    """A hint at what was meant: often a setting whose section was forgotten."""
    sections = [*((section, field.annotation) for section, field in Settings.model_fields.items()),
                *(("model", kind) for kind in CONFIG_CLASSES)]  # fmt: skip
    for section, kind in sections:
        if name in getattr(kind, "model_fields", {}):
            return f"; did you mean '{section}.{name}'?"
    return nearest(name, [*_OPTIONS, *(f"{section}." for section in Settings.model_fields)])


def _convert(name: str, value: Any, type_: type) -> Any:
    """`value` as an option of `type_`; None, the default, for false."""
    if type_ is bool and isinstance(value, bool):
        return value or None
    if type_ is int and type(value) is int:
        return value  # not by way of a float, which would round a long one
    if type_ is str and not isinstance(value, dict | list):
        return str(value)
    try:
        if type_ in (int, float) and not isinstance(value, bool | dict | list):
            number = float(value)
            if type_ is float or number.is_integer():
                return type_(number)
    except ValueError:
        pass
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    raise RequestError(f"hyper-parameter {name} must be {words[type_]}, not {value!r}")


def _setting_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _train(container: Container, observers: Sequence[Observer]) -> int:
    from textwright import training

    options = arguments(container.hyperparameters())
    name = options.pop("name", "run")
    sources = _corpus(container, options)
    first = torchrun.is_first()
    made = training.train(
        *sources,
        name=name,
        runs_folder=container.checkpoints,
        resume=True,
        observers=observers if first else (),
        command=f"textwright sagemaker-entry train  # {json.dumps(options)}",
        **options,
    )
    if not first:
        return 0
    export_results(made, container)
    interrupted = made.settings()["result"]["status"] == "interrupted"
    return STOPPED if interrupted else 0


def _corpus(container: Container, options: dict[str, Any]) -> list[str]:
    """The hyper-parameter `corpus`, or the channels; `validation` becomes the option."""
    channels = container.channels()
    if "validation" in channels:
        options["validation"] = channels.pop("validation")
    corpus = options.pop("corpus", None)
    if corpus is not None:
        return [corpus]
    if not channels:
        raise RequestError(
            "no channel holds a text: give the job a channel `train`, or a hyper-parameter `corpus`"
        )
    return [str(channels["train"])] if "train" in channels else [str(c) for c in channels.values()]


def export_results(run: Run, container: Container) -> None:
    """Copy the model, verified, to `model/`, and report, metrics and samples to `output/data/`.

    Raises:
        TextwrightError: the copied model can't be loaded, or the disk is full.
    """
    container.model.mkdir(parents=True, exist_ok=True)
    for file in run.files_to_copy():
        atomic.write_bytes(container.model / file.name, file.read_bytes())
    add_code(container.model)
    samples = verify(container.model)
    for sample in samples:
        log.info("sample: %s", sample)
    for name in _OUTPUTS:
        file = getattr(run, name)
        if file.is_file():
            atomic.write_bytes(container.output_data / file.name, file.read_bytes())
    atomic.write_text(container.output_data / "sample.txt", "\n\n".join(samples) + "\n")


def _torchrun_command(container: Container) -> tuple[list[str], dict[str, str]] | None:
    """The `torchrun` for this host, and environment variables; None for a single process."""
    host, hosts, interface = container.hosts()
    processes = _gpus() or 1
    if len(hosts) == 1 and processes == 1:
        return None
    words = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(len(hosts)),
             "--nproc-per-node", str(processes), "--node-rank", str(hosts.index(host)),
             "--master-addr", hosts[0], "--master-port", "7777",
             "--shutdown-timeout", _SHUTDOWN_TIMEOUT,
             "-m", "textwright", "sagemaker-entry", "train"]  # fmt: skip
    variables = {} if len(hosts) == 1 else dict.fromkeys(
        ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), interface
    )  # fmt: skip
    return words, variables


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _run_workers(container: Container, words: list[str], variables: dict[str, str]) -> int:
    """Run the workers to their end, and forward signals to them; returns the exit code."""
    process = subprocess.Popen(words, env={**os.environ, **variables})
    received: list[int] = []

    def forward(number: int, frame: Any) -> None:
        received.append(number)
        process.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    code = process.wait()
    if received:
        return STOPPED
    if code and not container.failure.is_file():
        _fail(container, f"a worker of this host ended with code {code}; its log says why")
    return 1 if code else 0


def _fail(container: Container, reason: str) -> None:
    if _is_follower() and container.failure.is_file():
        return  # rank 0's reason is the one to show
    try:
        container.fail(reason)
    except TextwrightError as error:
        log.warning("%s", error)


def _is_follower() -> bool:
    """Whether this is any worker but the first; nonsense tells of none."""
    try:
        return not torchrun.is_first()
    except RequestError:
        return False
