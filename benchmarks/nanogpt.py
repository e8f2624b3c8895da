"""nanoGPT, from a checkout that is neither changed nor written to, as the peer to measure beside.

Its scripts run as they are, in a copy of the few files they need.
"""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from processes import Finished, run

NEEDED = (
    "train.py",
    "model.py",
    "configurator.py",
    "config/train_shakespeare_char.py",
    "data/shakespeare_char/prepare.py",
)
DATA = "data/shakespeare_char"

ITERATIONS = 2000
BATCH_SIZE, BLOCK_SIZE = 12, 64
RECIPE = (
    "config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 "
    f"--log_interval=1 --block_size={BLOCK_SIZE} --batch_size={BATCH_SIZE} --n_layer=4 --n_head=4 "
    "--n_embd=128 --dropout=0.0"
).split()
"""What its README gives for a processor, with `--max_iters` and `--lr_decay_iters` of 2000."""
EVALUATE_EVERY = 250
"""Iterations; what its config says."""

# Its seed stands in its code; others are what that gives, shifted.
WITH_SEED = """
import runpy, sys, torch
shift, sys.argv = int(sys.argv[1]), sys.argv[2:]
seeded = torch.manual_seed
torch.manual_seed = lambda seed: seeded(seed + shift)
runpy.run_path(sys.argv[0], run_name="__main__")
"""

EVALUATE = """
import json, sys
import numpy as np
import torch
from model import GPT, GPTConfig

saved = torch.load(sys.argv[1], map_location="cpu")
model = GPT(GPTConfig(**saved["model_args"]))
model.load_state_dict(saved["model"])
model.eval()
tokens = torch.from_numpy(np.fromfile(sys.argv[2], np.uint16).astype(np.int64))
block, count = model.config.block_size, len(tokens) - 1
whole = count // block * block
inputs, targets = tokens[:whole].view(-1, block), tokens[1 : whole + 1].view(-1, block)
pieces = list(zip(inputs.split(64), targets.split(64)))
if whole < count:
    pieces.append((tokens[None, whole:-1], tokens[None, whole + 1 :]))
with torch.no_grad():
    total = sum(model(x, y)[1].item() * x.numel() for x, y in pieces)
print(json.dumps({
    "loss": total / count,
    "iteration": saved["iter_num"],
    "parameters": sum(parameter.numel() for parameter in model.parameters()),
}))
"""


@dataclass(frozen=True)
class Trained:
    """A training of nanoGPT's."""

    iterations: int
    tokens: int
    cpu_seconds: float
    wall_seconds: float
    parameters: int
    loss: float
    """Nats a token over the whole validation text, in windows of its block that don't overlap."""
    iteration: int
    """Of the checkpoint that was evaluated, the best by its own estimate."""


class NanoGPT:
    """A copy of a checkout, with one text to train on."""

    def __init__(self, checkout: Path, folder: Path, threads: int) -> None:
        """Copy what is needed of `checkout` into `folder`.

        Raises:
            SystemExit: it isn't a checkout of nanoGPT.
        """
        self.folder = folder
        self.environment = {"OMP_NUM_THREADS": str(threads), "PYTHONUTF8": "1"}
        for name in NEEDED:
            if not (checkout / name).is_file():
                raise SystemExit(f"{checkout} is not a checkout of nanoGPT: it has no {name}")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / name, folder / name)

    def prepare(self, train: str, validation: str) -> None:
        """Let its own script prepare a text, and see that it splits as we do."""
        data = self.folder / DATA
        (data / "input.txt").write_text(train + validation, encoding="utf-8")
        environment = dict(self.environment)
        if importlib.util.find_spec("requests") is None:  # it is imported, to download what is here
            stand_in = self.folder / "stand-in"
            stand_in.mkdir()
            (stand_in / "requests.py").touch()
            environment["PYTHONPATH"] = str(stand_in)
        run([sys.executable, f"{DATA}/prepare.py"], folder=self.folder, environment=environment)
        sizes = [(data / name).stat().st_size // 2 for name in ("train.bin", "val.bin")]
        if sizes != [len(train), len(validation)]:
            raise SystemExit(f"nanoGPT splits the text into {sizes[0]} and {sizes[1]} characters")

    def put(self, train: str, validation: str) -> int:
        """Give it a text that is split already, in the format that its script writes.

        Characters that occur in the validation text only are left out, as textwright does; gives
        how many of them there were.
        """
        data = self.folder / DATA
        ids = {character: number for number, character in enumerate(sorted(set(train)))}
        for name, text in (("train.bin", train), ("val.bin", validation)):
            known = [ids[character] for character in text if character in ids]
            np.array(known, np.uint16).tofile(data / name)
        with (data / "meta.pkl").open("wb") as file:
            names = {number: character for character, number in ids.items()}
            pickle.dump({"vocab_size": len(ids), "stoi": ids, "itos": names}, file)
        return sum(character not in ids for character in validation)

    def train(self, iterations: int, *, seed: int = 1) -> Trained:
        """Train by its recipe for a processor, and evaluate what it kept."""
        rounds = _rounds(iterations)
        every = max(1, iterations // rounds)
        iterations = every * rounds  # it keeps what it has evaluated, so the last must be
        finished = self._train(iterations, every, seed)
        checkpoint = self.folder / "out" / "ckpt.pt"
        if not checkpoint.exists():
            raise SystemExit("nanoGPT wrote no checkpoint")
        words = [sys.executable, "-c", EVALUATE, str(checkpoint), f"{DATA}/val.bin"]
        found = run(words, folder=self.folder, environment=self.environment).output
        shutil.rmtree(self.folder / "out")
        return Trained(
            iterations=iterations,
            tokens=iterations * BATCH_SIZE * BLOCK_SIZE,
            cpu_seconds=finished.cpu_seconds,
            wall_seconds=finished.wall_seconds,
            **json.loads(found.splitlines()[-1]),  # its model speaks, too
        )

    def iterations_in(self, seconds: float, measured: int) -> int:
        """How many iterations of its recipe take so many seconds of CPU time, start and end too.

        Args:
            seconds: to fill.
            measured: iterations to time, at least.
        """
        few = self._train(measured, 10 * measured, 1).cpu_seconds
        many = self._train(3 * measured, 10 * measured, 1).cpu_seconds
        looking = self._train(measured, measured, 1).cpu_seconds
        each = max(1e-3, (many - few) / (2 * measured))
        evaluation = max(0.0, looking - few)  # the one that comes at the end
        left = seconds - max(0.0, few - measured * each)
        rounds = _rounds(int(left / (each + evaluation / EVALUATE_EVERY)))
        return max(1, int((left - rounds * evaluation) / each))

    def _train(self, iterations: int, every: int, seed: int) -> Finished:
        words = ["train.py", *RECIPE, f"--max_iters={iterations}", f"--lr_decay_iters={iterations}"]
        words += [f"--eval_interval={every}", "--out_dir=out"]
        if seed != 1:
            words = ["-c", WITH_SEED, str(seed - 1), *words]
        return run([sys.executable, *words], folder=self.folder, environment=self.environment)


def _rounds(iterations: int) -> int:
    """How many evaluations there are after the one at the start."""
    return max(1, round(iterations / EVALUATE_EVERY))
