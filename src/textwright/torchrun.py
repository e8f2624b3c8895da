"""What torchrun tells a process: how many workers it started, and which one this is.

It does so in environment variables, which other programs set too, not always all of them. What
doesn't tell of several workers is a process by itself.
"""

from __future__ import annotations

import os

from textwright.errors import RequestError


def world_size() -> int:
    """How many workers there are, over all machines; 1 for a process by itself.

    Raises:
        RequestError: the variables contradict each other, or one is no number.
    """
    if "RANK" not in os.environ or (count := _number("WORLD_SIZE", 1)) <= 1:
        return 1
    if not 0 <= _number("RANK", 0) < count:
        raise RequestError(
            f"RANK is {os.environ['RANK']} and WORLD_SIZE {count}, but ranks go from 0 to "
            f"{count - 1}; {_REMEDY}"
        )
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if name not in os.environ:
            raise RequestError(
                f"RANK and WORLD_SIZE are set as for one of several workers, but {name}, where "
                f"they meet, is not; {_REMEDY}"
            )
    return count


def rank() -> int:
    """Which worker this is, from 0; 0 for a process by itself. Raises as `world_size` does."""
    return _number("RANK", 0) if world_size() > 1 else 0


def local_rank() -> int:
    """Which of this machine's workers this is, from 0."""
    return _number("LOCAL_RANK", 0) if world_size() > 1 else 0


def local_world_size() -> int:
    """How many workers this machine has."""
    return max(1, _number("LOCAL_WORLD_SIZE", 1)) if world_size() > 1 else 1


def environment_alone() -> dict[str, str]:
    """The environment for a process that a worker starts, which is none itself."""
    return {name: value for name, value in os.environ.items() if name not in _VARIABLES}


def is_first() -> bool:
    """Whether this is the process that decides, writes and tells. Raises as `world_size` does."""
    return rank() == 0


_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_REMEDY = "start several workers with torchrun, or unset RANK and WORLD_SIZE"


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise RequestError(f"{name} is {text!r}, which is no number; {_REMEDY}") from None
