"""Whether `--minutes` picks well, on texts that the study behind the dials did not use.

    TEXTWRIGHT_CORPORA=DIR python benchmarks/dials.py OUT.jsonl [--texts NAME] [--minutes 2 5 20]
    python benchmarks/dials.py OUT.jsonl --table

For each text and time first `textwright train TEXT --minutes M` on one thread, everything else left
to the plan; then each other size and dropout of `HAND_PICKED`, with as many steps as take the CPU
time of the planned ones. Losses are bits a character of what each run kept. A result is a line of
OUT.jsonl; what stands there is not run again. On a machine that does other work, where minutes of
the clock are fewer of a processor, `--stretch 2` asks the plan for twice as many of the clock.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from processes import report
from scaling import beginning, outcome, step_seconds, trained

BOOK, CONVERSATIONS = "sherlock-holmes", "self-dialogue"
KNOWN = "frankenstein"
"""The dropout's second threshold was set by two minutes of it, so it is no judge of that."""
TEXTS = (BOOK, CONVERSATIONS, KNOWN)
CHARACTERS = 4_000_000
"""Of the conversations, a turn a line."""

HAND_PICKED: dict[tuple[str, float], dict[str, tuple[float, ...]]] = {
    (BOOK, 2): {"nano": (0, 0.1, 0.2), "micro": (0.1,)},
    (CONVERSATIONS, 2): {"nano": (0, 0.1), "micro": (0,)},
    (BOOK, 5): {"nano": (0.1, 0.2, 0.3), "micro": (0.2,)},
    (CONVERSATIONS, 5): {"nano": (0, 0.1), "micro": (0,)},
    (BOOK, 20): {"nano": (0.3, 0.4), "micro": (0.3, 0.4)},
    (CONVERSATIONS, 20): {"nano": (0.1,), "micro": (0, 0.1)},
    (KNOWN, 2): {"nano": (0.1, 0.2), "micro": (0.1,)},
    (KNOWN, 5): {"nano": (0.1, 0.2, 0.3), "micro": (0.2,)},
}
"""Text and minutes → size → the dropouts to try."""

WITHIN = 0.03
"""Bits a character from the best, which is what is asked of the plan."""


def measure(text: str, minutes: float, stretch: float, file: Path) -> None:
    """Run what isn't in the file yet."""
    characters = conversations() if text == CONVERSATIONS else beginning(text, None)
    types = len(set(characters)) + 1
    there = [r for r in read(file) if (r["text"], r["minutes"]) == (text, minutes)]

    def keep(who: str, done: dict[str, Any]) -> dict[str, Any]:
        result = {"text": text, "minutes": minutes, "who": who, **done}
        report(f"{text}, {minutes:g} min, {who}: {done['bits']} bits, {done['cpu_seconds']} s")
        with file.open("a") as out:
            out.write(json.dumps(result) + "\n")
        return result

    plan = next((r for r in there if r["who"] == "plan"), None)
    if plan is None:
        plan = keep("plan", outcome(characters, f"--minutes {minutes * stretch:g}"))
    learning = plan["steps"] * step_seconds(plan["size"], plan["dropout"], types)
    for size, dropouts in HAND_PICKED[text, minutes].items():
        for dropout in dropouts:
            if (size, dropout) not in [(r["size"], r["dropout"]) for r in [plan, *there]]:
                steps = int(learning / step_seconds(size, dropout, types))
                keep("hand", trained(characters, size, dropout, steps))


def conversations() -> str:
    file = Path(os.environ["TEXTWRIGHT_CORPORA"], "conversations/self-dialogue/train.jsonl.gz")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        turns = (turn["text"] + "\n" for line in lines for turn in json.loads(line)["turns"])
        return "".join(islice(turns, CHARACTERS // 20))[:CHARACTERS]


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def table(results: list[dict[str, Any]]) -> None:
    """The results as a table in Markdown."""
    print("| text | minutes | `--minutes` picks | bits | of | the best | bits | apart |")
    print("| --- | ---: | --- | ---: | ---: | --- | ---: | ---: |")
    for text, minutes in HAND_PICKED:
        rows = [r for r in results if (r["text"], r["minutes"]) == (text, minutes)]
        plan = next((r for r in rows if r["who"] == "plan"), None)
        if plan is not None and len(rows) > 1:
            best = min(rows, key=lambda r: r["bits"])
            apart = plan["bits"] - best["bits"]
            missed = " !" * (apart > WITHIN)
            print(
                f"| {text} | {minutes:g} | {told(plan)} | {plan['bits']:.3f} "
                f"| {len(rows)} | {told(best)} | {best['bits']:.3f} | {apart:+.3f}{missed} |"
            )


def told(result: dict[str, Any]) -> str:
    return f"`{result['size']}`, dropout {result['dropout']:g}, {result['epochs']:.1f} epochs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path, help="a .jsonl that results are added to")
    parser.add_argument("--texts", nargs="+", choices=list(TEXTS), default=list(TEXTS))
    parser.add_argument(
        "--minutes", type=float, nargs="+", choices=(2.0, 5.0, 20.0), default=[2.0, 5.0, 20.0]
    )
    parser.add_argument(
        "--stretch", type=float, default=1.0, help="minutes of the clock for one of --minutes"
    )
    parser.add_argument("--table", action="store_true", help="print what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.table:
        table(read(arguments.results))
        return
    for minutes in arguments.minutes:
        for text in arguments.texts:
            if (text, minutes) in HAND_PICKED:
                measure(text, minutes, arguments.stretch, arguments.results)


if __name__ == "__main__":
    main()
