"""Everything that a CUDA machine should show in ten minutes of it, in the order of its worth.

    python benchmarks/gpu.py --nanogpt DIR --out gpu.json

Each part writes its numbers into `--out` when it is done; the same command again goes on with the
parts that are missing. A part that doesn't fit into what is left of `--minutes` is left for the
next call. `--rehearse` does all of it on the processor at a tiny scale (gloo in NCCL's place, no
nanoGPT where no checkout is named): its numbers mean nothing, but that it runs does.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import nanogpt
from nanogpt import NanoGPT
from ours import split_text
from processes import report, run
from textwright import models
from textwright.models.base import load_model
from textwright.runs import Run

Numbers = dict[str, Any]
PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12,
        "A10": 125e12, "T4": 65e12}  # fmt: skip
"""Products and sums a second of the 16-bit formats that the makers give, without sparsity."""
TOLERANCE = 0.002
"""Nats a token that processor and GPU may be apart after some dozens of steps in float32."""
ONE_SHAPE = (
    "--model gpt --size small --set model.block_size={block} --set model.num_layers={layers} "
    "--set model.hidden_size={width} --set model.num_heads={heads} "
    "--set training.batch_size={batch} --set model.dropout=0.2"
)


@dataclass(frozen=True)
class Scale:
    """What a real measurement does, or a rehearsal."""

    device: str
    tiny: str
    """Options of the small trainings that check a path."""
    steps: int
    shape: dict[str, int]
    """That textwright and nanoGPT are both timed with."""
    timed: int
    generated: int
    shakespeare: str
    wikitext: str
    nanogpt_iterations: int
    attention: str = ""
    """More options of the small trainings of attention models."""


SMALL = ("--set model.num_layers=1 --set model.hidden_size=32 --set model.block_size=32 "
         "--set training.eval_tokens=2000")  # fmt: skip
REAL = Scale(
    "cuda", "--size nano", 60, {"layers": 6, "heads": 6, "width": 384, "block": 256, "batch": 64},
    300, 512, "--model lstm --size nano --steps 5000 --eval-every 500 --set model.dropout=0.15",
    "--tokenizer word --model lstm --size nano --set model.hidden_size=400 "
    "--set model.dropout=0.4 --set training.batch_size=64 --set training.eval_tokens=50000 "
    "--minutes 3", 5000,
)  # fmt: skip
REHEARSAL = Scale(
    "cpu", f"--size nano {SMALL} --set training.batch_size=8", 12,
    {"layers": 1, "heads": 1, "width": 32, "block": 32, "batch": 4}, 12, 16,
    f"--model lstm --size nano --steps 8 --eval-every 4 {SMALL}",
    f"--tokenizer word --vocab-size 200 --model lstm --size nano --steps 4 {SMALL}",
    4, "--set model.num_heads=1",
)  # fmt: skip


@dataclass
class Bench:
    """The scale, where things lie, and what was measured so far."""

    scale: Scale
    folder: Path
    shakespeare: str
    wikitext: str
    nanogpt: Path | None
    numbers: dict[str, Numbers] = field(default_factory=dict)

    def train(
        self, options: str, *, family: str = "", text: str = "", through: str = ""
    ) -> Numbers:
        """A training in a process of its own: its last line, plan and evaluations.

        Args:
            options: of `textwright train`.
            family: in place of one in `options`.
            text: else Tiny Shakespeare.
            through: what starts the module, in Python's place, e.g. torchrun.
        """
        model = ["--model", family] if family else []
        if family in ("gpt", "transformer") and self.scale.attention not in options:
            options += f" {self.scale.attention}"
        start = shlex.split(through) if through else [sys.executable]
        words = [*start, "-m", "textwright", "train", text or self.shakespeare, "--json", *model,
                 "--runs", str(self.folder / "runs"), *shlex.split(options)]  # fmt: skip
        if "--device" not in options:
            words += ["--device", self.scale.device]
        finished = run(words)
        lines = [json.loads(line) for line in finished.output.splitlines() if line[:1] == "{"]
        evaluations = [line for line in lines if line["event"] == "evaluation"]
        return {"plan": lines[0]["plan"], "evaluations": evaluations, **lines[-1]}

    def peer(self) -> NanoGPT | None:
        if self.nanogpt is None:
            return None
        folder = self.folder / f"nanogpt-{time.time_ns()}"
        peer = NanoGPT(self.nanogpt, folder, 1)
        peer.prepare(*split_text(self.shakespeare))
        return peer

    def peer_log(self, peer: NanoGPT, options: str) -> str:
        """What nanoGPT says while it trains by its recipe for a GPU."""
        words = ["train.py", nanogpt.RECIPE[0], *shlex.split(options)]
        words += ["--out_dir=out", f"--device={self.scale.device}"]
        if self.scale.device == "cpu":
            words += ["--compile=False", "--eval_iters=1"]
        return run(
            [sys.executable, *words], folder=peer.folder, environment=peer.environment
        ).output


def device(bench: Bench) -> Numbers:
    """Which machine it is, and what is chosen on it."""
    if bench.scale.device == "cuda":
        name = torch.cuda.get_device_name()
        memory = round(torch.cuda.get_device_properties(0).total_memory / 2**30)
    else:
        name, memory = "processor (a rehearsal)", 0
    run_ = Run(Path(bench.train(f"{bench.scale.tiny} --steps 2", family="gpt")["run"]))
    chosen = {key: run_.settings()["training"][key] for key in ("precision", "compile")}
    return {"name": name, "memory_gib": memory, "torch": torch.__version__, **chosen}


def equality(bench: Bench) -> Numbers:
    """The same seed on processor and GPU, in float32, and in what is chosen there."""
    numbers: Numbers = {}
    options = f"{bench.scale.tiny} --steps {bench.scale.steps} --set model.dropout=0"
    for family in ("gpt", "lstm", "transformer"):
        same = f"{options} --set training.precision=float32 --set training.compile=off"
        here = bench.train(f"{same} --device cpu", family=family)["evaluations"]
        there = bench.train(same, family=family)["evaluations"]
        auto = bench.train(options, family=family)["evaluations"]
        apart = max(abs(a["val_loss"] - b["val_loss"]) for a, b in zip(here, there, strict=True))
        chosen = abs(auto[-1]["val_loss"] - here[-1]["val_loss"])
        numbers |= {f"{family}_apart": apart, f"{family}_within": apart <= TOLERANCE,
                    f"{family}_auto_apart": chosen}  # fmt: skip
    return numbers


def resume(bench: Bench) -> Numbers:
    """A training that was stopped half-way and resumed ends as one that wasn't."""
    steps, half = bench.scale.steps, bench.scale.steps // 2
    options = f"{bench.scale.tiny} --steps {steps} --eval-every {half} --checkpoint-every {half}"
    options += f" {bench.scale.attention}"
    whole = bench.train(f"{options} --name whole", family="gpt")
    words = [sys.executable, "-c", STOPPED, str(half), "train", bench.shakespeare, "--model", "gpt",
             "--runs", str(bench.folder / "runs"), "--name", "halved", "--device",
             bench.scale.device, *shlex.split(options)]  # fmt: skip
    run(words)
    halved = bench.train(f"{options} --name halved --resume", family="gpt")
    files = [Run(Path(one["run"])).weights_file.read_bytes() for one in (whole, halved)]
    return {"same_bytes": files[0] == files[1],
            "apart": abs(whole["val_loss"] - halved["val_loss"])}  # fmt: skip


