"""Compiles the kernels of generation and training, when the package is built or installed, and the
engine that trains in a browser's tab.

    python hatch_build.py

makes them in place, for a checkout that is run as it lies. Where no C compiler is found, the
package is built without them, generates on NumPy and trains by torch alone, and its page doesn't
train; `textwright doctor` tells what there is.

The compiler of the kernels is `$CC` where that is set, and no other; else the system's, else that
of the package `ziglang`. The engine is WebAssembly, the same file for every platform: it is
compiled by `ziglang` where that is there, else by a Clang that has WebAssembly's linker beside it.
`ziglang` is asked for where one of the two has no compiler and `$CC` isn't set.

With `TEXTWRIGHT_WHEEL` set to one of `WHEELS`, a wheel is made for that platform, whatever this one
is; `release/wheels.py` makes them all.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand
    BuildHookInterface = object

KERNELS = Path("src", "textwright", "kernels")
ENGINE = "learning.wasm"
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
DOTPROD = ["-march=armv8.2-a+dotprod"]
AVX512 = [f"-mavx512{part}" for part in ("f", "dq", "bw", "vl", "vnni")]
FLAGS = [
    "-O3", "-std=gnu11", "-fPIC", "-fvisibility=hidden", "-g0",
    "-ffp-contract=off",  # each operation is rounded by itself: the same bits on every processor
    "-fno-math-errno", "-fno-trapping-math",
]  # fmt: skip
WASM = [
    *FLAGS[:2], "-fvisibility=hidden", "-g0", "-ffp-contract=off", "-fno-math-errno",
    "-fno-trapping-math", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-dynamic", "-Wl,--strip-all",
]  # fmt: skip
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}
ZIG = "ziglang==0.15.2"
WHEEL = "TEXTWRIGHT_WHEEL"
WHEELS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "manylinux_2_17_armv7l": "arm-linux-gnueabihf.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_10_13_x86_64": "x86_64-macos.10.13",
    "win_amd64": "x86_64-windows-gnu",
    "win_arm64": "aarch64-windows-gnu",
    "any": "",  # without kernels: nobody whose platform isn't above needs a compiler either; the
    # engine of the tab is in all
}
"""The wheels that are published: a wheel's platform, and what Zig calls it."""


def builds(machine: str = platform.machine(), system: str = sys.platform) -> dict[str, list[str]]:
    """What is compiled for a processor and an operating system, by name, with the compiler's flags.

    Which of them a processor runs is found out when the kernels are loaded (`processor.c`).

    Args:
        machine: as `platform.machine()` calls it where the kernels will run.
        system: as `sys.platform` calls it there.
    """
    made: dict[str, list[str]] = {"baseline": []}
    if machine.lower() in ("x86_64", "amd64"):
        made |= {"avx2": AVX2, "avxvnni": [*AVX2, "-mavxvnni"], "avx512": [*AVX2, *AVX512]}
    elif machine.lower() in ("aarch64", "arm64") and system != "darwin":
        # A Mac's compiler takes for granted what its first processor had, these products too.
        made |= {"dotprod": DOTPROD}
    return made


def names_of(target: str) -> tuple[str, str]:
    """What `platform.machine()` and `sys.platform` say on a platform that Zig names so."""
    if not target:
        return platform.machine(), sys.platform
    machine, system, *_ = re.split(r"[-.]", target)
    return machine, {"macos": "darwin", "windows": "win32"}.get(system, system)


def compiler() -> list[str] | None:
    """The command of a C compiler that works, or None."""
    candidates = [["cc"], ["gcc"], ["clang"]]
    if chosen := shlex.split(os.environ.get("CC", "")):
        candidates = [chosen]
    elif importlib.util.find_spec("ziglang"):
        candidates.append(_zig())
    return next((command for command in candidates if _works(command)), None)


def _zig() -> list[str]:
    # Zig takes this very processor for granted unless told not to.
    return [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]


def _works(command: list[str]) -> bool:
    """Whether it compiles and links a library that includes the system's headers."""
    if not shutil.which(command[0]):
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text("#include <math.h>\nfloat half(float x) { return sqrtf(x) / 2; }\n")
        library = Path(folder, "try" + SUFFIX.get(sys.platform, ".so"))
        return not _compile(command, [], [source], library)


