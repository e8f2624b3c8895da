"""A training job inside the container: from `/opt/ml/input` to `/opt/ml/model`.

The run folder lies in `/opt/ml/checkpoints`, which SageMaker keeps in S3, so a job that is
interrupted and begun anew goes on exactly. On several hosts, or with several GPUs, this process
starts `torchrun`, whose workers run the same command; the first of them writes everything.
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
from textwright.configs import CONFIG_CLASSES, Settings, nearest
from textwright.errors import RequestError, TextwrightError
from textwright.runs import Run
from textwright.sagemaker.archive import add_code, verify
from textwright.sagemaker.container import Container

if TYPE_CHECKING:
    from textwright.training import Observer

log = logging.getLogger("textwright")

STOPPED = 128 + signal.SIGTERM
"""Exit code of a job that was told to stop; what it had is saved."""

_SAVING = "110"
"""Seconds that workers have to save, of the 120 until SageMaker ends the container."""

_OPTIONS: dict[str, Any] = {
    "name": str, "model": str, "size": str, "tokenizer": str, "vocab_size": int,
    "lowercase": bool, "from": str, "val_fraction": float, "minutes": float, "steps": int,
    "epochs": float, "eval_every": int, "checkpoint_every": int, "seed": int, "device": str,
    "corpus": str, "loss_on": str,
}  # fmt: skip
"""Hyper-parameters that are options of `textwright train`; any other is a setting's dotted name."""
_ARGUMENTS = {"from": "parent", "val_fraction": "validation_fraction"}
_OUTPUTS = ("report_file", "metrics_file", "samples_file", "settings_file")


def run(container: Container, observers: Sequence[Observer]) -> int:
    """Do the job; gives the exit code.

    A failure is told in `output/failure`, in one line.
    """
    try:
        workers = _command_for_workers(container)
        if workers is not None and torchrun.world_size() == 1:
            return _start_workers(container, *workers)
        return _train(container, observers)
    except TextwrightError as error:
        _fail(container, str(error))
        raise TextwrightError(str(error)) from error  # 1, whoever is to blame
    except Exception as error:
        _fail(container, f"{type(error).__name__}: {error}")
        raise


def arguments(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `textwright.train` from hyper-parameters; `corpus` is one of them.

    Raises:
        RequestError: one is unknown, or has no value of its kind.
    """
    found: dict[str, Any] = {"changes": []}
    for name, value in hyperparameters.items():
        option = name.replace("-", "_")
        if "." in name:
            found["changes"].append(f"{name}={_as_set(value)}")
        elif option in _OPTIONS:
            found[_ARGUMENTS.get(option, option)] = _as_kind(name, value, _OPTIONS[option])
        else:
            raise RequestError(f"unknown hyper-parameter {name}{_nearest(option)}")
    return found


def _nearest(name: str) -> str:
    """What was meant: often a setting whose section was forgotten."""
    sections = [*((section, told.annotation) for section, told in Settings.model_fields.items()),
                *(("model", kind) for kind in CONFIG_CLASSES)]  # fmt: skip
    for section, kind in sections:
        if name in getattr(kind, "model_fields", {}):
            return f"; did you mean '{section}.{name}'?"
    return nearest(name, [*_OPTIONS, *(f"{section}." for section in Settings.model_fields)])


def _as_kind(name: str, value: Any, kind: type) -> Any:
    if kind is bool and isinstance(value, bool):
        return value or None
    if kind is int and type(value) is int:
        return value  # a float would round a long one
    if kind is str and not isinstance(value, dict | list):
        return str(value)
    try:
        if kind in (int, float) and not isinstance(value, bool | dict | list):
            number = float(value)
            if kind is float or number.is_integer():
                return kind(number)
    except ValueError:
        pass
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    raise RequestError(f"hyper-parameter {name} must be {words[kind]}, not {value!r}")


def _as_set(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _train(container: Container, observers: Sequence[Observer]) -> int:
    from textwright import training

    options = arguments(container.hyperparameters())
    name = options.pop("name", "run")
    sources = _corpus(container, options)
    _check_done(container, name, options)
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
    hand_over(made, container)
    interrupted = made.settings()["result"]["status"] == "interrupted"
    return STOPPED if interrupted else 0


def _corpus(container: Container, options: dict[str, Any]) -> list[str]:
    """The text: a `corpus` that is named, else the channels; `validation` is validated on."""
    channels = container.channels()
    if "validation" in channels:
        options["validation"] = channels.pop("validation")
    named = options.pop("corpus", None)
    if named is not None:
        return [named]
    if not channels:
        raise RequestError(
            "no channel holds a text: give the job a channel `train`, or a hyper-parameter `corpus`"
        )
    return [str(channels["train"])] if "train" in channels else [str(c) for c in channels.values()]


def _check_done(container: Container, name: str, options: dict[str, Any]) -> None:
    """Where the epochs asked for are in the checkpoint already, ask for those it has.

    Raises:
        RequestError: more are asked for than the run in the checkpoint was planned for.
    """
    there = Run(container.checkpoints / name)
    recorded = there.settings() if there.settings_file.is_file() else {}
    epochs, had = options.get("epochs"), recorded.get("training", {}).get("epochs")
    if epochs is None or had is None:
        return
    if epochs > had:
        raise RequestError(
            f"the checkpoint holds a run of {had:g} epochs, whose learning rate was fitted to "
            f"them, and {epochs:g} are asked for; take another checkpoint folder"
        )
    if recorded["result"]["status"] == "running":
        return
    if recorded["result"]["status"] in ("finished", "stopped early") and epochs <= had:
        options["epochs"] = had
        log.warning("the checkpoint has %g epochs already; it is not trained again", had)


def hand_over(run: Run, container: Container) -> None:
    """Lay out the model, verified, and what tells about it.

    Raises:
        TextwrightError: the model can't be loaded from where it was copied, or the disk is full.
    """
    container.model.mkdir(parents=True, exist_ok=True)
    for file in run.model_files:
        if file.is_file():
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


def _command_for_workers(container: Container) -> tuple[list[str], dict[str, str]] | None:
    """The `torchrun` that starts this host's workers; None where one process is enough."""
    here, hosts, interface = container.hosts()
    each = _gpus() or 1
    if len(hosts) == 1 and each == 1:
        return None
    words = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(len(hosts)),
             "--nproc-per-node", str(each), "--node-rank", str(hosts.index(here)),
             "--master-addr", hosts[0], "--master-port", "7777",
             "--shutdown-timeout", _SAVING,
             "-m", "textwright", "sagemaker-entry", "train"]  # fmt: skip
    between = {} if len(hosts) == 1 else dict.fromkeys(
        ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), interface
    )  # fmt: skip
    return words, between


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _start_workers(container: Container, words: list[str], between: dict[str, str]) -> int:
    """Run the workers; what this process is told to do, they are told."""
    process = subprocess.Popen(words, env={**os.environ, **between})
    asked: list[int] = []

    def pass_on(number: int, frame: Any) -> None:
        asked.append(number)
        process.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    code = process.wait()
    if asked:
        return STOPPED
    if code and not container.failure.is_file():
        _fail(container, f"a worker of this host ended with code {code}; its log says why")
    return 1 if code else 0


def _fail(container: Container, reason: str) -> None:
    if _is_follower() and container.failure.is_file():
        return  # the first worker's reason is the one that counts
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
