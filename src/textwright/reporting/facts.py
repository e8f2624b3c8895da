"""What went into a run, as rows of a label and a value: text, model, settings, machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textwright.reporting import numbers
from textwright.reporting.summary import RunSummary, number


def facts(summary: RunSummary) -> list[tuple[str, list[tuple[str, str]]]]:
    """(title, rows) of every group: text, machine, and each section of settings."""
    settings = summary.settings()
    groups = [
        (title, [
            (name.removeprefix(f"{section}."), _shown(value))
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
    # The longest last: two columns come out about equal.
    return [("Text", text_facts(summary)), *groups[:3], ("Machine", _machine(summary)), *groups[3:]]


def text_facts(summary: RunSummary) -> list[tuple[str, str]]:
    """What is known of the text: name, licence, split, sha256, each source."""
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
            known = (
                source.get("address"),
                numbers.size(size) if (size := number(source, "bytes")) is not None else None,
                source.get("encoding"),
                source.get("licence"),
                f"sha256 {source['sha256']}" if source.get("sha256") else None,
            )
            rows.append(("source", ", ".join(str(part) for part in known if part)))
    if summary.parent:
        rows.append(("began as", _with_sha256(summary.section("parent"))))
        rows += [("read before", _with_sha256(text)) for text in summary.texts_before]
        if not summary.texts_before:
            rows.append(("read before", "what it doesn't say"))
    return [(label, str(value)) for label, value in rows if value]


def _with_sha256(what: Mapping[str, Any]) -> str:
    """A model or a text that came before: its name, licence and hash."""
    sha256 = f"sha256 {what['sha256']}" if what.get("sha256") else None
    return ", ".join(str(part) for part in (what.get("name"), what.get("licence"), sha256) if part)


def _split(summary: RunSummary) -> str | None:
    """Which text was kept for validation."""
    settings, data = summary.section("corpus"), summary.section("data")
    if settings.get("validation"):
        return str(settings["validation"])
    fraction = number(settings, "validation_fraction")
    if fraction is None:
        return None
    talks, apart = number(data, "train_conversations"), number(data, "validation_conversations")
    if talks and apart:
        asked = round(fraction * (talks + apart))
        # the same ones stay together, so that it may be some more
        drawn = asked <= apart <= 1.1 * asked + 10
        return f"{apart:,.0f} conversations, by their hashes" if drawn else "its published split"
    train, validation = number(data, "train_characters"), number(data, "validation_characters")
    # a text that comes with a split of its own isn't cut where the setting says
    if train and validation and abs(validation - fraction * (train + validation)) > 1:
        return "its published split"
    return f"the last {fraction:.0%}"


def _machine(summary: RunSummary) -> list[tuple[str, str]]:
    run = summary.section("run")
    left_out = ("name", "command")
    rows = [(key, _shown(value)) for key, value in run.items() if key not in left_out]
    memory = number(summary.section("plan"), "memory_bytes")
    if memory is not None:
        rows.append(("memory planned", numbers.size(memory)))
    return rows


def _count(table: Mapping[str, Any], name: str) -> str | None:
    value = number(table, name)
    return None if value is None else numbers.whole(value)


def as_list(value: Any) -> list[Any]:
    """`value`, or nothing where a damaged run.toml has something else there."""
    return value if isinstance(value, list) else []


def _shown(value: Any) -> str:
    """A setting as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", []):
        return numbers.NONE
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, int) and abs(value) >= 10_000:
        return numbers.whole(value)
    return str(value)
