"""Muon in blocks, compiled and by torch, beside torch's own of whole matrices."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from small_models import small_config
from textwright.configs import TrainingSettings
from textwright.kernels import VARIABLE, available
from textwright.models import build
from textwright.training.optim import muon
from textwright.training.optim.muon import Muon
from textwright.training.optim.optimizer import Optimizers

WAYS = ["off", *available()[0]]
SHAPES = [(16, 16), (16, 16), (40, 16), (16, 40), (3, 70), (300, 260), (1, 1), (16, 16)]


def trained(torchs: bool, steps: int, rows: int = muon.BLOCK) -> tuple[list[Tensor], list[Tensor]]:
    """Matrices and their momenta after so many steps, of ours or of torch's."""
    draw = torch.Generator().manual_seed(7)
    matrices = [torch.randn(shape, generator=draw) for shape in SHAPES]
    ours = Muon(matrices, weight_decay=0.03, momentum=0.9, rows=rows)
    theirs = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.03, momentum=0.9)
    for _ in range(steps):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=draw)
        if torchs:
            theirs.step()
        else:
            ours.step(0.02)
    states = [theirs.state[matrix] for matrix in matrices] if torchs else ours.state
    return matrices, [state["momentum_buffer"] for state in states]


def laid_out(by_columns: bool, gap: int) -> list[Tensor]:
    """Matrices of many shapes, with a gap of so many numbers after each line in memory."""
    draw = torch.Generator().manual_seed(7)
    sides = [1, 3, 64, 65, 130]
    made = []
    for shape in product(sides, sides):
        lines, length = reversed(shape) if by_columns else shape
        matrix = torch.randn(lines, length + gap, generator=draw)[:, :length]
        made.append(matrix.T if by_columns else matrix)
    return made


