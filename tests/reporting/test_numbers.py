"""Numbers as people read them, at the edges between two units."""

from __future__ import annotations

from textwright.reporting import numbers


def test_an_hour_is_an_hour() -> None:
    assert [numbers.duration(n) for n in (59.4, 60, 3599, 3600)] == [
        "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min",
    ]  # fmt: skip


def test_a_perplexity_of_a_thousand_has_no_decimals() -> None:
    assert [numbers.perplexity(n) for n in (99.994, 100, 999.9, 1000.4)] == [
        "99.99", "100.0", "999.9", "1,000",
    ]  # fmt: skip
