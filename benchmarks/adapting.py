"""Learning while it reads: what the text so far, learned from, adds to a recurrent model.

    python benchmarks/adapting.py RUN [--rates 0.0003 0.001] [--recount 2048]

Dynamic evaluation (Krause et al., 2018): each 32 characters of the held-out text are predicted,
then learned from by one step of Adam on all weights. With `--recount` the companion learns too:
after so many characters its n-grams are counted anew, in the training text and all that was read
since; its weights stay. The rate is chosen on the first half; the numbers are of either half, bits
a character, with the state carried through. One JSON object a rate. No adaptive number is to be
compared with a static one.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from textwright import runs
from textwright.companion.counting import NGramModel
from textwright.companion.mixing import Companion, MixedState, Mixer
from textwright.companion.table import make_table
from textwright.data import prepare_tokens
from textwright.data.training_corpus import find_training_corpus
from textwright.models.base import load_model
from textwright.tokenizers import Tokenizer
from textwright.training.loop.evaluation import CompanionModel

CHUNK = 32
REREAD = 512
"""Characters after which the state of a new table is what it would be, and a line has begun."""


def counted(companion: Companion, text: np.ndarray) -> tuple[Companion, Tensor]:
    """`companion` with its n-grams counted in `text`, and the state of its table after that."""
    old = companion.table
    assert old is not None, "what has no table counts nothing"
    grams = NGramModel(text, np.zeros(1, np.int64), old.vocab_size, old.order, old.folded)
    table = make_table(grams)
    companion = replace(companion, table=table)
    mixer = Mixer(companion, table)
    nodes, tail = mixer.initial_state(), text[-REREAD:]
    mixer.read(tail, MixedState(None, nodes), np.zeros((len(tail), old.vocab_size), np.float32))
    return companion, torch.from_numpy(nodes)[None]


def read(
    run: runs.Run, ids: np.ndarray, rate: float, before: np.ndarray, recount: int
) -> tuple[list[float], list[float]]:
    """Nats of each token but the first, by the network alone and with the run's companion.

    Args:
        run: what reads.
        ids: what is read, (n,).
        rate: Adam's; 0: the network learns nothing.
        before: the training text, (m,), which `ids` goes on from.
        recount: after how many tokens the companion counts anew; 0: never.
    """
    network = load_model(run, "cpu").eval()
    size = network.config.vocab_size
    beside = Companion.read(run.companion_file, size) if run.companion_file.is_file() else None
    model = CompanionModel(network, beside) if beside else None
    optimizer = torch.optim.Adam(network.parameters(), rate, betas=(0.9, 0.99))
    state = mixed_state = None
    alone: list[float] = []
    mixed: list[float] = []
    for begin in range(0, len(ids) - 1, CHUNK):
        piece = torch.from_numpy(ids[begin : begin + CHUNK + 1])[None]
        inputs, targets = piece[:, :-1], piece[0, 1:]
        if model is not None and beside is not None:
            if recount and begin and begin % recount < CHUNK:
                beside, nodes = counted(beside, np.concatenate((before, ids[:begin])))
                model = CompanionModel(network, beside)
                assert mixed_state is not None, "something was read"
                mixed_state = {**mixed_state, "companion": nodes}
            with torch.no_grad():
                both, mixed_state = model(inputs, mixed_state)
                mixed += _nats(both[0], targets)
        logits, after = network(inputs, state)
        loss = torch.nn.functional.cross_entropy(logits[0], targets, reduction="none")
        alone += loss.detach().tolist()
        if rate:
            optimizer.zero_grad()
            loss.mean().backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        state = {name: value.detach() for name, value in after.items()}
    return alone, mixed


def _nats(logits: Tensor, targets: Tensor) -> list[float]:
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none").tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0, 0.0001, 0.0003, 0.001])
    parser.add_argument("--recount", type=int, default=0, metavar="CHARACTERS")
    options = parser.parse_args()
    run = runs.find(options.run)
    corpus, tokenizer = find_training_corpus(run), Tokenizer.load(run)
    before, ids = (
        prepare_tokens(part, tokenizer).array().astype(np.int64)
        for part in (corpus.train, corpus.validation)
    )
    half = len(ids) // 2
    for rate in options.rates:
        begin = time.process_time()
        alone, mixed = read(run, ids, rate, before, options.recount)
        record = {"run": run.name, "rate": rate, "recount": options.recount}
        for name, nats in (("alone", alone), ("with_companion", mixed)):
            if nats:
                bits = [sum(part) / len(part) / math.log(2) for part in (nats[:half], nats[half:])]
                record |= {f"{name}_first_half": bits[0], f"{name}_second_half": bits[1]}
        print(json.dumps({**record, "cpu_s": time.process_time() - begin}), flush=True)


if __name__ == "__main__":
    main()