def _compile(command: list[str], flags: list[str], sources: list[Path], to: Path) -> str:
    """Make one library; what the compiler said if it could not."""
    if "-target" in command:
        # Zig makes a system's C library anew for other flags, so it links without them.
        objects = [to.with_name(f"{source.stem}.o") for source in sources]
        for source, made in zip(sources, objects, strict=True):
            # By a name without the folder, in which Zig finds what it has compiled in another one.
            call = [*command, *FLAGS, *flags, "-c", source.name, "-o", str(made.resolve())]
            if problem := _run(call, source.parent):
                return problem
        sources, flags = objects, []
    call = [*command, *FLAGS, *flags, "-shared", *map(str, sources), "-o", str(to)]
    if any(word.endswith("-musl") for word in command):
        # Systems call this C library by several names, and who loads the kernels has it loaded.
        call.append("-nostdlib")
    elif to.suffix != ".dll":
        call.append("-lm")
    if to.suffix == ".dylib":  # it would say in which folder it was made
        call.append(f"-Wl,-install_name,@rpath/{to.name}")
    return _run(call)


def _run(call: list[str], folder: Path | None = None) -> str:
    """What a compiler, run in a folder, said if it failed."""
    try:
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return (done.stderr or "it failed without a word") if done.returncode else ""


def build(root: Path, folder: Path, target: str = "") -> list[Path]:
    """Compile every build into `folder`; the libraries, none where there is no compiler.

    A build that the compiler is too old for is left out: processors that want it take another.

    Args:
        root: of the project.
        folder: where the libraries go.
        target: what Zig calls the platform that they are for, if it isn't this one.
    """
    command = [*_zig(), "-target", target, "-s"] if target else compiler()
    if command is None:
        return []
    sources = sorted((root / KERNELS).glob("*.c"))
    # The library says what it was made of, so that it never runs under code of another day.
    said = zlib.crc32(b"".join(one.read_bytes() for one in sorted((root / KERNELS).glob("*.[ch]"))))
    mark = f"-DSOURCES={said}u"
    machine, system = names_of(target)
    flags, suffix = builds(machine, system), SUFFIX.get(system, ".so")
    with ThreadPoolExecutor(len(flags)) as pool:
        libraries = {name: folder / f"{name}{suffix}" for name in flags}
        made = {
            name: pool.submit(_make, command, [*flags[name], mark], sources, library)
            for name, library in libraries.items()
        }
    for name, outcome in made.items():
        if problem := outcome.result():
            print(f"kernels: {name} could not be made: {problem}", file=sys.stderr)
    return [library for library in libraries.values() if library.exists()]


