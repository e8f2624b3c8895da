"""Running the app: socket, event loop, signals."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from textwright.engine import Engine
from textwright.errors import RequestError
from textwright.serving.protocol import Protocol
from textwright.serving.settings import ServerSettings

SWITCH_INTERVAL = 0.0005
"""Seconds after which the event loop and the engine's threads hand each other Python's global lock.
Python's default, 5 ms, is longer than a token takes."""

GRACE_SECONDS = 5
"""After `drain`, to answer the clients whose texts were not finished."""

MAX_CONNECTIONS = 8192
"""That are taken at once, where the system allows it."""
RESERVED_FILES = 64
"""Descriptors for anything but connections; half of them where there are fewer than twice that."""


logger = logging.getLogger("textwright")


class _Server(uvicorn.Server):
    """Closes the engine when it shuts down, so that texts which take too long get an error
    response: uvicorn would just drop their connections."""

    def __init__(self, config: uvicorn.Config, engine: Engine, drain: float) -> None:
        super().__init__(config)
        self._engine, self._drain = engine, drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        # What is here by now stays: looked through in every full collection, in whatever thread
        # that falls, it would hold everybody up for tens of milliseconds
        gc.collect()
        gc.freeze()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        closing = asyncio.create_task(asyncio.to_thread(self._engine.close, timeout=self._drain))
        await super().shutdown(sockets)
        await closing


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 chooses a free port.

    Raises:
        RequestError: the address is in use, or not this machine's.
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
    """Serve until SIGTERM or SIGINT: then finish the running requests, and return."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    count = _allow_connections(MAX_CONNECTIONS)
    config = uvicorn.Config(
        app,
        http=type("Connection", (Protocol,), {"max_connections": count}),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.drain) + GRACE_SECONDS,
        timeout_keep_alive=75,
        ws="none",
    )
    # uvicorn raises the signal again after its shutdown, which would end this process by it
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _Server(config, app.state.service.engine, settings.drain).run(sockets=[at])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _allow_connections(count: int) -> int:
    """Let this process have `count` connections, as far as the system does: each is an open file,
    of which without being asked macOS allows 256, Linux 1,024. Windows has no such limit.

    Returns:
        How many it may have.
    """
    if sys.platform == "win32":
        return count
    import resource

    files = count + RESERVED_FILES
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if most == resource.RLIM_INFINITY else min(files, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(OSError, ValueError):  # macOS has a second limit, which it tells nobody
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            now = wanted
    if now == resource.RLIM_INFINITY:
        return count
    return min(count, max(now - RESERVED_FILES, now // 2))


class LoopErrors:
    """The event loop's handler of errors that nobody awaits: one line a second of each kind, where
    asyncio writes a traceback for every connection that it can't accept."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message, error = str(context.get("message", "")), context.get("exception")
        now = loop.time()
        if now - self._last.get(message, -1.0) < 1.0:
            return
        self._last[message] = now
        if isinstance(error, OSError):
            logger.error(f"{message}: {error}")
        else:
            logger.error(message, exc_info=error)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Uvicorn's own handler has shut the server down by now."""
