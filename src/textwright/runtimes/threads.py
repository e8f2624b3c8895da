"""One thread for NumPy's matrix products while a model runs.

The products of a token are so small that handing them to several threads takes longer than doing
them: a GPT of 0.8 M parameters runs six times slower on two threads than on one. And with one
thread the sums are added up in the same order on every number of cores.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from threadpoolctl import LibController, ThreadpoolController  # type: ignore[import-untyped]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _SingleThreaded:
    """Counts who is inside: the first sets the limit, the last one out takes it back.

    The number of threads belongs to the process, so nested or concurrent limits that each restore
    what they found would leave it wrong.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[int] = []

    @functools.cached_property
    def _libraries(self) -> list[LibController]:
        return list(ThreadpoolController().select(user_api="blas").lib_controllers)

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = [library.num_threads for library in self._libraries]
                for library in self._libraries:
                    library.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, threads in zip(self._libraries, self._before, strict=True):
                    library.set_num_threads(threads)


_LIMIT = _SingleThreaded()


def single_threaded(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """`function`, run while NumPy's matrix products take one thread each."""

    @functools.wraps(function)
    def limited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _LIMIT:
            return function(*args, **kwargs)

    return limited
