"""One thread for NumPy's matrix products while a model runs.

The products of a token are so small that passing them to threads takes longer than computing them:
a GPT of 0.8 M parameters runs six times slower on two threads than on one. And one thread adds up
in the same order whatever the number of cores.
"""

from __future__ import annotations

import functools
import threading
from contextlib import ContextDecorator
from dataclasses import dataclass, field

from threadpoolctl import LibController, ThreadpoolController  # type: ignore[import-untyped]


@dataclass(eq=False)
class _SingleThreaded(ContextDecorator):
    """Counts the calls in progress: the first sets the limit, the last restores the number.

    The number of threads belongs to the process, so concurrent calls that each restored what they
    found would leave it wrong.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _active: int = 0
    _before: list[int] = field(default_factory=list)

    @functools.cached_property
    def _libraries(self) -> list[LibController]:
        return list(ThreadpoolController().select(user_api="blas").lib_controllers)

    def __enter__(self) -> None:
        with self._lock:
            self._active += 1
            if self._active == 1:
                self._before = [library.num_threads for library in self._libraries]
                for library in self._libraries:
                    library.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._active -= 1
            if self._active == 0:
                for library, threads in zip(self._libraries, self._before, strict=True):
                    library.set_num_threads(threads)


single_threaded = _SingleThreaded()
"""Decorator: the function runs with NumPy's matrix products on one thread."""