@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize("rows", [muon.BLOCK, 0, 20])
@pytest.mark.parametrize("way", WAYS[1:])
def test_compiled_it_is_what_torch_does(
    way: str, rows: int, by_columns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for kernels in ("off", way, way):
        monkeypatch.setenv(VARIABLE, kernels)
        matrices = laid_out(by_columns, 5)
        optimizer = Muon(matrices, weight_decay=0.03, momentum=0.9, rows=rows)
        draw = torch.Generator().manual_seed(3)
        for _ in range(3):
            for matrix in matrices:
                matrix.grad = torch.empty_strided(matrix.shape, matrix.stride())
                matrix.grad.copy_(torch.randn(matrix.shape, generator=draw))
            optimizer.step(0.1)
        found.append((matrices, [state["momentum_buffer"] for state in optimizer.state]))
    (by_torch, momenta), (compiled, other_momenta), again = found
    for mine, other in zip(compiled, by_torch, strict=True):
        assert not torch.equal(mine, other) or mine.numel() == 1
        assert torch.allclose(mine, other, rtol=0, atol=1e-4), mine.shape
    for mine, other in zip(other_momenta, momenta, strict=True):
        assert torch.allclose(mine, other, rtol=0, atol=1e-6), mine.shape
    assert all(map(torch.equal, [*compiled, *other_momenta], [*again[0], *again[1]]))


def test_a_gradient_that_lies_otherwise_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for kernels in ("off", "auto"):
        monkeypatch.setenv(VARIABLE, kernels)
        matrix = torch.zeros(40, 24)
        matrix.grad = torch.randn(24, 40, generator=torch.Generator().manual_seed(3)).T
        Muon([matrix], weight_decay=0.1, momentum=0.9).step(0.1)
        found.append(matrix)
    assert torch.equal(*found)


def test_with_their_polynomial_the_same_numbers_as_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    monkeypatch.setattr(muon, "_POLYNOMIALS", ((3.4445, -4.7750, 2.0315),) * 5)
    monkeypatch.setattr(muon, "_MARGIN", 1.0)
    ours, our_momenta = trained(torchs=False, steps=3, rows=0)
    theirs, their_momenta = trained(torchs=True, steps=3)
    for shape, mine, other in zip(SHAPES, ours, theirs, strict=True):
        # Theirs are products of bfloat16
        assert torch.allclose(mine, other, atol=2e-3), shape
    assert all(map(torch.equal, our_momenta, their_momenta))


@pytest.mark.parametrize("way", WAYS)
def test_small_singular_values_become_nearly_one_too(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, way)
    draw = torch.Generator().manual_seed(3)
    left, right = (torch.linalg.qr(torch.randn(40, 40, generator=draw))[0] for _ in range(2))
    values = torch.logspace(0, -2.3, 40)  # their norm is 2.1: down to 0.0024 of it
    matrix = torch.zeros(40, 40)
    optimizer = Muon([matrix], weight_decay=0.0, momentum=0.0)
    matrix.grad = left @ values.diag() @ right
    optimizer.step(1.0)
    found = torch.linalg.svdvals(matrix)
    assert found.max() < 1.22 and found[:36].min() > 0.78
    aligned = -(left.T @ matrix @ right.T).diagonal()  # in the same directions
    assert torch.allclose(aligned.sort(descending=True).values, found, atol=1e-3)


def test_no_matrix_depends_on_which_others_there_are() -> None:
    draw = torch.Generator().manual_seed(1)
    alone, beside = torch.randn(16, 40, generator=draw), torch.randn(16, 40, generator=draw)
    gradients = [torch.randn(16, 40, generator=draw) for _ in range(2)]
    together = [alone.clone(), beside.clone()]
    for matrices in ([alone], together):
        optimizer = Muon(matrices, weight_decay=0.1, momentum=0.95)
        for matrix, gradient in zip(matrices, gradients, strict=False):
            matrix.grad = gradient
        optimizer.step(0.02)
    assert torch.allclose(alone, together[0], atol=2e-3)


@pytest.mark.parametrize("way", WAYS)
def test_a_zero_gradient_moves_nothing_but_the_decay(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, way)
    matrix = torch.ones(4, 8)
    optimizer = Muon([matrix], weight_decay=0.1, momentum=0.95)
    matrix.grad = torch.zeros(4, 8)
    optimizer.step(0.5)
    assert torch.equal(matrix, torch.full((4, 8), 0.95))


@pytest.mark.parametrize("shape", [(130, 200), (200, 130)])
def test_blocks_of_the_shorter_side_are_each_orthogonalised(shape: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(5)
    whole = torch.zeros(shape)
    whole.grad = torch.randn(shape, generator=draw)
    Muon([whole], weight_decay=0.0, momentum=0.0).step(1.0)
    wide = whole if shape[0] < shape[1] else whole.T / (shape[0] / shape[1]) ** 0.5
    for block in (wide[:44], wide[44:88], wide[88:]):
        values = torch.linalg.svdvals(block)
        assert values.min() > 0.78 and values.max() < 1.22
    assert torch.linalg.svdvals(wide).max() > 1.22


@pytest.mark.parametrize("parent", [None, "another"])
def test_what_another_model_knows_is_changed_in_whole_matrices(parent: str | None) -> None:
    model = build(small_config("lstm", hidden_size=130))
    _, optimizer = Optimizers(model, TrainingSettings(parent=parent)).all
    matrix = max(optimizer.parameters, key=lambda one: min(one.shape))
    draw = torch.Generator().manual_seed(5)
    for one in optimizer.parameters:
        one.zero_().grad = torch.randn(one.shape, generator=draw)
    for task in optimizer.tasks(1.0):
        task()
    assert matrix.shape == (130, 130)
    assert (torch.linalg.svdvals(matrix).max() < 1.22) == (parent is not None)


def test_one_call_serves_all_matrices_of_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    product, batches = torch.bmm, []

    def counted(left: Tensor, right: Tensor) -> Tensor:
        batches.append(len(left))
        return product(left, right)

    monkeypatch.setenv(VARIABLE, "off")
    monkeypatch.setattr(torch, "bmm", counted)
    trained(torchs=False, steps=1)
    # Three of 16 × 16, the one that stands beside the one that lies, five blocks of one; two alone
    assert {size: batches.count(size) for size in batches} == {3: 11, 2: 11, 5: 11, 1: 22}


def test_on_a_processor_no_more_at_once_than_caches_hold() -> None:
    matrices = [torch.zeros(256, 256) for _ in range(12)]
    assert len(Muon(matrices, weight_decay=0.0, momentum=0.9).tasks(0.02)) == 3
