"""The kernels on processors that aren't here, which QEMU emulates: golden vectors and texts.

For Debian on x86-64.

    apt-get install qemu-user
    pip install -c constraints.txt -e '.[release]'
    python tests/kernels/emulated.py FOLDER [--tokens 100] [--train]

runs `on_processor.py` here with every build of the kernels that runs here, and on each of
`PROCESSORS`, and prints a table. It fails where logits are farther from the golden vectors than
1e-4, where company changes their bits, and where texts are not the same everywhere. With `--train`
it trains two small models instead, here and on one ARM processor, and prints their losses.

For x86-64 the Python that runs this is emulated, with the kernels of this checkout. For ARM, Python
from Debian's packages, which apt-get fetches without a change to this system, and this checkout's
wheel with all that it needs go into FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textwright.kernels import VARIABLE, available

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDEN = HERE.parent / "golden"
TOLERANCE = 1e-4
PROCESSORS = {
    "x86_64": ("Nehalem", "Haswell", "EPYC", "max"),
    "aarch64": ("cortex-a53", "cortex-a57", "neoverse-n1", "max"),
}
"""What QEMU calls them; `max` has all that it can emulate."""
BEFORE_AVX = ("Nehalem",)
"""Whose name OpenBLAS is told: by what QEMU passes on of some hosts it takes one of them for a
later processor, and NumPy ends by an illegal instruction."""
WHEEL = "manylinux_2_17_aarch64"
TORCH = "torch==2.9.1"
"""A version whose wheel for ARM has no CUDA."""
NEEDED_BY_TRAINING = ("jinja2", "networkx", "sympy")
APT = """
APT::Architecture "arm64"; APT::Architectures {{ "arm64"; }};
Dir::State "{folder}/state"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";
APT::Install-Recommends "0"; APT::Sandbox::User ""; Acquire::Languages "none";
"""

Report = dict[str, Any]
"""What `on_processor.py` prints."""


def prepare(folder: Path, wheel: Path | None = None, *, training: bool = False) -> None:
    """Make what emulated ARM processors run in `folder`; a Python that is there is kept.

    Args:
        folder: is made where it isn't there.
        wheel: of this checkout; made where none is given.
        training: with what a training needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "root").exists():
        _fetch_python(folder)
    for part in ("wheel", "site"):
        shutil.rmtree(folder / part, ignore_errors=True)
    if wheel is None:
        _run([sys.executable, ROOT / "release" / "wheels.py", folder / "wheel", "--only", WHEEL])
        (wheel,) = (folder / "wheel").glob("*.whl")
    _install(folder, wheel, "-c", ROOT / "constraints.txt")
    if training:  # without what it needs: pip would take this processor's markers for the other's
        _install(folder, "--no-deps", TORCH)
        _install(folder, *NEEDED_BY_TRAINING, "-c", ROOT / "constraints.txt")


