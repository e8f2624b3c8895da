"""How fast and how well it learns on a processor, beside nanoGPT's recipe for one.

    python benchmarks/training.py --nanogpt PATH/TO/nanoGPT [--seeds 1 2 3] [--to-loss] [--json]
    TEXTWRIGHT_CORPORA=DIR python benchmarks/training.py --nanogpt PATH/TO/nanoGPT --books

The first trains on Tiny Shakespeare, for each seed nanoGPT and then each row of `SETTINGS`:

- *to its loss*: a training planned to end at nanoGPT's final loss or just below; by CPU time
  (`--to-loss`: this row alone);
- *same tokens*: as many tokens as nanoGPT read;
- *same CPU time*: as many steps as end at nanoGPT's CPU time or just under.

Each training is a process of its own, one after the other, with the same number of threads; CPU
time is its user and system time from start to end: for textwright with the preparation of the text
from an empty cache, for nanoGPT without. Losses are of what each training kept as its best, over
the whole validation text: "at 64" in windows of nanoGPT's block, 64 characters, that don't
overlap, for both; "own" by the model's own protocol, which `textwright eval` names. What is
compared is networks. A run also keeps n-grams of its text: what these add is told apart, "at 64"
of the half of the validation text on which their weights were not fitted, without and with them.
Counting them takes no part in the CPU time.

`--books` trains on four books by `textwright train BOOK --minutes 5`, everything else left to the
plan, and then by nanoGPT's recipe with as many iterations as fit into the CPU time that this took,
on the same characters; in bits a character. On a machine that does other work, where five minutes
of the clock are fewer of a processor, `--stretch 2` asks for twice as many of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import nanogpt
from books import BOOKS, books
from nanogpt import NanoGPT
from ours import Textwright, split_text, with_companion
from processes import report, spread
from textwright.errors import TextwrightError

TO_LOSS, SAME_TOKENS, SAME_TIME = "to its loss", "same tokens", "same CPU time"

SETTINGS = {
    "lstm": {
        TO_LOSS: "--model lstm --size nano --set model.num_layers=1 --set training.batch_size=16"
        " --steps 260 --eval-every 1000 --set training.eval_tokens=8192",
        SAME_TOKENS: "--model lstm --size nano --set model.hidden_size=248 --eval-every 250",
        SAME_TIME: "--model lstm --size nano --eval-every 500",
    },
    "gpt": {
        TO_LOSS: "--model gpt --size nano --set model.num_layers=2 --set model.block_size=64"
        " --set training.matrix_learning_rate=0.03 --steps 400 --eval-every 1000"
        " --set training.eval_tokens=8192",
        SAME_TOKENS: "--model gpt --size nano --eval-every 500",
        SAME_TIME: "--model gpt --size nano --eval-every 500",
    },
}
"""Options of `textwright train`, family by row; where there is no `--steps`, the row decides."""

MOST_PARAMETERS = 850_000
"""Of a model that is compared at the same tokens."""
MOST_ATTEMPTS = 3
LEAST_SHARE = 0.9
"""Of nanoGPT's CPU time; a training that took less is tried again with more steps."""
AIM = 0.97


@dataclass(frozen=True)
class Outcome:
    """A training of textwright's."""

    family: str
    row: str
    seed: int
    parameters: int
    steps: int
    tokens: int
    cpu_seconds: float
    wall_seconds: float
    loss_at_64: float
    loss_own: float
    protocol: str
    loss_half: float
    """At 64, of the second half of the validation text."""
    loss_half_with_companion: float


def trained(ours: Textwright, family: str, row: str, seed: int, options: str) -> Outcome:
    """A training for the table."""
    done = ours.train(f"{options} --seed {seed}")
    at_64 = ours.score(done["run"], "--window", str(nanogpt.BLOCK_SIZE))
    own = ours.score(done["run"])
    half, with_it = with_companion(done["run"], nanogpt.BLOCK_SIZE)
    shutil.rmtree(done["run"])
    outcome = Outcome(
        family=family,
        row=row,
        seed=seed,
        parameters=done["parameters"],
        steps=done["steps"],
        tokens=done["steps"] * done["tokens_per_step"],
        cpu_seconds=done["cpu_seconds"],
        wall_seconds=done["wall_seconds"],
        loss_at_64=at_64["loss"],
        loss_own=own["loss"],
        protocol=own["protocol"],
        loss_half=half,
        loss_half_with_companion=with_it,
    )
    report(
        f"seed {seed}: {family}, {row}: {outcome.steps} steps, "
        f"{outcome.cpu_seconds:.1f} s of CPU time, loss {outcome.loss_at_64:.4f} at 64, "
        f"{outcome.loss_own:.4f} own; of the second half {half:.4f} at 64, "
        f"{with_it:.4f} with its companion"
    )
    return outcome


