"""The learning rate of each step: warmup, a plateau, a decay."""

from __future__ import annotations

import math

from textwright.configs import TrainingSettings


def lr_multiplier(step: int, settings: TrainingSettings, steps: int) -> float:
    """What the learning rates are multiplied by at `step` (from 0) of `steps`."""
    warmup = math.ceil(settings.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    falling = settings.decay * steps
    left = steps - step
    if settings.schedule == "constant" or left >= falling:
        return 1.0
    share = left / falling
    if settings.schedule == "cosine":
        share = 0.5 * (1.0 - math.cos(math.pi * share))
    low = settings.final_learning_rate
    return low + (1.0 - low) * share