def wasm_compiler() -> dict[str, list[str]] | None:
    """The commands that compile to WebAssembly and link, by what they take: what each browser has,
    and `relaxed` SIMD, which newer ones have. None where there is no compiler."""
    if importlib.util.find_spec("ziglang"):
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-freestanding"]
        features = "-mcpu=generic+bulk_memory+simd128"
        return {"": [*zig, features], "relaxed": [*zig, f"{features}+relaxed_simd"]}
    clang = ["clang", "--target=wasm32", "-mbulk-memory", "-msimd128"]
    commands = {"": clang, "relaxed": [*clang, "-mrelaxed-simd"]}
    if not shutil.which("clang"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text("int one(void) { return 1; }\n")
        call = [*commands["relaxed"], *WASM, str(source), "-o", f"{source}.wasm"]
        return None if _run(call) else commands


def engine_sources(root: Path) -> list[Path]:
    """What the engine of the tab is made of: its own sources, and those that it shares."""
    kernels = root / KERNELS
    shared = (kernels / "learning" / "shared.txt").read_text(encoding="utf-8").split()
    own = (kernels / "learning").glob("*.[ch]")
    return sorted([*own, *(kernels / name for name in shared)])


def build_engine(root: Path, folder: Path) -> Path | None:
    """Compile the engine of the tab into `folder`; None where there is no compiler for it.

    It is the module for any browser, which has two sections of its own, that browsers pass over:
    `relaxed`, the same compiled for newer ones, and `sources`, what both were made of.
    """
    commands = wasm_compiler()
    if commands is None:
        return None
    sources = engine_sources(root)
    kernels = root / KERNELS
    inputs = [str(one.relative_to(kernels)) for one in sources if one.suffix == ".c"]
    made = folder / ENGINE
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        for name, command in commands.items():
            to = Path(beside, f"{name}.wasm")
            if problem := _run([*command, *WASM, *inputs, "-o", str(to.resolve())], kernels):
                print(f"kernels: {ENGINE} could not be made: {problem}", file=sys.stderr)
                made.unlink(missing_ok=True)
                return None
        said = zlib.crc32(b"".join(one.read_bytes() for one in sources))
        fresh, relaxed = Path(beside, ".wasm"), Path(beside, "relaxed.wasm").read_bytes()
        sections = _section("relaxed", relaxed) + _section("sources", said.to_bytes(4, "little"))
        fresh.write_bytes(fresh.read_bytes() + sections)
        fresh.chmod(0o644)
        fresh.replace(made)
    return made


def _section(name: str, data: bytes) -> bytes:
    """A section of one's own of a WebAssembly module."""
    inside, length = bytes([len(name)]) + name.encode() + data, b""
    left = len(inside)
    while left > 127:  # LEB128
        length, left = length + bytes([left & 127 | 128]), left >> 7
    return b"\0" + length + bytes([left]) + inside


def _make(command: list[str], flags: list[str], sources: list[Path], library: Path) -> str:
    """A library under a running program must not change: the new one takes its place whole."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        fresh = Path(folder, library.name)
        problem = _compile(command, flags, sources, fresh)
        if "evex512" in problem:  # a Clang for which vectors of 512 bits are an extra of their own
            problem = _compile(command, [*flags, "-mevex512"], sources, fresh)
        if "unknown CPU" in problem:  # Zig is told a processor and what else it has
            spelled = [flag.replace("-march=armv8.2-a", "-mcpu=generic") for flag in flags]
            problem = _compile(command, spelled, sources, fresh)
        if problem:
            library.unlink(missing_ok=True)
        else:
            fresh.replace(library)
    return problem


def _has_wheel_of_zig() -> bool:
    """Whether the package ziglang is there for this platform; elsewhere pip would give up."""
    known = ("x86_64", "amd64", "aarch64", "arm64")
    return sys.platform in ("linux", "darwin", "win32") and platform.machine().lower() in known


class KernelsBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc]
    """Puts the libraries beside their sources: in the wheel, or in place where it is editable."""

    def dependencies(self) -> list[str]:
        if os.environ.get(WHEEL):
            return [ZIG]
        if os.environ.get("CC") or not _has_wheel_of_zig():
            return []
        return [] if compiler() and wasm_compiler() else [ZIG]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        tag = os.environ.get(WHEEL, "")
        if version == "editable":
            made, tag = build(root, root / KERNELS), ""
            build_engine(root, root / KERNELS)
        else:
            self.folder = tempfile.TemporaryDirectory()
            folder = Path(self.folder.name)
            made = _build_for(tag, root, folder) if tag else build(root, folder)
            engine = build_engine(root, folder)
            if tag and not engine:
                raise RuntimeError(f"{tag}: not made: {ENGINE}")
            inside = Path(*KERNELS.parts[1:])
            files = [*made, *([engine] if engine else [])]
            build_data["force_include"] |= {str(one): str(inside / one.name) for one in files}
        if made:
            tag = tag or sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data |= {"pure_python": False, "tag": f"py3-none-{tag}"}


def _build_for(tag: str, root: Path, folder: Path) -> list[Path]:
    """The libraries of one of `WHEELS`, all that its processors have use for."""
    if tag not in WHEELS:
        raise ValueError(f"{WHEEL}: {tag!r} is none of {', '.join(WHEELS)}")
    if not (target := WHEELS[tag]):
        return []
    made = build(root, folder, target)
    if missing := builds(*names_of(target)).keys() - {one.stem for one in made}:
        raise RuntimeError(f"{tag}: not made: {', '.join(sorted(missing))}")
    return made


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    names = [library.stem for library in build(here, here / KERNELS)]
    if engine := build_engine(here, here / KERNELS):
        names.append(engine.name)
    else:
        print("not made:", ENGINE, "(install the package ziglang)", file=sys.stderr)
    if not names:
        sys.exit("none was made: set CC, or install a C compiler or the package ziglang")
    print("made:", *names)
