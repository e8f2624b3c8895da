"""The commands that reproduce a run."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from typing import Any

from textwright.reporting.summary import RunSummary, number

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
    """A command with every setting that was in effect; None if too little is known.

    `--minutes` measures the machine, so plans other steps on another; this plans the same.
    """
    settings = summary.settings()
    plan = summary.section("plan")
    steps = number(plan, "steps") or settings.get("training.steps")
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
        return ["--from", str(settings["training.parent"])]
    words = ["--model", family, "--tokenizer", str(settings.get("tokenizer.kind", "char"))]
    if settings.get("tokenizer.vocab_size"):
        words += ["--vocab-size", str(settings["tokenizer.vocab_size"])]
    if settings.get("tokenizer.lowercase"):
        words += ["--lowercase"]
    return words


def commands(summary: RunSummary) -> list[tuple[str, str]]:
    """(description, command) of each that is worth showing, the best one first."""
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
