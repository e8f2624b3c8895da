"""Checks what `release/wheels.py` built, without running it.

    python release/check.py dist

Names, tags and RECORD; of each compiled library its format, its processor, the oldest system that
it runs on, what it needs of it and what it exports; that the engine of the browser's tab is there
and whole; what auditwheel and twine say. With `--again`, that the wheels come out the same, byte
for byte, when they are built once more.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path, PurePosixPath

import lief
from packaging.utils import parse_wheel_filename

from wheels import hatch_build, make_wheels

lief.logging.disable()  # what it says of a table that isn't there is nothing wrong
LIBRARIES = (".so", ".dylib", ".dll")
MACHINES = {
    "x86_64": ("X86_64", "AMD64"),
    "aarch64": ("AARCH64", "ARM64"),
    "arm": ("ARM",),
}
"""What a library's header calls a processor."""
NEEDS = {
    "manylinux": r"libc\.so\.6",
    "musllinux": r"(?!)",  # nothing: the program that loads them has the C library
    "macosx": r"/usr/lib/libSystem\.B\.dylib",
    "win": r"KERNEL32\.dll|api-ms-win-crt-\w+-l1-1-0\.dll",  # Windows 10 has the C library
}
"""All that the libraries of a platform may be linked with."""
IMPORTS = {"malloc", "free", "memcpy", "memset", "strcmp", "getauxval"}
"""All that the libraries may ask a Linux system for."""


def problems_of_wheel(wheel: Path) -> list[str]:
    """What is wrong with a wheel, a line each."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    _, version, _, tags = parse_wheel_filename(wheel.name)
    (tag,) = tags
    if tag.platform not in hatch_build.WHEELS:
        return [f"{tag.platform} is none of {', '.join(hatch_build.WHEELS)}"]
    found = [*_record(files, f"textwright-{version}.dist-info")]
    said = message_from_bytes(files[f"textwright-{version}.dist-info/WHEEL"])
    target = hatch_build.WHEELS[tag.platform]
    expected = [str(tag)], "false" if target else "true"
    if (said.get_all("Tag"), said["Root-Is-Purelib"]) != expected:
        found.append(f"WHEEL says {said.items()}")
    machine, system = hatch_build.names_of(target)
    names = hatch_build.builds(machine, system) if target else {}
    wanted = {f"{name}{hatch_build.SUFFIX.get(system, '.so')}" for name in names}
    inside = {name: data for name, data in files.items() if name.endswith(LIBRARIES)}
    if {PurePosixPath(name).name for name in inside} != wanted:
        found.append(f"has {sorted(inside)} and not {sorted(wanted)}")
    functions = exported_functions(files)
    engine = files.get(f"textwright/kernels/{hatch_build.ENGINE}", b"")
    found += [f"{hatch_build.ENGINE}: {one}" for one in problems_of_engine(engine)]
    for name, data in inside.items():
        found += [f"{name}: {one}" for one in problems_of_library(data, tag.platform, functions)]
    return found


def _record(files: dict[str, bytes], folder: str) -> Iterator[str]:
    """Whether RECORD has every file, and each as it is."""
    own = f"{folder}/RECORD"
    recorded = {}
    for name, digest, size in csv.reader(io.StringIO(files[own].decode())):
        recorded[name] = digest, size
    if recorded.keys() != files.keys():
        yield f"RECORD and the archive differ in {sorted(recorded.keys() ^ files.keys())}"
    for name in recorded.keys() & files.keys() - {own}:
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=")
        if recorded[name] != (f"sha256={digest.decode()}", str(len(files[name]))):
            yield f"RECORD is wrong about {name}"


def exported_functions(files: dict[str, bytes]) -> set[str]:
    """The functions that the C sources in a wheel export: those that its Python code loads."""
    folder = "textwright/kernels/learning/"  # the engine of the tab, which is no library
    sources = [data.decode() for name, data in files.items()
               if name.endswith(".c") and not name.startswith(folder)]  # fmt: skip
    names = {name for text in sources for name in re.findall(r"^EXPORT [^(]*?(\w+)\(", text, re.M)}
    code = b"\n".join(data for name, data in files.items() if name.endswith(".py")).decode()
    return {name for name in names if re.search(rf"\blibrary\.{name}\b|[\"']{name}[\"']", code)}


def problems_of_engine(data: bytes) -> Iterator[str]:
    """What is wrong with the engine that trains in a browser's tab, a WebAssembly module."""
    if not data.startswith(b"\0asm\1\0\0\0"):
        yield "is no WebAssembly module"
        return
    kinds, at = set(), 8
    while at < len(data):  # a section: its kind, its length, and what is in it
        kind, length, shift = data[at], 0, 0
        while True:
            at += 1
            length |= (data[at] & 127) << shift
            shift += 7
            if data[at] < 128:
                break
        kinds.add(kind)
        at += 1 + length
    if at != len(data):
        yield "is cut short"
    if 2 in kinds:
        yield "imports something, where it has to run by itself"
    if not {5, 7, 10} <= kinds:
        yield "lacks its memory, its exports or its code"


