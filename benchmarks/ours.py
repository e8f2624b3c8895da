"""textwright as a process, and the text it trains on, to be measured beside something else."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from processes import run
from textwright.companion.mixing import Companion
from textwright.data import open_corpus, prepare_tokens
from textwright.data.training_corpus import open_training_corpus
from textwright.models.base import load_model
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.companion import add_companion
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.evaluation import CompanionModel, evaluate


class Textwright:
    """The command line, with one text to train on."""

    def __init__(self, text: str, folder: Path, threads: int) -> None:
        self.folder = folder
        self.text = folder / "text.txt"
        self.text.write_text(text, encoding="utf-8")
        self.environment = {
            "OMP_NUM_THREADS": str(threads),
            "TEXTWRIGHT_CACHE": str(folder / "cache"),
        }

    def train(self, options: str) -> dict[str, Any]:
        """A training from an empty cache: its plan, cost, run folder."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        words = ["train", str(self.text), "--runs", str(self.folder / "runs"), "--json"]
        words += ["--companion", "off"]  # networks are compared, and what they cost
        if self.environment["OMP_NUM_THREADS"] == "1":
            words += ["--set", "training.shards=1"]  # as one who has a single core would
        finished = run(self._command(*words, *shlex.split(options)), environment=self.environment)
        lines = [json.loads(line) for line in finished.output.splitlines()]
        return {
            **lines[0]["plan"],
            "steps": lines[-1]["steps"],
            "run": lines[-1]["run"],
            "cpu_seconds": finished.cpu_seconds,
            "wall_seconds": finished.wall_seconds,
        }

    def plan(self, options: str) -> dict[str, Any]:
        """What a training would be."""
        words = self._command("train", str(self.text), "--plan", "--json", *shlex.split(options))
        plan: dict[str, Any] = json.loads(run(words, environment=self.environment).output)
        return plan

    def score(self, path: str, *options: str) -> dict[str, Any]:
        """What `textwright eval` says of a run."""
        words = self._command("eval", path, "--json", "--companion", "off", *options)
        score: dict[str, Any] = json.loads(run(words, environment=self.environment).output)
        return score

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "textwright", *words]


def with_companion(path: str, window: int) -> tuple[float, float]:
    """Give a run the companion that it was trained without, as training would have.

    Returns:
        The loss of the network alone and with it, nats a token, in windows that don't overlap of
        the second half of the validation text: on the first its weights are fitted.
    """
    run = Run(Path(path))
    corpus, tokenizer = open_training_corpus(run), Tokenizer.load(run)
    texts = (corpus.train, corpus.validation)
    parts = (prepare_tokens(text, tokenizer, hidden=True) for text in texts)
    dataset = Dataset(corpus, tokenizer, *parts)
    tokens = dataset.validation.array()
    half = tokens[len(tokens) // 2 :]
    network = load_model(run, "cpu")
    alone = evaluate(network, half, window=window).loss
    if add_companion(run, dataset, "cpu") is None:  # it would help nothing
        return alone, alone
    companion = Companion.read(run.companion_file, tokenizer.vocab_size)
    return alone, evaluate(CompanionModel(network, companion), half, window=window).loss


def split_text(source: str) -> tuple[str, str]:
    """The text to train on and the text to validate on, as textwright prepares them."""
    corpus = open_corpus([os.path.expandvars(source)])
    return corpus.train.read(), corpus.validation.read()
