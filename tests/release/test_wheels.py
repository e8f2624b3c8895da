"""What is published: the wheels pass their checks, the checks find what is wrong, one runs here.

Three of the ten are built, one a format but for Windows's, whose C library Zig takes a minute to
make; `make wheels` builds and checks them all.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from packaging.requirements import Requirement

from published import BUILT, script, the_wheel
from small_models import random_weights, small_config
from textwright import kernels
from textwright.runtimes import load_runtime

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that checks them."""
    for name in ("lief", "auditwheel", "twine"):
        pytest.importorskip(name, reason=f"needs the package {name}")
    return script("check", monkeypatch)


def changed(wheel: Path, to: Path, *, name: str = "", **files: bytes | None) -> Path:
    """A copy of a wheel under another name, with other kernels in it, or without them (None)."""
    copy = to / (name or wheel.name)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(copy, "w") as new:
        for file in old.namelist():
            kernel = Path(file).stem if file.endswith((".so", ".dylib", ".wasm")) else ""
            data = files[kernel] if kernel in files else old.read(file)
            if data is not None:
                new.writestr(file, data)
    return copy


@pytest.mark.slow
def test_the_wheels_pass_every_check(published: Path, check: ModuleType) -> None:
    assert list(check.problems_of(published)) == []
    assert {wheel.stem.rpartition("-")[2] for wheel in published.glob("*.whl")} == set(BUILT)


@pytest.mark.slow
def test_the_archive_has_sources_alone(published: Path) -> None:
    (archive,) = published.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    assert any(name.endswith("/src/textwright/kernels/gpt.c") for name in names)
    assert not [name for name in names if name.endswith((".so", ".dylib", ".dll", ".wasm"))]


@pytest.mark.slow
def test_what_is_wrong_with_a_wheel_is_found(
    published: Path, check: ModuleType, tmp_path: Path
) -> None:
    linux, musl, mac = (the_wheel(published, tag) for tag in BUILT)
    with zipfile.ZipFile(mac) as archive:
        of_macos = archive.read("textwright/kernels/baseline.dylib")
    with zipfile.ZipFile(musl) as archive:
        for_arm = archive.read("textwright/kernels/baseline.so")
    problems = {
        "RECORD is wrong about textwright/kernels/avx2.so": {"avx2": for_arm},
        "RECORD and the archive differ": {"avx2": None},
        "and not ['avx2.so', 'avx512.so', 'avxvnni.so', 'baseline.so']": {"avx2": None},
        "baseline.so: is no library of linux": {"baseline": of_macos},
        "learning.wasm: is no WebAssembly module": {"learning": None},
        "baseline.so: is for AARCH64, not x86_64": {"baseline": for_arm},
    }
    for expected, files in problems.items():
        found = check.problems_of_wheel(changed(linux, tmp_path, **files))
        assert any(expected in problem for problem in found), found
    renamed = changed(linux, tmp_path, name=linux.name.replace("x86_64", "aarch64"))
    assert any("WHEEL says" in problem for problem in check.problems_of_wheel(renamed))
    other = changed(linux, tmp_path, name=linux.name.replace("manylinux_2_17_x86_64", "linux_ppc"))
    assert "linux_ppc is none of" in check.problems_of_wheel(other)[0]


@pytest.mark.slow
def test_what_is_wrong_with_a_library_is_found(
    published: Path, check: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(the_wheel(published, BUILT[0])) as archive:
        linux = archive.read("textwright/kernels/baseline.so")
        functions = check.exported_functions(
            {name: archive.read(name) for name in archive.namelist()}
        )
    with zipfile.ZipFile(the_wheel(published, BUILT[2])) as archive:
        mac = archive.read("textwright/kernels/baseline.dylib")
    assert {"can_run", "made_of", "gpt_read", "recurrent_read", "transformer_read"} <= functions
    wheels = check.hatch_build.WHEELS
    monkeypatch.setitem(wheels, "manylinux_2_5_x86_64", wheels[BUILT[0]])
    monkeypatch.setitem(wheels, "macosx_10_9_arm64", wheels[BUILT[2]])
    for expected, data, tag, exported in [
        ("needs GLIBC_2.14, which manylinux_2_5_x86_64", linux, "manylinux_2_5_x86_64", functions),
        ("needs libc.so.6", linux, "musllinux_1_2_x86_64", functions),
        ("exports ['", linux, BUILT[0], functions - {"gpt_read"}),
        ("is for macOS [11, 0, 0], not [10, 9]", mac, "macosx_10_9_arm64", functions),
    ]:
        found = list(check.problems_of_library(data, tag, exported))
        assert any(problem.startswith(expected) for problem in found), found


@pytest.mark.slow
def test_built_again_a_wheel_has_the_same_bytes(
    published: Path, check: ModuleType, tmp_path: Path
) -> None:
    for file in (*published.glob("*.tar.gz"), the_wheel(published, BUILT[2])):
        shutil.copy(file, tmp_path)
    assert list(check.unlike_when_built_again(tmp_path)) == []


@pytest.mark.slow
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the wheel is for Linux, x86-64",
)
def test_a_wheel_runs_where_there_is_no_compiler(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Of textwright there is the wheel alone; what it needs is taken from this environment."""
    install = script("install", monkeypatch)
    variables = install.install(published, tmp_path / "environment")
    (packages,) = (tmp_path / "environment").rglob("site-packages")
    here = [folder for folder in sys.path if Path(folder).name == "site-packages"]
    (packages / "borrowed.pth").write_text("\n".join(here) + "\n")
    kernels = install.run(variables)
    assert kernels["name"] in kernels["available"] and "baseline" in kernels["available"]
    assert capfd.readouterr().out.startswith("ROMEO:\n")


@pytest.mark.slow
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the wheel is for Linux, x86-64",
)
def test_the_driver_has_a_library_read(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs kernels of other systems, on this one: in int8 every build has the same bits."""
    driver = script("drive", monkeypatch)
    sums = driver.drive(the_wheel(published, BUILT[0]), [])
    assert "baseline" in sums and {len(one) for one in sums.values()} == {6}
    assert len(set(sums["baseline"])) == 6
    assert {(one[2], one[5]) for one in sums.values()} == {tuple(sums["baseline"][2::3])}


@pytest.mark.slow
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the wheel is for Linux, x86-64",
)
def test_a_wheels_baseline_has_the_bits_of_the_systems_compiler(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zig makes it for any such processor, not for the one that it runs on."""
    config = small_config("lstm", hidden_size=[20, 12])
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", "baseline")
    here = load_runtime(config, random_weights(config), "float32")
    with zipfile.ZipFile(the_wheel(published, BUILT[0])) as archive:
        library = archive.read("textwright/kernels/baseline.so")
    (tmp_path / "baseline.so").write_bytes(library)
    monkeypatch.setattr(kernels, "FOLDER", tmp_path)
    kernels._choose.cache_clear()
    published_one = load_runtime(config, random_weights(config), "float32")
    kernels._choose.cache_clear()
    tokens = np.random.default_rng(1).integers(0, 40, 50)
    logits = [model(tokens, model.initial_state())[0] for model in (here, published_one)]
    np.testing.assert_array_equal(*logits)


def test_one_version_of_the_compiler() -> None:
    """A build asks for the version that the constraints have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(line) for line in project["optional-dependencies"]["release"]]
    (zig,) = (str(one) for one in asked if one.name == "ziglang")
    assert zig in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f'"{zig}"' in (ROOT / "hatch_build.py").read_text(encoding="utf-8")