STOPPED = """
import os, signal, sys
from textwright.cli.app import main
from textwright.training.loop.learner import Learner

step, taken = Learner.step, 0
def counted(self, number):
    global taken
    taken = max(taken, number)
    if taken == int(sys.argv[1]) and number == taken:
        os.kill(os.getpid(), signal.SIGINT)
    return step(self, number)
Learner.step = counted
try:
    main(sys.argv[2:])
except SystemExit as end:
    sys.exit(0 if end.code == 130 else end.code or 1)
"""
"""Ctrl-C at a step of its own; ends well only where the training was interrupted by it."""


def workers(bench: Bench) -> Numbers:
    """One worker of torchrun's, over NCCL, has the curve of a process by itself."""
    torchrun = f"{sys.executable} -m torch.distributed.run --standalone --nproc-per-node 1"
    options = f"{bench.scale.tiny} --steps {bench.scale.steps}"
    alone = bench.train(options, family="gpt")["val_loss"]
    together = bench.train(options, family="gpt", through=torchrun)["val_loss"]
    return {"apart": abs(alone - together), "within": abs(alone - together) <= TOLERANCE}


def generation(bench: Bench) -> Numbers:
    """Tokens a second through torch on the device, one text and 256; greedy text as on the CPU."""
    found = bench.train(f"{bench.scale.tiny} --steps {bench.scale.steps}", family="gpt")
    model = load_model(Run(Path(found["run"])), "cpu").eval()
    expected = greedy(model, 1, 16, "cpu")[0]
    model = model.to(bench.scale.device)
    numbers: Numbers = {"as_on_cpu": greedy(model, 1, 16, bench.scale.device)[0] == expected}
    for batch in (1, 256):
        greedy(model, batch, 8, bench.scale.device)
        _, seconds = greedy(model, batch, bench.scale.generated, bench.scale.device)
        numbers[f"tokens_per_second_batch_{batch}"] = batch * bench.scale.generated / seconds
    return numbers


