"""Keeping freed memory for the next step, where the C library gives it back too eagerly.

Every step frees and asks for the same large tensors. glibc maps large blocks from the system and
returns them at once, and the system hands them out again page by page, cleared: for an LSTM that is
a quarter of the processor time. Without such maps they are simply used again.
"""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Tell glibc so for this process; on other systems there is nothing to tell."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 1 << 30)