def problems_of_library(data: bytes, tag: str, functions: set[str]) -> Iterator[str]:
    """What is wrong with a compiled library.

    Args:
        data: the library.
        tag: the platform of its wheel.
        functions: what it has to export, and nothing else.
    """
    library = lief.parse(io.BytesIO(data))
    machine, system = hatch_build.names_of(hatch_build.WHEELS[tag])
    kinds = {"linux": lief.ELF.Binary, "darwin": lief.MachO.Binary, "win32": lief.PE.Binary}
    if not isinstance(library, kinds[system]):
        yield f"is no library of {system}"
        return
    if isinstance(library, lief.ELF.Binary):
        built_for, needs = library.header.machine_type, library.libraries
        exports = [str(symbol.name) for symbol in library.exported_symbols]
        yield from _problems_of_elf(library, tag)
    elif isinstance(library, lief.MachO.Binary):
        built_for = library.header.cpu_type
        needs = [one.name for one in library.libraries if one.command != _ID]
        exports = [one.symbol.name.removeprefix("_") for one in library.dyld_info.exports]
        exports = [name for name in exports if name not in ("_mh_dylib_header", "__dso_handle")]
        yield from _problems_of_macho(library, tag)
    else:
        built_for, needs = library.header.machine, [one.name for one in library.imports]
        exports = [one.name for one in library.get_export().entries]
        yield from _problems_of_pe(library)
    if built_for.name not in MACHINES[machine]:
        yield f"is for {built_for.name}, not {machine}"
    (allowed,) = (pattern for start, pattern in NEEDS.items() if tag.startswith(start))
    if strange := [name for name in needs if not re.fullmatch(allowed, name)]:
        yield f"needs {', '.join(strange)}"
    if set(exports) != functions:
        yield f"exports {sorted(exports)} and not {sorted(functions)}"


_ID = lief.MachO.LoadCommand.TYPE.ID_DYLIB


def _problems_of_elf(library: lief.ELF.Binary, tag: str) -> Iterator[str]:
    limit = tuple(map(int, re.findall(r"\d+", tag)[:2]))
    for required in library.symbols_version_requirement:
        for version in required.get_auxiliary_symbols():
            number = re.fullmatch(r"GLIBC_([\d.]+)", version.name)
            if number is None or tuple(map(int, number[1].split("."))) > limit:
                yield f"needs {version.name}, which {tag} doesn't promise"
    asked = {str(symbol.name) for symbol in library.imported_symbols if symbol.name}
    if not asked <= IMPORTS:
        yield f"asks the system for {', '.join(sorted(asked - IMPORTS))}"
    for kind in ("RPATH", "RUNPATH", "RELR"):  # the last: addresses that older systems leave out
        if library.has(lief.ELF.DynamicEntry.TAG[kind]):
            yield f"has {kind} in its dynamic section"
    stack = library.get(lief.ELF.Segment.TYPE.GNU_STACK)
    if stack is None or stack.has(lief.ELF.Segment.FLAGS.X):
        yield "has an executable stack"


def _problems_of_macho(library: lief.MachO.Binary, tag: str) -> Iterator[str]:
    oldest = [int(number) for number in re.findall(r"\d+", tag)[:2]]
    version = library.build_version.minos if library.has_build_version else None
    version = library.version_min.version if library.has_version_min else version
    if version is None or list(version)[:2] != oldest:
        yield f"is for macOS {version}, not {oldest}"
    if tag.endswith("arm64") and not library.has_code_signature:
        yield "has no signature, without which Apple's processors run nothing"
    (own,) = (one.name for one in library.libraries if one.command == _ID)
    if not own.startswith("@rpath/"):
        yield f"says that it lies at {own}"


def _problems_of_pe(library: lief.PE.Binary) -> Iterator[str]:
    kind = lief.PE.OptionalHeader.DLL_CHARACTERISTICS
    for needed in (kind.DYNAMIC_BASE, kind.NX_COMPAT):
        if not library.optional_header.has(needed):
            yield f"lacks {needed.name}"
    if any(isinstance(entry, lief.PE.CodeViewPDB) for entry in library.debug):
        yield "names the folder that it was made in"


def problem_by_auditwheel(wheel: Path) -> str:
    """What auditwheel has against a wheel's tag, for those of Linux."""
    call = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    tag = wheel.stem.rpartition("-")[2]
    said = " ".join(done.stdout.split())
    agrees = done.returncode == 0 and f'following platform tag: "{tag}"' in said
    return "" if agrees else f"auditwheel: {said or done.stderr.strip().splitlines()[-1]}"


def problems_of(folder: Path) -> Iterator[str]:
    """What is wrong with all that lies in a folder."""
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        yield f"no wheel is in {folder}: make wheels"
        return
    for wheel in wheels:
        for problem in problems_of_wheel(wheel):
            yield f"{wheel.name}: {problem}"
        if "linux" in wheel.name and (problem := problem_by_auditwheel(wheel)):
            yield f"{wheel.name}: {problem}"
    call = [sys.executable, "-m", "twine", "check", "--strict", *map(str, folder.iterdir())]
    if (done := subprocess.run(call, capture_output=True, text=True, check=False)).returncode:
        yield f"twine: {done.stdout}{done.stderr}"


def unlike_when_built_again(folder: Path) -> Iterator[str]:
    """The wheels of a folder that come out otherwise elsewhere, with nothing left from before."""
    (archive,) = folder.glob("textwright-*.tar.gz")
    wheels = {wheel.name: wheel.stem.rpartition("-")[2] for wheel in folder.glob("*.whl")}
    with tempfile.TemporaryDirectory() as elsewhere:
        caches = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
        empty = {name: str(Path(elsewhere, "cache")) for name in caches}
        for again in make_wheels(archive, Path(elsewhere, "dist"), wheels.values(), **empty):
            if again.read_bytes() != (folder / again.name).read_bytes():
                yield f"{again.name}: other bytes when it is built again"


def main() -> None:
    """Check a folder; exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--again", action="store_true", help="build them once more, and compare")
    chosen = parser.parse_args()
    folder = chosen.folder
    found = list(problems_of(folder))
    if chosen.again and not found:
        found += unlike_when_built_again(folder)
    print(*found, sep="\n") if found else print(
        f"{len(list(folder.glob('*.whl')))} wheels are well"
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
