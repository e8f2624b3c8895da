"""Dropout whose masks are a pure function of (seed, step, sample index, layer, element).

A run that is resumed, or that spreads its batch over more workers or smaller micro-batches, must
draw the same masks for the same sample, which a generator's state could not guarantee. So the mask
is a counter-based hash: each element's index is mixed with its sample's key. The mixer
is `lowbias32` (Chris Wellons, "Prospecting for Hash Functions", 2018), elementwise in int32, so
one definition holds on every device and a compiler can fuse it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

_GOLDEN = 0x9E3779B9 - (1 << 32)  # the int32 with these bits: spreads consecutive numbers


def _signed(bits: int) -> int:
    """The int32 with these 32 bits."""
    return bits - (1 << 32) if bits >= 1 << 31 else bits


def _mix(x: Tensor) -> Tensor:
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * _signed(0x846CA68B)
    return x ^ ((x >> 16) & 0xFFFF)


def dropout_keys(seed: int, step: int, first_sample: int, samples: int) -> Tensor:
    """Keys for consecutive samples of a step's batch, (samples,) int32, on the CPU."""
    words = [
        np.random.SeedSequence((seed, step, first_sample + index)).generate_state(1)[0]
        for index in range(samples)
    ]
    return torch.from_numpy(np.array(words, dtype=np.uint32).view(np.int32))


class Dropout(nn.Module):
    """Zero each element with probability `p` while training, and scale the rest by 1 / (1 - p).

    Args:
        p: the probability, 0 ≤ p < 1.
        place: an index, different for each Dropout of a model, so that their masks differ.
        over_time: whether all time steps of a sample share one mask: variational dropout for
            recurrent layers (Gal and Ghahramani, "A Theoretically Grounded Application of Dropout
            in Recurrent Neural Networks", 2016), which costs next to nothing.
    """

    keys: Tensor | None

    def __init__(self, p: float, place: int, *, over_time: bool = False) -> None:
        super().__init__()
        self.p = p
        self.place = place
        self.over_time = over_time
        self.keys = None

    def forward(self, x: Tensor) -> Tensor:
        """`x` is (batch, time, width), the batch that of the keys."""
        if not self.training or self.p == 0.0:
            return x
        if self.keys is None:
            raise RuntimeError("dropout needs keys: call set_dropout_keys before training passes")
        masked = x[:, :1] if self.over_time else x
        element = torch.arange(masked[0].numel(), dtype=torch.int32, device=x.device) * _GOLDEN
        key = _mix(self.keys + _signed(self.place * 0x3C6EF372 & 0xFFFFFFFF))
        bits = _mix(element + key[:, None]) & 0x7FFFFFFF
        keep = (bits >= int(self.p * (1 << 31))).view(masked.shape)
        return x * keep * (1.0 / (1.0 - self.p))
