"""Work beside the engine that keeps a core busy for a second or more: a model as a file, a look
inside it, the search in its training text. One piece at a time, and few wait for their turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from textwright.errors import BusyError, DeadlineError
from textwright.serving.hosts import CLIENT

WAITING = 8
"""Requests that may wait for their turn."""
SHARE = 6
"""Of those, and the one whose turn it is, that one client may have."""

Result = TypeVar("Result")


class Turns:
    """A thread of its own, and the requests that wait for it; used in the event loop alone."""

    def __init__(self, seconds: float) -> None:
        """
        Args:
            seconds: that a request waits at most.
        """
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="textwright-turns")
        self._taken = 0
        self._of_clients: Counter[str] = Counter()

    async def run(self, http: Request, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call `function` in the thread, when it is its turn.

        Raises:
            BusyError: too many wait, or too many of this client.
            ClientDisconnect: the client hung up; where it still waited, nothing is called.
            DeadlineError: it took too long.
        """
        if self._taken > WAITING:
            raise BusyError(
                f"the server is busy with {self._taken} requests like this; try again in a moment",
                2.0,
            )
        client = http.scope.get(CLIENT)
        if client is not None and self._of_clients[client] >= SHARE:
            raise BusyError(
                f"the server is busy with {SHARE} requests like this of yours; try again in a "
                "moment", 2.0
            )  # fmt: skip
        loop = asyncio.get_running_loop()
        self._taken += 1
        if client is not None:
            self._of_clients[client] += 1
        call = self._thread.submit(function, *arguments)

        def ended(_: Future[Result]) -> None:
            loop.call_soon_threadsafe(self._free, client)

        call.add_done_callback(ended)
        result = asyncio.wrap_future(call)
        hang_up = asyncio.ensure_future(_hang_up(http.receive))
        try:
            both: set[asyncio.Future[Any]] = {result, hang_up}
            await asyncio.wait(both, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            if hang_up.done():
                raise ClientDisconnect
            raise DeadlineError(
                f"it was not done within {self._seconds} seconds, the most that one may take"
            )
        finally:
            hang_up.cancel()
            result.cancel()  # takes it out of the queue, where it wasn't begun

    def _free(self, client: str | None) -> None:
        self._taken -= 1
        if client is not None:
            self._of_clients -= Counter((client,))  # which also forgets who has none


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
