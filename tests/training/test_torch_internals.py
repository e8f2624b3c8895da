"""What of torch's is used though torch doesn't promise it: that it is there, and does the same.

A release of torch that changes one of these fails here, by name, before it fails in a training.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch.optim.adamw import adamw


@pytest.mark.parametrize("name", ["_foreach_lerp_", "_foreach_lerp", "_foreach_mul_"])
def test_muon_needs_these_of_torch(name: str) -> None:
    assert hasattr(torch, name), f"torch.{name} is gone: training/optim/muon.py uses it"


def test_foreach_does_to_each_what_its_name_says() -> None:
    starts, ends = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])], [torch.ones(2), torch.zeros(1)]
    halfway = torch._foreach_lerp(starts, ends, 0.5)
    assert [one.tolist() for one in halfway] == [[1.0, 1.5], [1.5]]
    assert [one.tolist() for one in starts] == [[1.0, 2.0], [3.0]]
    torch._foreach_lerp_(starts, ends, 0.25)
    assert [one.tolist() for one in starts] == [[1.0, 1.75], [2.25]]
    torch._foreach_mul_(starts, 2)
    assert [one.tolist() for one in starts] == [[2.0, 3.5], [4.5]]


def test_adamw_is_a_function_with_the_names_that_are_passed() -> None:
    passed = {"fused", "amsgrad", "beta1", "beta2", "lr", "weight_decay", "eps", "maximize"}
    missing = passed - inspect.signature(adamw).parameters.keys()
    assert not missing, f"torch.optim.adamw.adamw lacks {missing}: training/optim/adamw.py"
