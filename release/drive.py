"""Runs the kernels of a wheel for another system, where that system has no Python here.

    python release/drive.py dist win_amd64 wine64
    python release/drive.py dist musllinux_1_2_aarch64 qemu-aarch64 -L FOLDER

`driver.c`, compiled for the wheel's platform by ziglang, loads each library that the processor runs
and has it read three texts with two small models of random weights. After the platform comes what
runs programs of it. Every checksum of logits must be that of a library for this machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from wheels import ROOT, hatch_build

MODELS = ("RECURRENT", "GPT_MODEL")
PRECISIONS = ("float32", "float16", "int8")
HERE = "manylinux_2_17_x86_64"


def drive(wheel: Path, runner: list[str]) -> dict[str, list[str]]:
    """The checksums of every build of a wheel that runs, of each of `MODELS` and `PRECISIONS`.

    Args:
        wheel: with kernels.
        runner: the command that runs programs of its platform; empty: this system does.

    Raises:
        RuntimeError: the driver failed.
    """
    target = hatch_build.WHEELS[wheel.stem.rpartition("-")[2]]
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        kernels = Path(folder, *hatch_build.KERNELS.parts[1:])
        (baseline,) = kernels.glob("baseline.*")
        for model in MODELS:
            program = Path(folder, "driver.exe")
            zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=gnu11", "-O1"]
            links = ["-dynamic"] if target.endswith("-musl") else []
            source = ROOT / "release" / "driver.c"
            flags = [f"-D{model}", f"-I{kernels}", *links, str(source), "-o", str(program)]
            subprocess.run([*zig, *flags], check=True)
            for library in kernels.glob(f"*{baseline.suffix}"):
                files = [f"./{one.name}" for one in (library, baseline)]
                call = [*runner, program, library.stem, *files]
                done = subprocess.run(
                    call, cwd=kernels, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    raise RuntimeError(f"{library.name}: {done.stderr or done.returncode}")
                if "not here" not in done.stdout:
                    found.setdefault(library.stem, []).extend(done.stdout.split())
    return found


def main() -> None:
    """Print which library of this machine each one agrees with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("platform", choices=[tag for tag, zig in hatch_build.WHEELS.items() if zig])
    parser.add_argument("runner", nargs=argparse.REMAINDER)
    chosen = parser.parse_args()
    wheels = {tag: next(chosen.folder.glob(f"*-{tag}.whl")) for tag in (HERE, chosen.platform)}
    ours, sums = drive(wheels[HERE], []), drive(wheels[chosen.platform], chosen.runner)
    labels = [f"{model.partition('_')[0].lower()} {one}" for model in MODELS for one in PRECISIONS]
    alone = False
    for build, made in sorted(sums.items()):
        for number, label in enumerate(labels):
            alike = [name for name in ours if ours[name][number] == made[number]]
            print(f"{build:<9} {label:<18} {', '.join(alike) or 'like none here'}")
            alone |= not alike
    sys.exit(alone or not sums)


if __name__ == "__main__":
    main()
