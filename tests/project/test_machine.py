"""What a process may use of a machine: control groups as Linux lays them out, and real ones."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from textwright import machine

MANY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
GIB = 1 << 30
WHOLE = machine._installed_memory() or 0
"""Of memory in the machine itself."""

VERSION_1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
34 31 0:31 {root} /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
"""
VERSION_2 = "29 23 0:26 {root} {point} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def lay_out(system: Path, own: str, mounts: str, limits: dict[str, str]) -> Path:
    """A file system's root with a process' control groups and their files."""
    (system / "proc/self").mkdir(parents=True)
    (system / "proc/self/cgroup").write_text(own, encoding="utf-8")
    (system / "proc/self/mountinfo").write_text(mounts, encoding="utf-8")
    for name, text in limits.items():
        file = system / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
    return system


def version_2(system: Path, own: str, root: str = "/", **limits: str) -> Path:
    """`limits`: the path of a file, with `__` for `/` and `_` for the dot."""
    files = {name.replace("__", "/").replace("_", "."): text for name, text in limits.items()}
    point = "/sys/fs/cgroup"
    return lay_out(system, f"0::{own}\n", VERSION_2.format(root=root, point=point), files)


def test_without_control_groups_it_is_the_whole_machine(tmp_path: Path) -> None:
    assert machine.cores(tmp_path) == MANY
    assert machine.memory(tmp_path) == WHOLE > GIB // 4


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 999), ("100000 100000", 1), ("50000 100000", 1), ("110000 100000", 2),
     ("1250 10000", 1), ("99900000 100000", 999), ("", 999), ("max", 999), ("0 100000", 999)],
)  # fmt: skip
def test_a_quota_of_processor_time(tmp_path: Path, quota: str, cores: int) -> None:
    assert machine.cores(version_2(tmp_path, "/job", job__cpu_max=quota)) == min(cores, MANY)


def test_of_nested_groups_the_tightest_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_processors", lambda: 64)
    monkeypatch.setattr(machine, "_installed_memory", lambda: 64 * GIB)
    system = version_2(
        tmp_path, "/kube/pod/job",
        cpu_max="max 100000", kube__cpu_max="800000 100000", kube__pod__cpu_max="150000 50000",
        kube__pod__job__cpu_max="max 100000", other__cpu_max="10000 100000",
        kube__memory_max=f"{4 * GIB}", kube__pod__memory_max=f"{6 * GIB}",
        kube__pod__job__memory_max="max", other__memory_max="1000",
    )  # fmt: skip
    assert machine.cores(system) == 3
    assert machine.memory(system) == 4 * GIB
    soft = system / "sys/fs/cgroup/kube/pod/memory.high"
    soft.write_text(f"{3 * GIB}\n", encoding="utf-8")
    assert machine.memory(system) == 3 * GIB


def test_a_limit_above_what_there_is_changes_nothing(tmp_path: Path) -> None:
    system = version_2(tmp_path, "/", cpu_max="9990000 10000", memory_max=str(WHOLE * 2))
    assert (machine.cores(system), machine.memory(system)) == (MANY, WHOLE)


@pytest.mark.parametrize(
    ("own", "root"),
    [("/", "/"), ("/docker/4f", "/docker/4f"), ("/../../other", "/"), ("/docker/4f", "/elsewhere")],
)
def test_a_container_that_sees_its_own_group_as_the_top(
    tmp_path: Path, own: str, root: str
) -> None:
    system = version_2(tmp_path, own, root, cpu_max="100000 100000", memory_max="1000000")
    assert (machine.cores(system), machine.memory(system)) == (1, 1_000_000)


def test_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_processors", lambda: 64)
    own = "12:cpu,cpuacct:/docker/4f/a b\n4:memory:/docker/4f\n3:cpuset:/\n0::/\n"
    limits = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/docker/cpu.cfs_quota_us": "400000",
        "cpu,cpuacct/docker/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/docker/4f/a b/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/docker/4f/a b/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/docker/memory.limit_in_bytes": f"{GIB // 4}",
        "memory/docker/4f/memory.limit_in_bytes": f"{GIB // 8}",
        "memory/other/memory.limit_in_bytes": "4096",
    }
    system = lay_out(tmp_path, own, VERSION_1.format(root="/"), limits)
    assert (machine.cores(system), machine.memory(system)) == (3, GIB // 8)
    # A group that a container can't see is told of in this one's statistics
    statistics = f"cache 0\nhierarchical_memory_limit {GIB // 16}\nhierarchical_memsw_limit 5\n"
    file = system / "sys/fs/cgroup/memory/docker/4f/memory.stat"
    file.write_text(statistics, encoding="utf-8")
    assert machine.memory(system) == GIB // 16


def test_both_versions_at_once_and_a_mount_with_blanks_in_its_name(tmp_path: Path) -> None:
    mounts = VERSION_1.format(root="/") + VERSION_2.format(root="/", point=r"/sys/fs/cgroup/a\040b")
    limits = {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "a b/job/memory.max": "123456"}
    system = lay_out(tmp_path, "4:memory:/\n0::/job\n", mounts, limits)
    assert (machine.cores(system), machine.memory(system)) == (MANY, 123_456)


@pytest.mark.parametrize(
    "text", ["", "\n", "nonsense", "1:cpu", "1 2 - cgroup2", "a - cgroup x cpu"]
)
def test_files_in_another_form_limit_nothing(tmp_path: Path, text: str) -> None:
    system = lay_out(tmp_path, text, text, {})
    assert (machine.cores(system), machine.memory(system)) == (MANY, WHOLE)


def test_cores_are_those_a_process_may_run_on(tmp_path: Path) -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("only Linux lets a process choose its processors")
    code = (
        "import os; from textwright import machine\n"
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(machine.cores())"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "1\n"


def test_limits_of_a_real_control_group_hold() -> None:
    """A process that is put into control groups of its own is told what they allow."""
    within = (
        "import os, sys; from textwright import machine\n"
        "for group in sys.argv[1:]: open(f'{group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "print(machine.cores(), machine.memory())"
    )
    tight = {"cpu.max": "60000 100000", "cpu.cfs_quota_us": "60000", "memory.max": f"{GIB}",
             "memory.limit_in_bytes": f"{GIB}"}  # fmt: skip
    with ExitStack() as stack:
        made = [stack.enter_context(group(controller)) for controller in ("cpu", "memory")]
        for folder in made:
            written = [(folder / name).write_text(text)
                       for name, text in tight.items() if (folder / name).exists()]  # fmt: skip
            if not written:
                pytest.skip("groups below the outermost can't have limits here")
        words = [sys.executable, "-c", within, *map(str, made)]
        said = subprocess.run(words, check=True, capture_output=True, text=True)
        assert said.stdout == f"1 {GIB}\n"


@contextmanager
def group(controller: str) -> Iterator[Path]:
    """A group for as long as this lasts, within the test's own."""
    parent = next(machine._groups(controller, Path("/")), None)
    folder = None if parent is None else parent / f"textwright-{os.getpid()}"
    try:
        if folder is not None:
            folder.mkdir(exist_ok=True)  # one for both controllers, in version 2
    except OSError:
        folder = None
    if folder is None:
        pytest.skip("no control group can be made here")
    try:
        yield folder
    finally:
        with suppress(FileNotFoundError):
            folder.rmdir()


def test_what_is_told_is_whole_numbers_above_zero() -> None:
    assert 1 <= machine.cores() <= MANY
    told = machine.memory()
    assert told is None or (0 < told <= WHOLE and math.floor(told) == told)
