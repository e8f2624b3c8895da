"""NumPy's number of threads is what it was, after calls that overlap."""

from __future__ import annotations

from textwright.runtimes.threads import _SingleThreaded


class Library:
    num_threads = 7

    def set_num_threads(self, count: int) -> None:
        self.num_threads = count


def test_the_last_of_overlapping_calls_restores_the_number() -> None:
    limit, library = _SingleThreaded(), Library()
    limit.__dict__["_libraries"] = [library]
    with limit:
        with limit:
            assert library.num_threads == 1
        assert library.num_threads == 1
    assert library.num_threads == 7
