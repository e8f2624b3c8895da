"""Trains two small models on the processor that this runs on, and prints their losses as JSON.

    python train_on_processor.py FOLDER

`emulated.py --train` runs it here and on another. Ten steps in float32; the runs go into FOLDER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

import textwright

SETTINGS = (
    "model.num_layers=1",
    "model.hidden_size=32",
    "model.block_size=32",
    "training.batch_size=4",
    "training.precision=float32",
)
TEXT = Path(__file__).resolve().parents[2] / "LICENSE"


def trained(model: str, runs: Path) -> dict[str, Any]:
    """The losses of ten steps, and what the model writes then."""
    heads = ["model.num_heads=1"] if model == "gpt" else []
    run = textwright.train(
        TEXT, model=model, steps=10, changes=[*SETTINGS, *heads], seed=1, runs_folder=runs
    )
    losses = [record["train_loss"] for record in run.metrics() if record.get("train_loss")]
    text = textwright.load(run).generate("The", max_tokens=20, temperature=0).text
    return {"losses": losses, "text": text}


def main() -> None:
    folder = Path(sys.argv[1])
    models = {model: trained(model, folder) for model in ("lstm", "gpt")}
    print(json.dumps({"torch": torch.__version__, "models": models}))


if __name__ == "__main__":
    main()
