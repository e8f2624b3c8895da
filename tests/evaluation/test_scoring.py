"""Evaluating a run: whatever precision its weights are stored in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import textwright
from textwright.evaluation import score
from textwright.models.loading import load_model


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_widened(text_file: Path, precision: torch.dtype) -> None:
    run = textwright.train(text_file, model="gpt", size="nano", steps=1)
    loss = score(run).loss
    halves = {name: tensor.to(precision) for name, tensor in load_file(run.weights_file).items()}
    save_file(halves, run.weights_file)
    model = load_model(run)
    for name, tensor in model.weights().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, halves[name].float())
    assert score(run).loss == pytest.approx(loss, abs=0.01)
