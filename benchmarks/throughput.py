"""How many tokens a second it learns from, beside nanoGPT's model and a plain loop around an LSTM.

    python benchmarks/throughput.py --nanogpt PATH/TO/nanoGPT [--sizes nano micro] [--json]

- `gpt` beside nanoGPT's `GPT` with the same layers, width, heads, block and batch, which its own
  `configure_optimizers` gives an AdamW;
- `lstm` beside an embedding, `torch.nn.LSTM` and a dense output of the same widths with
  `torch.optim.AdamW`, in float32, with the same block and batch;

each with AdamW for all parameters, and with the recipe that `textwright train` takes. A step is a
batch of Tiny Shakespeare, forward, backward, the gradient's norm clipped, the update. Every
contender is a process of its own that waits while another works; they take turns, in changing
order, and a turn's speed is its tokens by the CPU time of its process. The median over the rounds
counts, and of the ratios the median of those of each round.

The two GPTs are not the same network: textwright's has rotary positions, normalised queries and
keys, a SwiGLU feed-forward layer and an output layer of its own; nanoGPT's has a table of
positions, a GELU feed-forward layer and an output that shares the embedding. The parameters of
each stand beside its speed.

Then `textwright train --minutes 3` is run under Python's profiler: what data, evaluations, samples
and checkpoints take of the time of its training loop.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import pstats
import shlex
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from contenders import OURS_ADAMW, OURS_RECIPE, PEERS, Contender, compete
from nanogpt import NanoGPT
from ours import split_text
from processes import report, run
from textwright.errors import TextwrightError
from textwright.training.planning.presets import SIZES

RUNS = {"lstm": "--model lstm", "gpt": "--model gpt"}
"""Options of the trainings that are profiled."""


def compare(contenders: list[Contender], rounds: int, seconds: float) -> dict[str, Any]:
    """Let them take turns; the first is whom the others are compared with."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    parameters: dict[str, int] = {}
    speeds: dict[str, list[float]] = {contender.who: [] for contender in contenders}
    for contender in contenders:
        pipes[contender.who], theirs = context.Pipe()
        context.Process(target=compete, args=(theirs, contender), daemon=True).start()
        theirs.close()  # so that its end, whatever ends it, is seen here
        parameters[contender.who] = int(answer(pipes[contender.who], contender.who))
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else contenders[::-1]:
            pipe = pipes[contender.who]
            pipe.send(seconds)
            speeds[contender.who].append(answer(pipe, contender.who))
    for pipe in pipes.values():
        pipe.send(0)
    peer = speeds[contenders[0].who]
    return {
        who: {
            "parameters": parameters[who],
            "tokens_per_second": median(own),
            "tokens_per_second_rounds": own,
            "ratio": median(a / b for a, b in zip(own, peer, strict=True)),
            "ratio_rounds": [a / b for a, b in zip(own, peer, strict=True)],
        }
        for who, own in speeds.items()
    }


def answer(pipe: Connection, who: str) -> float:
    try:
        said = pipe.recv()
    except EOFError:
        said = "its process ended"
    if isinstance(said, str):
        raise SystemExit(f"{who} failed: {said}")
    return float(said)


