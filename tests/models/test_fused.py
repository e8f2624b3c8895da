"""The kernels of training beside the same in torch: one step's loss and every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from textwright.configs import GPTConfig, TransformerConfig
from textwright.kernels import VARIABLE, available
from textwright.models import LanguageModel, build, fused
from textwright.models.base import Dropout, dropout_keys

BUILDS = available()[0]
SHAPES = {
    "gpt": GPTConfig(
        vocab_size=40, num_layers=2, hidden_size=64, num_heads=2, block_size=48,
        intermediate_size=80, dropout=0.2,
    ),
    "heads of 64": GPTConfig(
        vocab_size=40, num_layers=1, hidden_size=128, num_heads=2, block_size=16,
    ),
    "no multiple of 16": GPTConfig(
        vocab_size=40, num_layers=2, hidden_size=64, num_heads=2, block_size=40,
        intermediate_size=72,
    ),
    "transformer": TransformerConfig(
        vocab_size=40, num_layers=2, hidden_size=96, num_heads=3, block_size=32, dropout=0.2,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _there_are_kernels() -> None:
    if not BUILDS:
        pytest.skip("needs compiled kernels: install a C compiler, then `python hatch_build.py`")


def learned(model: LanguageModel, form: torch.dtype) -> dict[str, Tensor]:
    """The loss of three samples, and the gradient of each parameter."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(40, (3, model.config.block_size + 1), generator=generator)
    model.set_dropout_keys(dropout_keys(1, 2, 0, 3))
    with torch.autocast("cpu", form, enabled=form != torch.float32):
        logits, _ = model(tokens[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
    loss.backward()
    found = {"loss": loss.detach()}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        found[name], parameter.grad = parameter.grad, None
    return found


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("form", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_kernels_and_torch_learn_the_same(
    name: str, form: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(SHAPES[name], seed=1).train()
    generator = torch.Generator().manual_seed(4)
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(
                parameter, std=0.1, generator=generator
            )  # what begins as nothing has gradients too
    monkeypatch.setenv(VARIABLE, "off")
    in_torch = learned(model, form)
    least, near = (1e-6, 1e-5) if form == torch.float32 else (2e-3, 0.1)
    for kernels in BUILDS:
        monkeypatch.setenv(VARIABLE, kernels)
        for part, tensor in learned(model, form).items():
            apart = (tensor - in_torch[part]).norm()
            assert apart <= least + near * in_torch[part].norm(), f"{kernels}, {part}"


def test_masks_are_the_same_bits_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    dropout = Dropout(0.3, place=5).train()
    dropout.keys = dropout_keys(1, 2, 7, 4)
    x = torch.randn(4, 9, 48, generator=torch.Generator().manual_seed(1))
    for kernels in BUILDS:
        monkeypatch.setenv(VARIABLE, kernels)
        added = x.clone().requires_grad_()
        total = fused.add(torch.zeros_like(x), added, dropout)
        total.sum().backward()
        assert torch.equal(total, dropout(x))
        assert torch.equal(added.grad, dropout(torch.ones_like(x)))


def test_kernels_are_in_use_where_they_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a comparison of two ways can't see: that it compares one with itself."""
    called: list[str] = []
    call = fused._call
    monkeypatch.setattr(
        fused, "_call", lambda name, *rest: (called.append(name), call(name, *rest))
    )
    learned(build(SHAPES["gpt"], seed=1).train(), torch.float32)
    forwards = {"norm", "split_heads", "attention_weights", "add_dropped", "gated"}
    assert set(called) == forwards | {f"{name}_backward" for name in forwards}
    called.clear()
    monkeypatch.setenv(VARIABLE, "off")
    learned(build(SHAPES["gpt"], seed=1).train(), torch.float32)
    assert not called
