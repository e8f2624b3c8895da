"""The kernels on emulated processors: ARM with and without products of bytes, x86 before AVX."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import emulated
import pytest

from published import the_wheel
from textwright.kernels import available

pytestmark = pytest.mark.slow

REQUEST = ("20", "shakespeare", "sherlock-holmes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Path:
    """What the emulated ARM processors run: a wheel that is made for other tests too, whose
    libraries take the C library of whoever loads them."""
    if platform.machine() != "x86_64" or not available()[0]:
        pytest.skip("is for Linux on x86-64, with compiled kernels")
    if not shutil.which("qemu-aarch64") or not shutil.which("apt-get"):
        pytest.skip("needs QEMU and Debian's packages: apt-get install qemu-user")
    made = tmp_path_factory.mktemp("emulated")
    emulated.prepare(made, the_wheel(published, "musllinux_1_2_aarch64"))
    return made


@pytest.fixture(scope="module")
def here() -> emulated.Report:
    """What this processor computes."""
    return emulated.native(available()[0][0], *REQUEST)


@pytest.mark.parametrize(
    ("machine", "processor", "build"),
    [
        ("aarch64", "cortex-a53", "baseline"),
        ("aarch64", "neoverse-n1", "dotprod"),
        ("x86_64", "Nehalem", "baseline"),
    ],
)
def test_logits_and_texts_are_those_of_this_processor(
    machine: str, processor: str, build: str, folder: Path, here: emulated.Report
) -> None:
    report = emulated.emulated(folder, machine, processor, *REQUEST)
    assert (report["machine"], report["kernels"]) == (machine, build)
    assert len(report["golden"]["float32"]) == len(list(emulated.GOLDEN.glob("*/vectors.json")))
    assert emulated.problems(report, here) == []
