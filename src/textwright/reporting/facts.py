"""The facts of a run as (label, value) rows: text, model, settings, machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textwright.reporting import numbers
from textwright.reporting.summary import RunSummary, number


def facts(summary: RunSummary) -> list[tuple[str, list[tuple[str, str]]]]:
    """(title, rows) of each group: text, machine, and each section of settings."""
    settings = summary.settings()
    groups = [
        (title, [
            (name.removeprefix(f"{section}."), _format(value))
            for name, value in settings.items()
            if name.startswith(f"{section}.")
        ])
        for section, title in (
            ("model", "Model"), ("tokenizer", "Tokenizer"), ("corpus", "Corpus"),
            ("training", "Training"), ("sampling", "Sampling"),
        )
    ]  # fmt: skip
    if summary.parameters:
        groups[0][1].insert(0, ("parameters", numbers.whole(summary.parameters)))
    # The longest last, so that two columns are about equal
    return [("Text", text_facts(summary)), *groups[:3], ("Machine", _machine(summary)), *groups[3:]]


def text_facts(summary: RunSummary) -> list[tuple[str, str]]:
    """The rows about the text: name, licence, split, sha256, each source."""
    data = summary.section("data")
    rows = [
        ("name", data.get("name")),
        ("licence", data.get("licence")),
        ("sha256", data.get("sha256")),
        ("validation", _split(summary)),
        ("training characters", _count(data, "train_characters")),
        ("validation characters", _count(data, "validation_characters")),
        ("training tokens", _count(data, "train_tokens")),
        ("validation tokens", _count(data, "validation_tokens")),
        ("vocabulary", _count(data, "vocab_size")),
        ("evaluated on", summary.protocol),
    ]
    for source in as_list(data.get("sources")):
        if isinstance(source, dict):
            parts = (
                source.get("address"),
                numbers.size(size) if (size := number(source, "bytes")) is not None else None,
                source.get("encoding"),
                source.get("licence"),
                f"sha256 {source['sha256']}" if source.get("sha256") else None,
            )
            rows.append(("source", ", ".join(str(part) for part in parts if part)))
    if summary.parent:
        rows.append(("began as", _with_sha256(summary.section("parent"))))
        rows += [("read before", _with_sha256(text)) for text in summary.parent_texts]
        if not summary.parent_texts:
            rows.append(("read before", "what it doesn't say"))
    return [(label, str(value)) for label, value in rows if value]


def _with_sha256(what: Mapping[str, Any]) -> str:
    """Name, licence and sha256 of a parent or of its text."""
    sha256 = f"sha256 {what['sha256']}" if what.get("sha256") else None
    return ", ".join(str(part) for part in (what.get("name"), what.get("licence"), sha256) if part)


def _split(summary: RunSummary) -> str | None:
    """Which text was held out for validation."""
    settings, data = summary.section("corpus"), summary.section("data")
    if settings.get("validation"):
        return str(settings["validation"])
    fraction = number(settings, "validation_fraction")
    if fraction is None:
        return None
    train, held_out = number(data, "train_conversations"), number(data, "validation_conversations")
    if train and held_out:
        requested = round(fraction * (train + held_out))
        # Duplicates stay together, so there may be some more
        is_drawn = requested <= held_out <= 1.1 * requested + 10
        by_hash = f"{held_out:,.0f} conversations, by their hashes"
        return by_hash if is_drawn else "its published split"
    train, validation = number(data, "train_characters"), number(data, "validation_characters")
    # A published split doesn't match the fraction
    if train and validation and abs(validation - fraction * (train + validation)) > 1:
        return "its published split"
    return f"the last {fraction:.0%}"


def _machine(summary: RunSummary) -> list[tuple[str, str]]:
    run = summary.section("run")
    excluded = ("name", "command")
    rows = [(key, _format(value)) for key, value in run.items() if key not in excluded]
    memory = number(summary.section("plan"), "memory_bytes")
    if memory is not None:
        rows.append(("memory planned", numbers.size(memory)))
    return rows


def _count(table: Mapping[str, Any], name: str) -> str | None:
    value = number(table, name)
    return None if value is None else numbers.whole(value)


def as_list(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one, as of a damaged run.toml."""
    return value if isinstance(value, list) else []


def _format(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", []):
        return numbers.NONE
    if isinstance(value, list):
        return ", ".join(_format(item) for item in value)
    if isinstance(value, int) and abs(value) >= 10_000:
        return numbers.whole(value)
    return str(value)
