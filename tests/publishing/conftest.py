"""Neighbours that these tests share, and the end of what other packages leave open."""

import asyncio
import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]


@pytest.fixture(scope="module")
def nothing_left_open() -> Iterator[None]:
    """What Gradio and Jupyter leave open is closed, or collected, before another module begins.

    Both make an event loop for the thread that starts them (`gradio.utils.safe_get_stop_event`,
    `jupyter_core.utils.ensure_event_loop`), which nobody closes. Its sockets would be found, and
    be an error, in whatever test runs when another loop takes its place.
    """
    yield
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter("ignore", DeprecationWarning)  # there is none, says Python 3.12
        asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
