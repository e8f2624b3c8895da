"""What of this machine a process may use: cores and memory, also inside a container.

`os.cpu_count` and `sysconf` tell of the whole machine. A container, a systemd unit or a batch job
has a part of it: fewer processors (affinity), a quota of processor time, or a limit of memory.
Linux keeps quota and limit in control groups (cgroups, version 1 and 2), which nest; that of every
group around a process holds for it. Their paths are in `/proc/self/cgroup` and
`/proc/self/mountinfo`, see the manual page cgroups(7).
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_SYSTEM = Path("/")
_UNLIMITED = 1 << 60
"""Bytes that no machine has: version 1 writes its "no limit" as some number above this."""


_GROUP = re.compile(r"^(\d+):(.*?):(.*)$", re.M)
"""A line of /proc/self/cgroup: hierarchy, controllers (none in version 2), group."""
_MOUNT = re.compile(r"^\S+ \S+ \S+ (\S+) (\S+) .*- (cgroup2?) \S+ (\S+)$", re.M)
"""A line of /proc/self/mountinfo: which part of a hierarchy is seen, where, version, options."""


def cores(system: Path = _SYSTEM) -> int:
    """How many threads can compute at once in this process; at least 1.

    A quota of processor time counts as that many cores, rounded up: two threads can use one and a
    half cores, one can't.

    Args:
        system: the root of the file system that tells of control groups.
    """
    quotas = [math.ceil(quota) for quota in _quotas(system)]
    return max(1, min([_processors(), *quotas]))


def memory(system: Path = _SYSTEM) -> int | None:
    """Bytes of memory that this process may have at most; None where nobody says.

    Args:
        system: as for `cores`.
    """
    whole = _installed_memory()
    return min([*([] if whole is None else [whole]), *_memory_limits(system)], default=None)


def _processors() -> int:
    """Processors that the scheduler may run this process on."""
    found: int | None
    if sys.version_info >= (3, 13):
        found = os.process_cpu_count()  # heeds -X cpu_count and PYTHON_CPU_COUNT too
    elif hasattr(os, "sched_getaffinity"):
        found = len(os.sched_getaffinity(0))
    else:
        found = os.cpu_count()
    return _affinity_on_windows() or found or 1


def _affinity_on_windows() -> int:
    """As the affinity mask of this process counts them; 0 elsewhere, and where it has none."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.GetProcessAffinityMask.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        own, machine = ctypes.c_size_t(), ctypes.c_size_t()
        masks = ctypes.byref(own), ctypes.byref(machine)
        # With more than 64 processors a process has none, or one that covers only their first 64
        if kernel.GetProcessAffinityMask(kernel.GetCurrentProcess(), *masks):
            return own.value.bit_count() if own.value != machine.value else 0
    return 0


def _installed_memory() -> int | None:
    """Bytes of memory of the machine."""
    if sys.platform == "win32":
        return _memory_of_windows()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _memory_of_macos() if sys.platform == "darwin" else None


def _memory_of_windows() -> int | None:
    # MEMORYSTATUSEX: its own size, the load in percent, then seven counts, the first all there is
    class Status(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint32), ("load", ctypes.c_uint32),
                    ("total", ctypes.c_uint64), ("others", ctypes.c_uint64 * 6))  # fmt: skip

    if sys.platform == "win32":
        status = Status(size=ctypes.sizeof(Status))
        if ctypes.WinDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(status)):
            return int(status.total)
    return None


def _memory_of_macos() -> int | None:
    found = ctypes.c_uint64()
    size = ctypes.c_size_t(ctypes.sizeof(found))
    sysctl = ctypes.CDLL(None).sysctlbyname
    failed = sysctl(b"hw.memsize", ctypes.byref(found), ctypes.byref(size), None, ctypes.c_size_t())
    return None if failed else found.value


def _quotas(system: Path) -> Iterator[float]:
    """Cores' worth of processor time that each group allows."""
    for group in _groups("cpu", system):
        allowed, _, period = _read(group / "cpu.max").partition(" ")
        if not allowed:  # version 1; -1 is no quota
            allowed = _read(group / "cpu.cfs_quota_us")
            period = _read(group / "cpu.cfs_period_us")
        if allowed.isdecimal() and period.isdecimal() and int(allowed) and int(period):
            yield int(allowed) / int(period)


def _memory_limits(system: Path) -> Iterator[int]:
    """Bytes that each group allows."""
    for group in _groups("memory", system):
        # From memory.high on a group is slowed down so much that nothing is gained above it
        read = [_read(group / name) for name in ("memory.max", "memory.high",
                                                 "memory.limit_in_bytes")]  # fmt: skip
        # Version 1 tells here of groups that a container can't see
        read += re.findall(r"^hierarchical_memory_limit (\d+)$", _read(group / "memory.stat"), re.M)
        yield from (int(limit) for limit in read if limit.isdecimal() and int(limit) < _UNLIMITED)


def _groups(controller: str, system: Path) -> Iterator[Path]:
    """The folder of this process' group and those around it, in either version."""
    paths: dict[str, str] = {}
    for _, controllers, path in _GROUP.findall(_read(system / "proc/self/cgroup")):
        paths |= dict.fromkeys(controllers.split(","), path)
    for root, point, kind, options in _MOUNT.findall(_read(system / "proc/self/mountinfo")):
        name = "" if kind == "cgroup2" else controller
        if name in paths and (kind == "cgroup2" or controller in options.split(",")):
            below = _below(paths[name], _unescaped(root))
            top = system / _unescaped(point).lstrip("/")
            yield from (top / folder for folder in (below, *below.parents))


def _below(path: str, root: str) -> PurePosixPath:
    """The path of a group in a mount of `root`; of a group outside it, the top of the mount."""
    group = PurePosixPath(path)
    if ".." in group.parts or not group.is_relative_to(root):
        return PurePosixPath()
    return group.relative_to(root)


def _unescaped(field: str) -> str:
    """Blanks and the like are `\\040` in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return ""
