"""`textwright doctor`: what this machine has, what is missing, and how to install it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from textwright.cli.tables import show_json, show_table

VOCABULARY = 65
"""The vocabulary for which parameters are counted: that of Tiny Shakespeare, by characters."""

_GROUPS = ("all", "dev", "peers", "release")
"""Extras made of other extras, and those for whoever works on textwright itself."""


def doctor(
    runs: Annotated[
        Path | None,
        typer.Option("--runs", metavar="DIR", help="Where runs live [$TEXTWRIGHT_RUNS or runs]."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what this machine has, what is missing, and how to get it."""
    report = {
        "machine": _machine(),
        "kernels": _kernels(),
        "tab": _tab(),
        "torch": _torch(),
        "extras": _extras(),
        "folders": _folders(runs),
        "corpora": _corpora(),
        "sizes": _sizes(),
    }
    if as_json:
        show_json(report)
    else:
        _show(report)


def _machine() -> dict[str, Any]:
    import textwright
    from textwright import machine

    return {
        "textwright": textwright.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": machine.cores(),
        "memory_bytes": machine.memory(),
        "disk_free_bytes": _disk_free(Path.cwd()),
    }


def _disk_free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(_nearest_existing(folder)).free
    except OSError:
        return None


def _kernels() -> dict[str, Any]:
    """Which build of the kernels generates, or NumPy, and why."""
    from textwright.errors import RequestError
    from textwright.kernels import available, kernels

    try:
        build = kernels()
    except RequestError as error:
        return {"name": None, "reason": str(error), "available": available()[0]}
    return {"name": build.name, "reason": build.reason, "available": available()[0]}


def _tab() -> dict[str, Any]:
    """Whether the page can train by itself, in a browser's tab."""
    from textwright.kernels import learning_engine

    file, reason = learning_engine()
    size = None if file is None else file.stat().st_size
    return {"engine": file and file.name, "bytes": size, "reason": reason}


def _tab_words(tab: dict[str, Any]) -> str:
    if tab["engine"]:
        return f"{tab['engine']}, {tab['bytes']:,} bytes"
    return f"no: {tab['reason']}"


def _torch() -> dict[str, Any]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: its libraries don't load
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        return {
            "version": None,
            "problem": None if missing else str(error).split("\n", 1)[0],
            "install": _install("train"),
        }
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [
            f"cuda:{index} ({torch.cuda.get_device_name(index)})"
            for index in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return {"version": str(torch.__version__), "devices": devices, **_training()}


def _training() -> dict[str, Any]:
    """The device, precision and so on that a training would choose here, and what it measured."""
    from textwright.models import device

    chosen = {}
    for family in ("lstm", "gpt"):
        choice = device.choose_device("auto", family)
        chosen[family] = {
            "device": choice.type,
            "precision": device.choose_precision("auto", choice, family),
            "compile": device.choose_compile("auto", choice),
        }
    return {
        "core_gflops": {name: round(speed, 1) for name, speed in device.core_gflops().items()},
        "threads": device.use_threads(0),
        "chosen": chosen,
    }


@dataclass(frozen=True)
class Extra:
    """An optional group of packages."""

    name: str
    missing: tuple[str, ...]
    """Its packages that are not installed."""

    def to_json(self) -> dict[str, Any]:
        install = _install(self.name) if self.missing else None
        return {"name": self.name, "missing": list(self.missing), "install": install}


def extras(requirements: Sequence[str], has: Callable[[str], bool]) -> list[Extra]:
    """The extras in `requirements`, each with its missing packages.

    Args:
        requirements: a package's requirements, as `importlib.metadata.requires` gives them.
        has: whether a package is installed.
    """
    packages: dict[str, list[str]] = {}
    for requirement in requirements:
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", requirement)
        package = re.match(r"[\w.-]+", requirement)
        if extra and package and package[0] != "textwright" and extra[1] not in _GROUPS:
            packages.setdefault(extra[1], []).append(package[0])
    return [
        Extra(name, tuple(package for package in required if not has(package)))
        for name, required in packages.items()
    ]


def _extras() -> list[dict[str, Any]]:
    try:
        requirements = metadata.requires("textwright") or []
    except metadata.PackageNotFoundError:  # run from a checkout that isn't installed
        return []
    return [extra.to_json() for extra in extras(requirements, _installed)]


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _install(extra: str) -> str:
    return f"pip install 'textwright[{extra}]'"


def _folders(runs: Path | None) -> list[dict[str, Any]]:
    from textwright.data.sources.cache import CACHE_VARIABLE, cache_folder
    from textwright.runs import RUNS_VARIABLE, runs_folder

    places = (("runs", runs_folder(runs), RUNS_VARIABLE), ("cache", cache_folder(), CACHE_VARIABLE))
    return [
        {
            "name": name,
            "path": str(path.absolute()),
            "variable": variable,
            "set": bool(os.environ.get(variable)),
            "exists": _exists(path),
            "writable": _writable(path),
            "free_bytes": _disk_free(path),
        }
        for name, path, variable in places
    ]


def _writable(folder: Path) -> bool:
    """Whether files can be written to `folder`, or it can be created."""
    parent = _nearest_existing(folder)
    return parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if _exists(parent))


