"""Evaluating a run: whatever precision its weights are stored in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import textwright
from textwright.evaluation import score
from textwright.models.base import load_model

TINY = ["model.hidden_size=32", "model.num_layers=1", "model.num_heads=1", "training.batch_size=2"]
TINY += ["training.companion=off"]


def test_half_precision_weights_are_widened(text_file: Path) -> None:
    run = textwright.train(text_file, model="gpt", steps=1, changes=TINY)
    loss = score(run).loss
    whole = load_file(run.weights_file)
    for precision in (torch.float16, torch.bfloat16):
        halves = {name: tensor.to(precision) for name, tensor in whole.items()}
        save_file(halves, run.weights_file)
        model = load_model(run)
        for name, tensor in model.weights().items():
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor, halves[name].float())
        assert score(run).loss == pytest.approx(loss, abs=0.01)