def _fetch_python(folder: Path) -> None:
    """Debian's Python for arm64, as apt-get would install it on a system that has nothing yet."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "apt.conf").write_text(APT.format(folder=folder), encoding="utf-8")
    variables = {"APT_CONFIG": str(folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-qq"], variables)
    _run(["apt-get", "install", "-qq", "-y", "--download-only", "python3", "libstdc++6"], variables)
    for package in (folder / "cache" / "archives").glob("*.deb"):
        _run(["dpkg", "-x", package, folder / "root.new"])
    (folder / "root.new").rename(folder / "root")


def _install(folder: Path, *what: str | Path) -> None:
    """Have pip put the wheels for that Python into `site`, compiled: emulated, that takes long."""
    version = _python(folder).name.removeprefix("python")
    abis = [f"cp{version.replace('.', '')}", "abi3", "none"]
    platforms = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37))]
    platforms.append("musllinux_1_2")  # this checkout's: of the rest the first is taken
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--compile"]
    kind = [*(f"--abi={abi}" for abi in abis), *(f"--platform={one}_aarch64" for one in platforms)]
    kind += ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}"]
    _run([*pip, *kind, "--target", folder / "site", *what])


def _python(folder: Path) -> Path:
    (found,) = (folder / "root" / "usr" / "bin").glob("python3.*")
    return found


def _run(command: list[Any], variables: dict[str, str] | None = None) -> None:
    """Run a program; what it printed is raised where it fails."""
    done = subprocess.run(
        [*map(str, command)],
        env=os.environ | (variables or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:4]))} …: {done.stdout[-2000:]}")


def native(build: str, *request: str) -> Report:
    """What one build of the kernels computes here."""
    return _ask([sys.executable], {VARIABLE: build}, "on_processor.py", request)


def emulated(folder: Path, machine: str, processor: str, *request: str) -> Report:
    """What the kernels that a processor chooses compute on it."""
    return _ask(*_emulator(folder, machine, processor), "on_processor.py", request)


def _emulator(folder: Path, machine: str, processor: str) -> tuple[list[str], dict[str, str]]:
    """The command of a Python on an emulated processor, and its variables."""
    qemu, variables = [f"qemu-{machine}", "-cpu", processor], {VARIABLE: "auto"}
    if machine == "x86_64":
        if processor in BEFORE_AVX:
            variables["OPENBLAS_CORETYPE"] = processor
        return [*qemu, sys.executable], variables
    python = [*qemu, "-L", str(folder / "root"), str(_python(folder))]
    home = {"PYTHONHOME": str(folder / "root" / "usr"), "PYTHONPATH": str(folder / "site")}
    return python, variables | home


def _ask(
    python: list[str], variables: dict[str, str], script: str, request: Iterable[str]
) -> Report:
    """What a script prints that another Python runs."""
    alone = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "TEXTWRIGHT_RUNS": os.devnull}
    done = subprocess.run(
        [*python, str(HERE / script), *request],
        env=os.environ | alone | variables, capture_output=True, check=False, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(python)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def problems(report: Report, first: Report) -> list[str]:
    """What is wrong with what a processor computed, beside what another did."""
    found = []
    for precision, models in report["golden"].items():
        for name, of in models.items():
            if precision != "int8" and of["deviation"] > TOLERANCE:
                found.append(f"{name} {precision} is {of['deviation']:.0e} off")
            if not of["batch_invariant"]:
                found.append(f"{name} {precision} depends on what is read together")
            if of["bits"] != first["golden"][precision][name]["bits"] and is_exact(
                report, precision
            ):
                found.append(f"{name} {precision} has other bits")
    for name, of in report["texts"].items():
        expected = first["texts"][name]
        found += [f"{name}: another {kind} text" for kind in ("greedy", "drawn")
                  if of[kind] != expected[kind]]  # fmt: skip
        if of["bits"] != expected["bits"] and is_exact(report, name.split()[-1]):
            found.append(f"{name} has other bits")
    return found


def is_exact(report: Report, precision: str) -> bool:
    """Whether its logits are those of every processor to the last bit."""
    return precision == "int8" or (report["machine"], report["kernels"]) != ("x86_64", "baseline")


def row(name: str, report: Report, first: Report) -> str:
    """A line of the table."""
    golden, texts = report["golden"], report["texts"]
    off = max(of["deviation"] for part in ("float32", "float16") for of in golden[part].values())
    alone = all(of["batch_invariant"] for models in golden.values() for of in models.values())
    same = {}
    for precision in ("float32", "int8"):
        pairs = [(of, first["golden"][precision][name]) for name, of in golden[precision].items()]
        pairs += [(of, first["texts"][name]) for name, of in texts.items()
                  if name.endswith(precision)]  # fmt: skip
        same[precision] = all(of["bits"] == expected["bits"] for of, expected in pairs)
    written = sum(of[kind] == first["texts"][name][kind]
                  for name, of in texts.items() for kind in ("greedy", "drawn"))  # fmt: skip
    cells = [name, report["kernels"], f"{off:.1e}", *map(_yes, (alone, *same.values()))]
    return "| " + " | ".join([*cells, f"{written} of {2 * len(texts)}"]) + " |"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


HEAD = """
| processor | kernels | largest deviation from the golden vectors | same bits in any company | bits of the first row: float | … int8 | texts of the first row |
| --- | --- | ---: | --- | --- | --- | ---: |
""".strip()  # noqa: E501


def compare(folder: Path, tokens: str) -> list[str]:
    """Print the table; what is wrong, a line each."""
    first, wrong = None, []
    print(HEAD)
    places = [("this one", build) for build in available()[0]]
    places += [(machine, name) for machine, names in PROCESSORS.items() for name in names]
    for where, name in places:
        if where == "this one":
            report = native(name, tokens)
        else:
            report = emulated(folder, where, name, tokens)
        first = first or report
        print(row(f"{where}, {name}", report, first), flush=True)
        wrong += [f"{where}, {name}: {problem}" for problem in problems(report, first)]
    return wrong


def train(folder: Path) -> None:
    """Print the losses of two small models, trained here and on an ARM processor."""
    arm = _emulator(folder, "aarch64", "neoverse-n1")
    print("| processor | torch | model | loss of the first step | … of the tenth | greedy text |")
    print("| --- | --- | --- | ---: | ---: | --- |")
    for name, place in {"this one": ([sys.executable], {}), "aarch64, neoverse-n1": arm}.items():
        with tempfile.TemporaryDirectory() as runs:
            report = _ask(*place, "train_on_processor.py", [runs])
        for model, of in report["models"].items():
            losses = f"{of['losses'][0]:.6f} | {of['losses'][-1]:.6f}"
            print(
                f"| {name} | {report['torch']} | {model} | {losses} | {of['text']!r} |", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", default="100", help="of each text")
    parser.add_argument("--train", action="store_true", help="train, instead of generating")
    chosen = parser.parse_args()
    folder = chosen.folder.resolve()
    if chosen.train:
        prepare(folder, training=True)
        train(folder)
        return
    prepare(folder)
    if wrong := compare(folder, chosen.tokens):
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
