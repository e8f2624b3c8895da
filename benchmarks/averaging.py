"""Several networks of one text, their logits added up: what that gains, with n-grams and without.

    python benchmarks/averaging.py RUN RUN [RUN …]

The runs learned the same text with the same tokenizer. Weights (one a network; one more for the
n-grams of that text) are fitted on the first half of the held-out text, the bits a character are of
the second half, the state carried through. One JSON object for each run by itself, and one for all.
"""

from __future__ import annotations

import argparse
import json
import math
import time

import numpy as np
import torch
from numpy.typing import NDArray

from textwright import runs
from textwright.companion.counting import NGramModel
from textwright.companion.mixing import Companion, MixedState, Mixer
from textwright.companion.table import make_table
from textwright.data import prepare_tokens
from textwright.data.training_corpus import find_training_corpus
from textwright.models import LanguageModel
from textwright.models.base import load_model
from textwright.tokenizers import Tokenizer
from textwright.training.companion import ORDERS, fit_weights

CHUNK = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+")
    names = parser.parse_args().runs
    found = [runs.find(name) for name in names]
    begin = time.process_time()
    corpus, tokenizer = find_training_corpus(found[0]), Tokenizer.load(found[0])
    train = prepare_tokens(corpus.train, tokenizer).array().astype(np.int64)
    ids = prepare_tokens(corpus.validation, tokenizer).array().astype(np.int64)
    order = ORDERS[tokenizer.kind]
    table = make_table(NGramModel(train, np.zeros(1, np.int64), tokenizer.vocab_size, order))
    networks = [collect(load_model(run, "cpu").eval(), ids) for run in found]
    mixer = Mixer(Companion(0.0, 1.0), table)
    counted = np.zeros_like(networks[0])
    mixer.read(ids[:-1], MixedState(None, mixer.initial_state()), counted)
    for name, network in zip(names, networks, strict=True):
        report(name, [network], counted, ids[1:])
    if len(names) > 1:
        report("all", networks, counted, ids[1:])
    print(json.dumps({"cpu_s": round(time.process_time() - begin, 1)}))


def collect(model: LanguageModel, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits at each place of the text, (T, V)."""
    state, logits = None, []
    with torch.inference_mode():
        for begin in range(0, len(ids) - 1, CHUNK):
            inputs = torch.from_numpy(ids[begin : min(begin + CHUNK, len(ids) - 1)])[None]
            own, state = model(inputs, state)
            logits.append(own[0].float().numpy())
    return np.concatenate(logits)


def report(
    name: str,
    networks: list[NDArray[np.float32]],
    counted: NDArray[np.float32],
    targets: NDArray[np.int64],
) -> None:
    """Print the bits a character of the second half: as they are, weighted, with the n-grams."""
    half = len(targets) // 2
    record: dict[str, object] = {"run": name}
    equal = np.full(len(networks), 1 / len(networks))
    second = [one[half:] for one in networks]
    record["added_up"] = bits(second, targets[half:], equal)
    for label, scores in (("weighted", networks), ("with_ngrams", [*networks, counted])):
        weights, _ = fit_weights([one[:half] for one in scores], targets[:half])
        measured = bits([one[half:] for one in scores], targets[half:], np.array(weights))
        record |= {label: measured, f"{label}_weights": weights}
    print(json.dumps(record), flush=True)


def bits(
    scores: list[NDArray[np.float32]], targets: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Bits a token of the softmax of the weighted sum of `scores`."""
    total = sum(weight * one for weight, one in zip(weights, scores, strict=True))
    logits = torch.as_tensor(total)
    return float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets))) / math.log(2)


if __name__ == "__main__":
    main()
