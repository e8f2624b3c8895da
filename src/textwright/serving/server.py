"""Running the app: a socket, a loop, signals."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from textwright.engine import Engine
from textwright.errors import RequestError
from textwright.serving.settings import ServerSettings

SWITCH_INTERVAL = 0.0005
"""Seconds that the event loop and the engine's threads hold Python's lock at most while the other
waits. Python's own 5 ms are longer than a token takes."""


LAST_WORDS = 5
"""Seconds that those have who must be told that their text was not finished."""


class _Server(uvicorn.Server):
    """Ends texts that take too long itself: uvicorn would cut them off without a word."""

    def __init__(self, config: uvicorn.Config, engine: Engine, drain: float) -> None:
        super().__init__(config)
        self._engine, self._drain = engine, drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.create_task(asyncio.to_thread(self._engine.close, timeout=self._drain))
        await super().shutdown(sockets)
        await ending


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; the port 0 takes a free one.

    Raises:
        RequestError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RequestError(
            f"can't listen on {host} port {port}: {reason}; choose another --host or --port"
        ) from error


def run(app: FastAPI, at: socket.socket, settings: ServerSettings) -> None:
    """Serve until a signal comes: then take no more, finish what is under way, and return."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.drain) + LAST_WORDS,
        timeout_keep_alive=75,
        ws="none",
    )
    # uvicorn raises a signal anew when it is done; that it ended as it was told to is no failure
    before = {each: signal.signal(each, _heard) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        _Server(config, app.state.service.engine, settings.drain).run(sockets=[at])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _heard(number: int, frame: FrameType | None) -> None:
    """The signal has been obeyed already."""