def in_cpu_time(
    ours: Textwright, family: str, seed: int, cpu_seconds: float, speed: float, fixed: float
) -> Outcome:
    """The training of the row `SAME_TIME` whose CPU time is nearest to `cpu_seconds` from below.

    Args:
        speed: steps a second of CPU time, as far as is known.
        fixed: CPU seconds that a training takes besides its steps.
    """
    tried: list[Outcome] = []
    while len(tried) < MOST_ATTEMPTS:
        steps = max(1, int((AIM * cpu_seconds - fixed) * speed))
        options = f"{SETTINGS[family][SAME_TIME]} --steps {steps}"
        tried.append(trained(ours, family, SAME_TIME, seed, options))
        used = tried[-1].cpu_seconds
        if LEAST_SHARE * cpu_seconds <= used <= cpu_seconds or steps == 1:
            break
        speed = steps / max(used - fixed, 1e-3)
    fitting = [outcome for outcome in tried if outcome.cpu_seconds <= cpu_seconds]
    return max(fitting, key=lambda o: o.cpu_seconds) if fitting else tried[-1]


def all_rows(
    ours: Textwright,
    family: str,
    seed: int,
    peer: nanogpt.Trained,
    steps: int | None,
    *,
    to_loss_alone: bool,
) -> list[Outcome]:
    """The rows of a family."""
    rows = SETTINGS[family]
    own_steps = f" --steps {steps}" if steps else ""
    to_loss = trained(ours, family, TO_LOSS, seed, rows[TO_LOSS] + own_steps)
    if to_loss_alone:
        return [to_loss]
    a_step = ours.plan(f"{rows[SAME_TOKENS]} --steps 1")["tokens_per_step"]
    options = f"{rows[SAME_TOKENS]} --steps {max(1, peer.tokens // a_step)}"
    same_tokens = trained(ours, family, SAME_TOKENS, seed, options)
    done = ours.train(f"{rows[SAME_TIME]} --steps 1")
    shutil.rmtree(done["run"])
    # The first guess takes a token of this row to cost what one of the row before does.
    learning = max(same_tokens.cpu_seconds - done["cpu_seconds"], 1e-3)
    speed = same_tokens.tokens / learning / done["tokens_per_step"]
    same_time = in_cpu_time(ours, family, seed, peer.cpu_seconds, speed, done["cpu_seconds"])
    return [to_loss, same_tokens, same_time]


