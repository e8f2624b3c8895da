"""Some of what is published, made once for all tests that want it: Zig takes its time."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILT = ("manylinux_2_17_x86_64", "musllinux_1_2_aarch64", "macosx_11_0_arm64")


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of `release/`, as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "release"))
    spec = importlib.util.spec_from_file_location(f"release_{name}", ROOT / f"release/{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive of this checkout, and wheels made of it for `BUILT`."""
    for name in ("hatchling", "ziglang"):
        pytest.importorskip(name, reason=f"needs the package {name}")
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        wheels = script("wheels", patch)
        wheels.make_wheels(wheels.make_archive(folder), folder, BUILT)
    return folder


def the_wheel(folder: Path, tag: str) -> Path:
    (wheel,) = folder.glob(f"*-{tag}.whl")
    return wheel
