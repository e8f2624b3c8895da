"""Installs the wheel that fits this machine, in an environment without a compiler, and runs it.

    python release/install.py dist

pip chooses among the wheels in the folder; everything that textwright needs comes as wheels, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = ("-m", "pip", "--disable-pip-version-check", "-q", "install", "--only-binary", ":all:")


def install(wheels: Path, folder: Path) -> dict[str, str]:
    """Make an environment and let pip put the wheel that fits into it, alone.

    Args:
        wheels: the folder with the wheels.
        folder: of the environment, which isn't there yet.

    Returns:
        The environment's variables: what is called in it finds no compiler.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"PATH": str(programs), "CC": str(folder / "none")}
    alone = ["--no-index", "--no-deps", "--find-links", str(wheels), "textwright"]
    subprocess.run([programs / "python", *PIP, *alone], env=variables, check=True)
    return variables


def run(variables: dict[str, str]) -> dict[str, str]:
    """Have the installed textwright generate and tell of itself.

    Returns:
        What `doctor` says of the kernels.

    Raises:
        RuntimeError: it generates on NumPy.
    """
    program = str(Path(variables["PATH"], "textwright"))
    line = ["generate", "shakespeare", "ROMEO:", "-n", "50", "--temperature", "0"]
    with tempfile.TemporaryDirectory() as empty:
        subprocess.run([program, *line], cwd=empty, env=variables, check=True)
        call = [program, "doctor", "--json"]
        done = subprocess.run(call, cwd=empty, env=variables, check=True, capture_output=True)
    kernels: dict[str, str] = json.loads(done.stdout)["kernels"]
    if kernels["name"] == "numpy":
        raise RuntimeError(f"it generates on NumPy: {kernels['reason']}")
    return kernels


def main() -> None:
    """Install from a folder, with everything that is needed, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    wheels = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as folder:
        variables = install(wheels, Path(folder, "environment"))
        python = Path(variables["PATH"], "python")
        rest = ["-c", str(ROOT / "constraints.txt"), "textwright"]
        subprocess.run([python, *PIP, *rest], env=variables, check=True)
        print("kernels:", *run(variables).values())


if __name__ == "__main__":
    main()