def _exists(path: Path) -> bool:
    """Whether there is something, as far as this user may know: in another's home, nothing."""
    try:
        return path.exists()
    except OSError:
        return False


def _corpora() -> dict[str, Any]:
    from textwright.data import BUILT_INS, cache_folder
    from textwright.data.sources.builtin import CORPORA_VARIABLE, locate

    chosen = os.environ.get(CORPORA_VARIABLE)
    return {
        "variable": CORPORA_VARIABLE,
        "path": chosen or None,
        "exists": bool(chosen) and Path(chosen or "").is_dir(),
        "built_ins": {name: locate(text, cache_folder()) for name, text in BUILT_INS.items()},
    }


def _sizes() -> list[dict[str, Any]]:
    from textwright.training.planning.presets import SIZES, model_settings

    return [
        {
            "family": family,
            "size": size,
            "vocab_size": VOCABULARY,
            "parameters": model_settings(family, size, VOCABULARY).parameter_count(),
        }
        for family, sizes in SIZES.items()
        for size in sizes
    ]


def _show(report: dict[str, Any]) -> None:
    from textwright.reporting import numbers

    machine, torch = report["machine"], report["torch"]
    rows = [
        ("textwright", machine["textwright"]),
        ("python", f"{machine['python']} ({machine['executable']})"),
        ("platform", machine["platform"]),
        ("cores", str(machine["cores"])),
        ("memory", numbers.size(machine["memory_bytes"])),
        ("disk free", numbers.size(machine["disk_free_bytes"])),
        ("kernels", f"{report['kernels']['name']} ({report['kernels']['reason']})"),
        ("training in a tab", _tab_words(report["tab"])),
        ("torch", _torch_line(torch)),
    ]
    if torch["version"]:
        rows += [("devices", ", ".join(torch["devices"])), *_training_lines(torch)]
    for extra in report["extras"]:
        missing = ", ".join(extra["missing"])
        state = f"{missing} missing: {extra['install']}" if missing else "installed"
        rows.append((f"extra {extra['name']}", state))
    rows += [(f"{folder['name']} folder", _folder_line(folder)) for folder in report["folders"]]
    rows += _corpora_lines(report["corpora"])
    show_table(("", ""), rows)
    typer.echo()
    _show_sizes(report["sizes"])


def _torch_line(torch: dict[str, Any]) -> str:
    if torch["version"]:
        return str(torch["version"])
    if torch["problem"]:
        return f"installed but broken ({torch['problem']}): install it anew, {torch['install']}"
    return f"not installed; generating works without, training needs it: {torch['install']}"


def _training_lines(torch: dict[str, Any]) -> list[tuple[str, str]]:
    speeds = [f"{speed:,.0f} in {name}" for name, speed in torch["core_gflops"].items()]
    lines = [("one core", f"{', '.join(speeds)} (GFLOP/s, matrix product)")]
    for family, chosen in torch["chosen"].items():
        how = [f"{chosen['device']}, {chosen['precision']}"]
        if chosen["device"] == "cpu":
            how.append(f"up to {torch['threads']} threads")
        if chosen["compile"]:
            how.append("compiled")
        lines.append((f"{family} trains on", ", ".join(how)))
    return lines


def _folder_line(folder: dict[str, Any]) -> str:
    state = "writable" if folder["writable"] else "NOT writable; name another"
    missing = "" if folder["exists"] else ", made when it is needed"
    origin = f"from ${folder['variable']}" if folder["set"] else f"${folder['variable']} is not set"
    return f"{folder['path']} ({state}{missing}; {origin})"


def _corpora_lines(corpora: dict[str, Any]) -> list[tuple[str, str]]:
    path, variable = corpora["path"], f"${corpora['variable']}"
    if path is None:
        first = f"{variable} is not set"
    else:
        first = f"{path}" if corpora["exists"] else f"{variable} is {path}, which is no folder"
    places: dict[str, list[str]] = {}
    for name, place in corpora["built_ins"].items():
        places.setdefault(place, []).append(name)
    lines = [(f"  from {place}", ", ".join(names)) for place, names in places.items()]
    return [("corpora folder", first), *lines]


def _show_sizes(sizes: list[dict[str, Any]]) -> None:
    from textwright.reporting import numbers

    names = list(dict.fromkeys(entry["size"] for entry in sizes))
    families: dict[str, dict[str, int]] = {}
    for entry in sizes:
        families.setdefault(entry["family"], {})[entry["size"]] = entry["parameters"]
    rows = [
        (family, *(numbers.short(counts.get(name)) for name in names))
        for family, counts in families.items()
    ]
    title = f"parameters of each --model and --size, for a vocabulary of {VOCABULARY}"
    show_table(("model", *names), rows, right=names, title=title)