def figures(peers: dict[int, nanogpt.Trained], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What is claimed of a family, over all seeds; None where it doesn't meet its row's terms."""
    by_row = {row: [o for o in outcomes if o.row == row] for row in (TO_LOSS, SAME_TOKENS)}
    in_time = [o for o in outcomes if o.row == SAME_TIME]
    reached = all(o.loss_at_64 <= peers[o.seed].loss for o in by_row[TO_LOSS])
    ratios = [peers[o.seed].cpu_seconds / o.cpu_seconds for o in by_row[TO_LOSS]]
    counted = by_row[SAME_TOKENS]
    small = counted and all(o.parameters <= MOST_PARAMETERS for o in counted)
    on_time = in_time and all(o.cpu_seconds <= peers[o.seed].cpu_seconds for o in in_time)
    return {
        "cpu_time_to_loss_ratio": mean(ratios) if reached else None,
        "cpu_time_to_loss_ratios": ratios,
        "loss_same_tokens": mean(o.loss_at_64 for o in counted) if small else None,
        "loss_same_tokens_own": mean(o.loss_own for o in counted) if small else None,
        "loss_same_cpu_time": mean(o.loss_at_64 for o in in_time) if on_time else None,
        "loss_same_cpu_time_own": mean(o.loss_own for o in in_time) if on_time else None,
    }


def best(families: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Figure by figure, of the family that does best in it."""
    choose = {"cpu_time_to_loss_ratio": max}
    found: dict[str, Any] = {}
    for name in next(iter(families.values())):
        values = [claim[name] for claim in families.values() if claim[name] is not None]
        if name != "cpu_time_to_loss_ratios":
            found[name] = choose.get(name, min)(values) if values else None
    return found


def print_rows(peers: dict[int, nanogpt.Trained], outcomes: Sequence[Outcome]) -> None:
    """A line a training, then a line a row over the seeds."""
    print(
        f"{'':8} {'row':14} {'seed':>4} {'params':>9} {'steps':>6} {'tokens':>10} {'CPU s':>7} "
        f"{'of peer':>7} {'at 64':>7} {'own':>7} {'half':>7} {'counted':>7}"
    )
    for seed, peer in peers.items():
        print(
            f"{'nanoGPT':8} {'its recipe':14} {seed:4} {peer.parameters:9,} {peer.iterations:6,} "
            f"{peer.tokens:10,} {peer.cpu_seconds:7.1f} {1:7.3f} {peer.loss:7.4f} {peer.loss:7.4f}"
        )
        for o in outcomes:
            if o.seed == seed:
                share = o.cpu_seconds / peer.cpu_seconds
                print(
                    f"{o.family:8} {o.row:14} {seed:4} {o.parameters:9,} {o.steps:6,} "
                    f"{o.tokens:10,} {o.cpu_seconds:7.1f} {share:7.3f} "
                    f"{o.loss_at_64:7.4f} {o.loss_own:7.4f} "
                    f"{o.loss_half:7.4f} {o.loss_half_with_companion:7.4f}"
                )
    print("half: at 64, of the second half; counted: the same, with its companion")
    print()
    print(f"nanoGPT: loss {spread([p.loss for p in peers.values()], 4)} at 64")
    for family in dict.fromkeys(o.family for o in outcomes):
        for row in dict.fromkeys(o.row for o in outcomes):
            own = [o for o in outcomes if (o.family, o.row) == (family, row)]
            ratios = [peers[o.seed].cpu_seconds / o.cpu_seconds for o in own]
            notes = [
                (row == TO_LOSS, any(o.loss_at_64 > peers[o.seed].loss for o in own),
                 "not at its loss yet: give it more steps"),
                (row == SAME_TOKENS, any(o.parameters > MOST_PARAMETERS for o in own),
                 f"more than {MOST_PARAMETERS:,} parameters"),
                (row == SAME_TIME, min(ratios) < 1, "more CPU time than nanoGPT"),
            ]  # fmt: skip
            print(
                f"{family}, {row}: nanoGPT's CPU time ÷ ours {spread(ratios, 2)}; "
                f"loss {spread([o.loss_at_64 for o in own], 4)} at 64, "
                f"{spread([o.loss_own for o in own], 4)} own; of the second half "
                f"{spread([o.loss_half for o in own], 4)} at 64, "
                f"{spread([o.loss_half_with_companion for o in own], 4)} with its companion"
                + "".join(f"; {note}" for here, wrong, note in notes if here and wrong)
            )
    for family in dict.fromkeys(o.family for o in outcomes):
        protocol = next(o.protocol for o in outcomes if o.family == family)
        print(f"{family}'s own protocol: {protocol}")


def shakespeare(choice: argparse.Namespace, folder: Path) -> dict[str, Any]:
    train, validation = split_text("shakespeare")
    theirs = NanoGPT(choice.nanogpt, folder / "nanogpt", choice.threads)
    theirs.prepare(train, validation)
    ours = Textwright(train + validation, folder, choice.threads)
    peers: dict[int, nanogpt.Trained] = {}
    outcomes: list[Outcome] = []
    for seed in choice.seeds:
        report(f"seed {seed}: nanoGPT, {choice.nanogpt_iters} iterations")
        peers[seed] = peer = theirs.train(choice.nanogpt_iters, seed=seed)
        report(f"seed {seed}: nanoGPT: {peer.cpu_seconds:.1f} s of CPU time, loss {peer.loss:.4f}")
        for family in choice.families:
            outcomes += all_rows(
                ours, family, seed, peer, choice.steps, to_loss_alone=choice.to_loss
            )
    families = {
        family: figures(peers, [o for o in outcomes if o.family == family])
        for family in choice.families
    }
    if not choice.json:
        print_rows(peers, outcomes)
    return {
        "threads": choice.threads,
        "nanogpt_loss": mean(peer.loss for peer in peers.values()),
        "nanogpt_cpu_seconds": mean(peer.cpu_seconds for peer in peers.values()),
        **best(families),
        "families": families,
        "nanogpt": [{"seed": seed, **asdict(peer)} for seed, peer in peers.items()],
        "rows": [asdict(outcome) for outcome in outcomes],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout; it stays as it is")
    parser.add_argument("--families", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--steps", type=int, help="of the row 'to its loss', for every family")
    parser.add_argument("--to-loss", action="store_true", help="that row alone")
    parser.add_argument(
        "--nanogpt-iters", type=int, default=nanogpt.ITERATIONS, help="in place of its recipe's"
    )
    parser.add_argument("--books", action="store_true", help="four books, so many minutes each")
    parser.add_argument("--texts", nargs="+", default=BOOKS, help="others for --books")
    parser.add_argument("--minutes", type=float, default=5.0, help="for --books, of each training")
    parser.add_argument(
        "--stretch", type=float, default=1.0, help="minutes of the clock for one of --minutes"
    )
    parser.add_argument(
        "--calibration-iters", type=int, default=40, help="of nanoGPT that are timed for --books"
    )
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    choice = parser.parse_args()
    wanted = choice.books and any("$TEXTWRIGHT_CORPORA" in text for text in choice.texts)
    if wanted and "TEXTWRIGHT_CORPORA" not in os.environ:
        parser.error("--books wants the texts of docs/corpora.md in $TEXTWRIGHT_CORPORA")
    with tempfile.TemporaryDirectory() as name:
        try:
            result = (books if choice.books else shakespeare)(choice, Path(name))
        except TextwrightError as error:
            raise SystemExit(f"error: {error}") from error
    if choice.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
