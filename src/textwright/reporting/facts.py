"""The facts of a run as (label, value) rows, and the commands that reproduce it."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from itertools import pairwise
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
    groups[3][1][:0] = _legs(summary)
    return [("Text", text_facts(summary)), *groups[:3], ("Machine", _machine(summary)), *groups[3:]]


def _legs(summary: RunSummary) -> list[tuple[str, str]]:
    """A row each of a training that was gone on with beyond its plan."""
    return [
        (
            f"leg {place}",
            f"step {numbers.whole(leg['begin'])} to {numbers.whole(number(leg, 'steps'))}"
            f" ({leg.get('asked')}), {str(leg.get('created'))[:10]}",
        )
        for place, leg in enumerate(summary.legs, 1)
    ]


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


_COUNTED = re.compile(r"--(steps|epochs)\b|training\.(steps|epochs)=")
"""Options that make a command plan the same steps on every machine."""

_HAS_OPTION = {
    "corpus.sources", "corpus.validation", "corpus.validation_fraction", "tokenizer.kind",
    "tokenizer.vocab_size", "tokenizer.lowercase", "training.steps", "training.epochs",
    "training.minutes", "training.seed", "training.eval_every", "training.checkpoint_every",
    "training.parent",
    "model.family", "model.vocab_size",
}  # fmt: skip
"""Settings that the exact command sets by an option of their own, or not at all."""

_NOT_INHERITED = "model.dropout"
"""The one setting of the model that its parent doesn't determine."""


def typed_command(summary: RunSummary) -> str | None:
    """The command as typed, from `run.toml`; None for a run that Python code started."""
    command = summary.section("run").get("command")
    if not command:
        return None
    try:
        program, *rest = shlex.split(str(command))
    except ValueError:  # an open quote
        return None
    # The path of the program is specific to the machine
    path = re.split(r"[/\\]", program)
    if path[-1] == "__main__.py":  # python -m textwright
        path.pop()
    if not path or path[-1].removesuffix(".exe") != "textwright":
        return None
    return shlex.join(["textwright", *rest])


def exact_command(summary: RunSummary) -> str | None:
    """A command with every setting that was in effect; None if too little is known. Of several legs
    it is the first one's, and None where one of them didn't come to its end.

    `--minutes` measures the machine, so plans other steps on another; this plans the same.
    """
    settings = summary.settings()
    plan = summary.section("plan")
    steps = number(plan, "steps") or settings.get("training.steps")
    if legs := summary.legs:
        if any(one.get("steps") != after["begin"] for one, after in pairwise(legs)):
            return None
        steps = number(legs[0], "steps")
        settings["model.dropout"] = legs[0].get("dropout")
    sources = settings.get("corpus.sources")
    if not steps or not isinstance(sources, list) or summary.family is None:
        return None
    words = ["textwright", "train", *(str(source) for source in sources)]
    words += _model_options(summary.family, settings)
    if settings.get("corpus.validation"):
        words += ["--val", str(settings["corpus.validation"])]
    elif settings.get("corpus.validation_fraction"):
        words += ["--val-fraction", str(settings["corpus.validation_fraction"])]
    words += ["--steps", str(int(steps))]
    for option in ("seed", "eval_every", "checkpoint_every"):
        value = plan.get(option) or settings.get(f"training.{option}")
        if value is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    for name, value in settings.items():
        if settings.get("training.parent") and name.startswith("model.") and name != _NOT_INHERITED:
            continue
        if name not in _HAS_OPTION and value is not None and value != "":
            words += ["--set", f"{name}={_as_toml(value)}"]
    return shlex.join(words)


def _model_options(family: str, settings: dict[str, Any]) -> list[str]:
    """The options that select model and tokenizer: `--from`, or those of each."""
    if settings.get("training.parent"):
        words = ["--from", str(settings["training.parent"])]
    else:
        words = ["--model", family, "--tokenizer", str(settings.get("tokenizer.kind", "char"))]
        if settings.get("tokenizer.lowercase"):
            words += ["--lowercase"]
    if settings.get("tokenizer.vocab_size"):
        words += ["--vocab-size", str(settings["tokenizer.vocab_size"])]
    return words


def commands(summary: RunSummary) -> list[tuple[str, str]]:
    """(description, command) of each that is worth showing, the best one first; then those that
    went on beyond the plan."""
    return [*_beginnings(summary), *_leg_commands(summary)]


def _leg_commands(summary: RunSummary) -> list[tuple[str, str]]:
    if exact_command(summary) is None:
        return []
    words = ["textwright", "train", "--name", summary.name, "--resume", "--steps"]
    return [
        (f"Then leg {place}.", shlex.join([*words, str(leg.get("steps"))]))
        for place, leg in enumerate(summary.legs[1:], 2)
    ]


def _beginnings(summary: RunSummary) -> list[tuple[str, str]]:
    typed, exact = typed_command(summary), exact_command(summary)
    if typed and (_COUNTED.search(typed) or exact is None):
        return [("The command that trained it. One click selects it.", typed)]
    listed = []
    if typed:
        timed = number(summary.section("plan"), "minutes") is not None or exact is None
        note = "; it plans its steps by the machine's speed." if timed else "."
        listed.append((f"As it was typed{note}", typed))
    if exact:
        listed.append(("The same steps with the same settings, on any machine.", exact))
    return listed


def _as_toml(value: Any) -> str:
    """A value for `--set`: TOML, without quotes where a bare word means the same."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value == value.strip() and value.isprintable() and value not in ("True", "False"):
        try:
            tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            return value
    return json.dumps(value, ensure_ascii=False)  # TOML's basic strings are JSON's