def profile(options: str, minutes: float, text: str, threads: int) -> dict[str, float]:
    """What a training's loop spends besides learning, as shares of its time by the clock."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.txt").write_text(text, encoding="utf-8")
        words = [sys.executable, "-m", "cProfile", "-o", str(folder / "profile")]
        words += ["-m", "textwright", "train", "text.txt", "--runs", "runs", "--json"]
        words += ["--minutes", str(minutes), *shlex.split(options)]
        environment = {"OMP_NUM_THREADS": str(threads), "TEXTWRIGHT_CACHE": str(folder / "cache")}
        finished = run(words, folder=folder, environment=environment)
        if '"finished"' not in finished.output:  # the profiler hides how it ended
            raise SystemExit(f"textwright train {options} did not finish")
        stats: Any = pstats.Stats(str(folder / "profile"))

    def seconds(file: str, function: str, caller: str | None = None) -> float:
        """In a function of `training/loop/` and what it calls, where `caller` calls it."""
        total = 0.0
        for (path, _, called), (_, _, _, inside, callers) in stats.stats.items():
            if called == function and Path(path).parts[-2:] == ("loop", file):
                total += (
                    inside
                    if caller is None
                    else sum(call[3] for (_, _, by), call in callers.items() if by == caller)
                )
        return total

    loop = seconds("trainer.py", "train")
    steps = seconds("learner.py", "step", "train")
    looks, saves = seconds("trainer.py", "_evaluate"), seconds("trainer.py", "_save")
    evaluations = seconds("loss.py", "evaluate", "_evaluate")
    samples = seconds("samples.py", "write_sample", "_evaluate")
    if not (loop and steps and evaluations):
        raise SystemExit("the profile lacks the training loop: have its functions been renamed?")
    data = seconds("batches.py", "batch") / seconds("learner.py", "step") * steps
    return {
        "seconds": loop,
        "data": data / loop,
        "evaluations": evaluations / loop,
        "samples": samples / loop,
        "weights_and_metrics": (looks - evaluations - samples) / loop,
        "checkpoints": saves / loop,
        "together": (data + looks + saves) / loop,
        "start_plan_and_report_seconds": finished.wall_seconds - loop,
    }


def spoken(values: list[float], digits: int) -> str:
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def print_speeds(family: str, size: str, results: dict[str, Any]) -> None:
    shape = SIZES[family][size]
    told = ", ".join(f"{name} {value}" for name, value in (shape.model | shape.training).items())
    print(f"{family} {size}: {told}")
    print(f"  {'':22} {'params':>10}  {'tokens/s of CPU time':28} {'÷ peer'}")
    for who, result in results.items():
        print(
            f"  {who:22} {result['parameters']:10,}  "
            f"{spoken(result['tokens_per_second_rounds'], 0):28} "
            f"{spoken(result['ratio_rounds'], 2)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout; it stays as it is")
    parser.add_argument("--families", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--sizes", nargs="+", default=["nano", "micro", "small"])
    parser.add_argument("--threads", type=int, default=1, help="of each contender")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="of CPU time a turn, at least one step"
    )
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="of the profiled trainings; 0 leaves them out"
    )
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    choice = parser.parse_args()
    for family in choice.families:
        if wrong := [size for size in choice.sizes if size not in SIZES[family]]:
            parser.error(f"--sizes {wrong[0]}: {family} has {', '.join(SIZES[family])}")
    result: dict[str, Any] = {"threads": choice.threads, "rounds": choice.rounds}
    with tempfile.TemporaryDirectory() as name:
        try:
            train, validation = split_text("shakespeare")
        except TextwrightError as error:
            raise SystemExit(f"error: {error}") from error
        characters = sorted(set(train))
        ids = {character: number for number, character in enumerate(characters)}
        tokens = np.array([ids[character] for character in train], np.uint16)
        nanogpt_copy = NanoGPT(choice.nanogpt, Path(name), choice.threads).folder
        for family in choice.families:
            for size in choice.sizes:
                report(f"{family} {size}")
                contenders = [
                    Contender(who, family, size, tokens, len(ids), nanogpt_copy, choice.threads)
                    for who in (PEERS[family], OURS_ADAMW, OURS_RECIPE)
                ]
                speeds = compare(contenders, choice.rounds, choice.seconds)
                result.setdefault(family, {})[size] = speeds
                if not choice.json:
                    print_speeds(family, size, speeds)
    if choice.minutes:
        result["minutes"] = choice.minutes
        for family in choice.families:
            report(f"textwright train {RUNS[family]} --minutes {choice.minutes}")
            shares = profile(RUNS[family], choice.minutes, train + validation, choice.threads)
            result.setdefault("shares", {})[family] = shares
            if not choice.json:
                parts = [
                    f"{part.replace('_', ' ')} {100 * share:.1f} %"
                    for part, share in shares.items()
                    if "seconds" not in part
                ]
                print(
                    f"textwright train {RUNS[family]} --minutes {choice.minutes:g}: of a loop of "
                    f"{shares['seconds']:.0f} s, {', '.join(parts)}; before and after it "
                    f"{shares['start_plan_and_report_seconds']:.0f} s"
                )
    if choice.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
