"""What attention models do between their products, each in one pass over memory, both ways.

At the sizes that processors train, these passes took most of a step: torch has a call, and a pass,
for each multiplication and each change of format. Each function here is an autograd function of its
own over `kernels/training.c`, and beside it the same in torch: where there are no kernels, on other
devices, for sizes that don't fill vectors, and inside what `torch.compile` makes.

The residual stream is float32, what goes into products is in the format of autocast. Shards call
these on threads of their own: ctypes leaves Python's lock while C computes.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from textwright.kernels import kernels
from textwright.kernels.structures import Heads
from textwright.models.base import Dropout

_LANES = 16
_LONGEST = 256
"""Positions whose scores are computed as one matrix a head; flash attention does more in less."""
_FORMATS = (torch.float32, torch.bfloat16)


def _call(name: str, *arguments: Any) -> None:
    """Call a kernel; a tensor is handed over as its address, a float as C's."""
    library = kernels().library
    assert library is not None
    getattr(library, name)(*map(_argument, arguments))


def _argument(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_float(value) if isinstance(value, float) else value


def _fits(*tensors: Tensor) -> bool:
    """Whether the kernels can do these, whose last dimensions are what they take in vectors."""
    return (
        all(
            one.device.type == "cpu" and one.dtype in _FORMATS and one.shape[-1] % _LANES == 0
            for one in tensors
        )
        and not torch.compiler.is_compiling()
        and kernels().library is not None
    )


def _format_of_products() -> torch.dtype:
    """What autocast would have products take on a processor."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return torch.float32


def _narrow(tensor: Tensor) -> int:
    return int(tensor.dtype == torch.bfloat16)


class RMSNorm(nn.RMSNorm):
    """RMSNorm (Zhang and Sennrich, 2019) of the residual stream, in the format of products."""

    eps: float

    def forward(self, x: Tensor) -> Tensor:
        form = _format_of_products()
        if x.dtype == torch.float32 and form in _FORMATS and _fits(x, self.weight):
            return _RMSNorm.apply(x, self.weight, self.eps, form)
        return super().forward(x)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, form: torch.dtype) -> Tensor:
        x = x.contiguous()
        y = torch.empty_like(x, dtype=form)
        width = x.shape[-1]
        _call("norm", x.numel() // width, width, x, weight, eps, y, _narrow(y))
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy, dx, d_weight = dy.contiguous(), torch.empty_like(x), torch.zeros_like(weight)
        width = x.shape[-1]
        _call(
            "norm_backward", x.numel() // width, width, x, weight, ctx.eps, dy, dx, d_weight,
            _narrow(dy),
        )  # fmt: skip
        return dx, d_weight, None, None


def add(x: Tensor, added: Tensor, dropout: Dropout) -> Tensor:
    """`x + dropout(added)`, both (batch, time, width); the sum is float32, as the first is."""
    if x.dtype == torch.float32 and _fits(x, added):
        return _Add.apply(x, added, dropout.drawn())
    return x + dropout(added)


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, added: Tensor, mask: tuple[Tensor | None, int, float]
    ) -> Tensor:
        added, total = added.contiguous(), torch.empty_like(x)
        _call(
            "add_dropped", len(x), x[0].numel(), x.contiguous(), added, *mask, total, _narrow(added)
        )
        ctx.mask, ctx.form = mask, added.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradient.contiguous()
        added = torch.empty_like(gradient, dtype=ctx.form)
        _call(
            "add_dropped_backward", len(added), added[0].numel(), gradient, *ctx.mask, added,
            _narrow(added),
        )  # fmt: skip
        return gradient, added, None


def gated(both: Tensor) -> Tensor:
    """silu(gate) · up, of (…, gates and as many that they let through)."""
    if _fits(both) and both.shape[-1] % (2 * _LANES) == 0:
        return _Gated.apply(both)
    gate, up = both.chunk(2, dim=-1)
    return F.silu(gate) * up


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        both = both.contiguous()
        inner = both.shape[-1] // 2
        y = both.new_empty(*both.shape[:-1], inner)
        _call("gated", y.numel() // inner, inner, both, y, _narrow(both))
        ctx.save_for_backward(both)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        dy, d_both, inner = dy.contiguous(), torch.empty_like(both), both.shape[-1] // 2
        _call("gated_backward", dy.numel() // inner, inner, both, dy, d_both, _narrow(both))
        return d_both


class Rotation(NamedTuple):
    """Of the positions of a piece of text, (time, head_size) each."""

    cos: Tensor
    sin: Tensor


def split_heads(
    qkv: Tensor, query_norm: nn.RMSNorm, key_norm: nn.RMSNorm, rotation: Rotation
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, (batch, heads, time, head_size) each; the first two normalised and
    turned by their positions, in the half-split form.

    Args:
        qkv: (batch, time, 3 × heads × head_size).
    """
    size = rotation.cos.shape[-1]
    weights = query_norm.weight, key_norm.weight
    if _fits(qkv) and size % (2 * _LANES) == 0 and size <= 128:
        eps = query_norm.eps
        return _SplitHeads.apply(qkv, *weights, *rotation, eps)
    q, k, v = qkv.unflatten(-1, (-1, size)).transpose(1, 2).chunk(3, dim=1)
    return rotate(query_norm(q), *rotation), rotate(key_norm(k), *rotation), v


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (x[i], x[i + half]) of a head by the angle of its position."""
    left, right = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat((-right, left), dim=-1) * sin.to(x.dtype)


class _SplitHeads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, q_norm: Tensor, k_norm: Tensor, cos: Tensor, sin: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        qkv, size = qkv.contiguous(), cos.shape[-1]
        samples, time, width = qkv.shape
        heads = width // (3 * size)
        outputs = tuple(qkv.new_empty(samples, heads, time, size) for _ in range(3))
        addresses = [one.data_ptr() for one in (q_norm, k_norm, cos, sin)]
        shape = Heads(samples, time, heads, size, eps, *addresses)
        _call("split_heads", ctypes.byref(shape), qkv, *outputs, _narrow(qkv))
        ctx.save_for_backward(qkv, q_norm, k_norm, cos, sin)
        ctx.shape = shape
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        qkv, q_norm, k_norm, *_ = ctx.saved_tensors
        d_qkv = torch.empty_like(qkv)
        d_q_norm, d_k_norm = torch.zeros_like(q_norm), torch.zeros_like(k_norm)
        _call(
            "split_heads_backward", ctypes.byref(ctx.shape), qkv,
            *(one.contiguous() for one in gradients), d_qkv, d_q_norm, d_k_norm, _narrow(qkv),
        )  # fmt: skip
        return d_qkv, d_q_norm, d_k_norm, None, None, None


def fits_attention(queries: Tensor, keys: Tensor) -> bool:
    """Whether `attention` has a faster way for these than torch's."""
    time = queries.shape[2]
    return (
        _LANES <= time == keys.shape[2] <= _LONGEST
        and time % _LANES == 0
        and queries.dtype == keys.dtype
        and _fits(queries)
    )


def attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal attention of positions that see one another alone, (batch, heads, time, size) each."""
    return _Attention.apply(queries, keys, values)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        q, k, v = (one.contiguous().flatten(0, 1) for one in (queries, keys, values))
        weights = torch.bmm(q, k.mT)
        heads, time, size = q.shape
        _call("attention_weights", heads, time, size**-0.5, weights, _narrow(q))
        ctx.save_for_backward(q, k, v, weights)
        return torch.bmm(weights, v).view(queries.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        q, k, v, weights = ctx.saved_tensors
        heads, time, size = q.shape
        of_mixed = gradient.contiguous().flatten(0, 1)
        of_scores = torch.bmm(of_mixed, v.mT)
        _call("attention_weights_backward", heads, time, size**-0.5, weights, of_scores, _narrow(q))
        of_each = (
            torch.bmm(of_scores, k),
            torch.bmm(of_scores.mT, q),
            torch.bmm(weights.mT, of_mixed),
        )
        return tuple(one.view(gradient.shape) for one in of_each)