@torch.inference_mode()
def greedy(
    model: models.LanguageModel, batch: int, count: int, place: str
) -> tuple[list[int], float]:
    """The likeliest tokens of the first text of a batch, and the seconds that all took."""
    tokens = torch.zeros(batch, 1, dtype=torch.long, device=place)
    state = {name: tensor.to(place) for name, tensor in model.initial_state(batch).items()}
    text, began = [], time.perf_counter()
    for step in range(count):
        if model.config.order == "windows" and step and step % (model.config.block_size // 2) == 0:
            state = {name: tensor.to(place) for name, tensor in model.initial_state(batch).items()}
        logits, state = model(tokens, state)
        tokens = logits[:, -1:].argmax(-1)
        text.append(tokens[0])
    return [int(token) for token in text], time.perf_counter() - began


def speed(bench: Bench) -> Numbers:
    """Tokens a second and use of the card, of one shape, beside nanoGPT's."""
    scale, shape = bench.scale, bench.scale.shape
    options = f"{ONE_SHAPE.format(**shape)} --steps {scale.timed} --eval-every {scale.timed // 2}"
    found = bench.train(options)
    rate = found["evaluations"][-1]["tokens_per_second"]
    # 6 a parameter and token, and attention's own products: PaLM (2022), appendix B
    operations = 6 * found["plan"]["parameters"]
    operations += 12 * shape["layers"] * shape["width"] * shape["block"]
    numbers: Numbers = {"tokens_per_second": rate, "operations_a_token": operations}
    name = torch.cuda.get_device_name() if scale.device == "cuda" else ""
    peak = next((flops for part, flops in PEAK.items() if part in name), None)
    peer = bench.peer()
    if peer is not None:
        log = bench.peer_log(peer, f"{peer_shape(shape)} --max_iters={scale.timed} "
                             f"--eval_interval={10 * scale.timed} --log_interval=1")  # fmt: skip
        times = sorted(float(one) for one in re.findall(r"time ([\d.]+)ms", log)[1:])
        its = shape["batch"] * shape["block"] / (times[len(times) // 2] / 1000)
        numbers |= {"nanogpt_tokens_per_second": its, "of_nanogpt": rate / its}
    if peak:
        numbers["flop_use"] = rate * operations / peak
        if peer is not None:
            numbers["nanogpt_flop_use"] = its * operations / peak
    return numbers


def peer_shape(shape: dict[str, int]) -> str:
    return (f"--n_layer={shape['layers']} --n_head={shape['heads']} --n_embd={shape['width']} "
            f"--block_size={shape['block']} --batch_size={shape['batch']}")  # fmt: skip


def shakespeare(bench: Bench) -> Numbers:
    """Seconds of a training that ends at 1.44 or lower, and those of nanoGPT to its best loss."""
    began = time.perf_counter()
    found = bench.train(bench.scale.shakespeare)
    seconds = time.perf_counter() - began
    numbers: Numbers = {"loss": found["val_loss"], "seconds": seconds,
                        "reached": found["val_loss"] <= 1.44}  # fmt: skip
    if (peer := bench.peer()) is not None:
        iterations = bench.scale.nanogpt_iterations
        shape = peer_shape(bench.scale.shape)
        began = time.perf_counter()
        budget = f"--max_iters={iterations} --lr_decay_iters={iterations}"
        every = max(1, iterations // 20)
        log = bench.peer_log(peer, f"{shape} {budget} --eval_interval={every}")
        whole = time.perf_counter() - began
        found_losses = re.findall(r"step (\d+): .*val loss ([\d.]+)", log)
        losses = [(int(step), float(loss)) for step, loss in found_losses]
        reached = next((step for step, loss in losses if loss <= 1.4697), iterations)
        its = whole * reached / iterations
        numbers |= {"nanogpt_loss": min(loss for _, loss in losses), "nanogpt_seconds": its,
                    "of_nanogpt": seconds / its}  # fmt: skip
    return numbers


def wikitext(bench: Bench) -> Numbers:
    """Test perplexity of WikiText-2 by words, after its share of the minutes."""
    began = time.perf_counter()
    found = bench.train(bench.scale.wikitext, text=bench.wikitext)
    words = [sys.executable, "-m", "textwright", "eval", found["run"], bench.wikitext, "--json"]
    scored = json.loads(run(words).output)
    return {"perplexity": scored["perplexity"], "reached": scored["perplexity"] <= 80,
            "seconds": time.perf_counter() - began}  # fmt: skip


PARTS: dict[str, tuple[Callable[[Bench], Numbers], int]] = {
    "device": (device, 10), "equality": (equality, 40), "speed": (speed, 40),
    "shakespeare": (shakespeare, 120), "resume": (resume, 20), "workers": (workers, 20),
    "generation": (generation, 20), "wikitext": (wikitext, 200),
}  # fmt: skip
"""In the order of their worth, with the seconds that each needs at least."""


def table(numbers: dict[str, Numbers]) -> str:
    """All numbers, a line each; what was not measured is said."""
    lines = ["| part | | |", "| --- | --- | ---: |"]
    for part in PARTS:
        for name, value in numbers.get(part, {"": "not run"}).items():
            shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
            lines.append(f"| {part} | {name.replace('_', ' ')} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="results so far")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT, to measure beside")
    parser.add_argument("--shakespeare", default="shakespeare", help="the text, or its file")
    parser.add_argument("--wikitext", default="wikitext-2", help="the text, or its file")
    parser.add_argument("--minutes", type=float, default=10, help="of the machine, this call")
    parser.add_argument("--rehearse", action="store_true", help="on the processor, tiny")
    arguments = parser.parse_args()
    if not arguments.rehearse and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device here; --rehearse runs on the processor")
    began = time.perf_counter()
    folder = arguments.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(REHEARSAL if arguments.rehearse else REAL, folder, arguments.shakespeare,
                  arguments.wikitext, arguments.nanogpt)  # fmt: skip
    if arguments.out.exists():
        bench.numbers = json.loads(arguments.out.read_text(encoding="utf-8"))
    failed = False
    for name, (part, needed) in PARTS.items():
        left = 60 * arguments.minutes - (time.perf_counter() - began)
        if name in bench.numbers or (needed > left and not arguments.rehearse):
            continue
        report(f"{name}: {part.__doc__}")
        try:
            bench.numbers[name] = part(bench)
        except (SystemExit, RuntimeError, OSError) as error:  # the next part may do
            report(f"{name} failed: {error}")
            failed = True
        arguments.out.write_text(json.dumps(bench.numbers, indent=2) + "\n", encoding="utf-8")
    print(table(bench.numbers))
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
