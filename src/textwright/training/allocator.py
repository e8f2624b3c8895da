"""Keeping freed memory for the next step, where the C library gives it back too eagerly.

Every step frees and asks for the same large tensors. glibc returns blocks above a threshold to
the system at once, and the system hands them out again page by page, cleared: for an LSTM that is
a quarter of the processor time. With the threshold raised they are simply used again.
"""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
_LARGEST_MMAP_THRESHOLD = 1 << 25  # the most that glibc takes


def keep_freed_memory() -> None:
    """Set glibc's thresholds for this process; on other systems there is nothing to set."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    mallopt(_M_TRIM_THRESHOLD, 1 << 30)
