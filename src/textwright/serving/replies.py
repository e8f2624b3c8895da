"""Between the engine's threads and the event loop: one waking for all the news of a step.

At 64 streams the event loop is what runs out first. So it isn't woken for a token of a stream but
once for all that came meanwhile, not more often than every few milliseconds; and each stream then
writes all that it has in one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from textwright.engine import Job
from textwright.errors import ClosedError


class Reply:
    """The jobs of one request, for the coroutine that answers it."""

    def __init__(self, jobs: Sequence[Job], streams: bool) -> None:
        """
        Args:
            jobs: submitted already or about to be.
            streams: whether every token is news; else only the end is.
        """
        self.jobs = jobs
        self.streams = streams
        self.gone = False
        """Whether the client has hung up."""
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def news(self) -> None:
        """Wait until there is something new.

        Raises:
            ClientDisconnect: nobody is left to be told.
        """
        await self._event.wait()
        self._event.clear()
        if self.gone:
            raise ClientDisconnect

    async def finished(self) -> None:
        """Wait until all jobs are done.

        Raises:
            ClientDisconnect: nobody is left to be told.
            TextwrightError: a job failed.
        """
        while not all(job.done for job in self.jobs):
            await self.news()
        self.check()

    def check(self) -> None:
        """Raise what one of the jobs failed with, if one did."""
        for job in self.jobs:
            if job.error is not None:
                raise job.error
            if job.outcome == "cancelled":
                raise ClosedError("shutting down; the text was not finished")

    def cancel(self) -> None:
        for job in self.jobs:
            job.cancel()

    async def watch(self, receive: Receive) -> None:
        """Cancel everything when the client hangs up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.cancel()
        self.wake()


class Bridge:
    """The engine's listener for all requests."""

    def __init__(self, interval: float) -> None:
        """
        Args:
            interval: seconds between two wakings, at least.
        """
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._replies: dict[Job, Reply] = {}
        self._lock = threading.Lock()
        self._news: list[Job] = []
        self._asked = 0
        self._last = 0.0

    def add(self, reply: Reply) -> None:
        """Have a reply woken by the news of its jobs."""
        for job in reply.jobs:
            self._replies[job] = reply

    def remove(self, reply: Reply) -> None:
        for job in reply.jobs:
            self._replies.pop(job, None)

    def changed(self, jobs: Sequence[Job]) -> None:
        """As `Listener` has it: in a thread of the engine."""
        # A first token, and an end, are rare, and somebody waits for them
        urgent = any(job.done or len(job.tokens) < 2 for job in jobs)
        asked = 2 if urgent else 1
        with self._lock:
            self._news += jobs
            if self._asked >= asked:
                return
            self._asked = asked
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._wake if urgent else self._wake_in_time)

    def _wake_in_time(self) -> None:
        wait = self._last + self._interval - self._loop.time()
        if wait <= 0:
            self._wake()
        else:
            self._loop.call_later(wait, self._wake)

    def _wake(self) -> None:
        with self._lock:
            news, self._news, self._asked = self._news, [], 0
        self._last = self._loop.time()
        for job in news:
            reply = self._replies.get(job)
            if reply is not None and (reply.streams or job.done):
                reply.wake()
