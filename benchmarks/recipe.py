"""What each part of the recipe is worth: variants of one training, by validation loss and CPU time.

    TEXTWRIGHT_CORPORA=DIR python benchmarks/recipe.py [--only SUBSTRING] [--jobs N] [--seeds 1 2 3]

Every variant is `textwright train shakespeare` on one thread, as a process of its own, with the
options in `VARIANTS`; the losses are those of the run's metrics, over the whole validation text.
The table goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

LSTM = "--model lstm --size nano --set model.dropout=0"
GPT = "--model gpt --size nano"

VARIANTS = {
    # Which sizes learn enough in two minutes of a processor
    "nano lstm": "--model lstm --size nano --steps 1000",
    "nano gru": "--model gru --size nano --steps 750",
    "nano rnn": "--model rnn --size nano --steps 1000",
    "nano gpt": f"{GPT} --steps 1000",
    "nano transformer": "--model transformer --size nano --steps 1000",
    # What each part of an LSTM's recipe is worth
    "lstm": f"{LSTM} --steps 1000",
    "lstm, AdamW alone": f"{LSTM} --steps 1000 --set training.optimizer=adamw",
    "lstm, Muon's rate 0.02": f"{LSTM} --steps 1000 --set training.matrix_learning_rate=0.02",
    "lstm, Muon's rate 0.05": f"{LSTM} --steps 1000 --set training.matrix_learning_rate=0.05",
    "lstm, AdamW's rate 0.004": f"{LSTM} --steps 1000 --set training.learning_rate=0.004",
    "lstm, AdamW's rate 0.016": f"{LSTM} --steps 1000 --set training.learning_rate=0.016",
    "lstm, weight decay 0": f"{LSTM} --steps 1000 --set training.weight_decay=0",
    "lstm, weight decay 0.1": f"{LSTM} --steps 1000 --set training.weight_decay=0.1",
    "lstm, momentum 0.95": f"{LSTM} --steps 1000 --set training.momentum=0.95",
    "lstm, one layer": f"{LSTM} --steps 2000 --set model.num_layers=1",
    # And of a GPT's
    "gpt": f"{GPT} --steps 1500",
    "gpt, AdamW alone": f"{GPT} --steps 1500 --set training.optimizer=adamw",
    "gpt, Muon's rate 0.03": f"{GPT} --steps 1500 --set training.matrix_learning_rate=0.03",
    "gpt, five narrow layers": f"{GPT} --steps 1500 --set model.num_layers=5"
    " --set model.intermediate_size=256",
    # Dropout by how often the text is read
    "lstm, 10 epochs, no dropout": f"{LSTM} --steps 4900",
    "lstm, 10 epochs, dropout 0.1": "--model lstm --size nano --steps 4900 --set model.dropout=0.1",
    "lstm, 10 epochs, dropout 0.2": "--model lstm --size nano --steps 4900 --set model.dropout=0.2",
    # Characters or byte pairs, in about the same time
    "lstm, characters": f"{LSTM} --steps 1527",
    "lstm, BPE of 512": f"{LSTM} --tokenizer bpe --vocab-size 512 --steps 1300",
    "gpt, characters": f"{GPT} --steps 1500",
    "gpt, BPE of 512": f"{GPT} --tokenizer bpe --vocab-size 512 --steps 1450",
    # Precision and compilation on a processor
    "lstm, float32": f"{LSTM} --steps 1000 --set training.precision=float32",
    "gpt, float32": f"{GPT} --steps 300 --set training.precision=float32",
    "gpt, compiled": f"{GPT} --steps 300 --set training.compile=on",
}


@dataclass(frozen=True)
class Outcome:
    val_loss: float
    val_bits_per_char: float
    parameters: int
    tokens_per_second: float
    cpu_seconds: float


def train(options: str, seed: int, threads: int, corpus: str = "shakespeare") -> Outcome:
    """Run `textwright train` on `corpus`, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "textwright", "train", corpus, "--runs", folder]
        words += [*shlex.split(options), "--seed", str(seed), "--json"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
        )
        assert process.stdout is not None
        lines = [json.loads(line) for line in process.stdout]
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"failed: {shlex.join(words)}")
    return Outcome(
        lines[-1]["val_loss"],
        lines[-1]["val_bits_per_char"],
        lines[0]["plan"]["parameters"],
        lines[-2]["tokens_per_second"],
        used.ru_utime + used.ru_stime,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default="", help="variants whose name has this in it")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    arguments = parser.parse_args()
    print(
        f"{'variant':32} {'seed':>4} {'params':>9} {'val loss':>8} {'bits/chr':>8} "
        f"{'tokens/s':>8} {'CPU s':>6}"
    )
    tasks = [
        (name, options, seed)
        for name, options in VARIANTS.items()
        if arguments.only in name
        for seed in arguments.seeds
    ]

    def one(task: tuple[str, str, int]) -> None:
        name, options, seed = task
        outcome = train(f"{options} --eval-every 250", seed, arguments.threads)
        print(
            f"{name:32} {seed:4} {outcome.parameters:9,} {outcome.val_loss:8.4f} "
            f"{outcome.val_bits_per_char:8.4f} "
            f"{outcome.tokens_per_second:8,.0f} {outcome.cpu_seconds:6.1f}",
            flush=True,
        )

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(one, tasks))


if __name__ == "__main__":
    main()
