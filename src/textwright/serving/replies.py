"""From the engine's threads to the event loop: one wake-up for the tokens of many streams.

At 64 streams the event loop is the bottleneck. So it isn't woken for each token of each stream but
once for all, every few milliseconds at most; each stream then sends all that it has at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from textwright.engine import Job, Work
from textwright.errors import ClosedError

_NO, _LATER, _NOW = 0, 1, 2  # whether a wake-up of the event loop is scheduled


class Reply:
    """The jobs of one request, for the coroutine that responds to it."""

    def __init__(self, jobs: Sequence[Work], streams: bool) -> None:
        """
        Args:
            jobs: submitted, or about to be.
            streams: whether each token is an event; else only the end of a job is.
        """
        self.jobs = jobs
        self.streams = streams
        self.disconnected = False
        """Whether the client has hung up."""
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def next_event(self) -> None:
        """Wait until a job has new tokens or has ended.

        Raises:
            ClientDisconnect: the client hung up.
        """
        await self._event.wait()
        self._event.clear()
        if self.disconnected:
            raise ClientDisconnect

    async def finished(self) -> None:
        """Wait until all jobs are done.

        Raises:
            ClientDisconnect: the client hung up.
            TextwrightError: a job failed.
        """
        while not all(job.done for job in self.jobs):
            await self.next_event()
        self.check()

    async def until(self, work: Work) -> None:
        """Wait until one of the jobs is done; errors as for `finished`."""
        while not work.done:
            await self.next_event()
        self.wake()  # what came of the others meanwhile is still to be looked at
        if work.outcome in ("error", "cancelled"):
            self.check()

    def check(self) -> None:
        """Raise the error of a job that failed, or `ClosedError` for one that was cancelled."""
        for job in self.jobs:
            if job.error is not None:
                raise job.error
            if job.outcome == "cancelled":
                raise ClosedError(
                    "the server is shutting down, and the text was not finished; try again later"
                )

    async def chunks(
        self, jobs: Sequence[Job], write: Callable[[int, str, int, bool], bytes], *, large: bool
    ) -> AsyncGenerator[bytes]:
        """What `write` makes of the new text of jobs, all that an event brings together.

        Args:
            write: (index, text, tokens, done) → bytes for what job `index` has written since, which
                may be nothing; `tokens`: how many tokens of the job, from its first, the text
                reaches at least.
            large: whether it takes long to make: then the event loop doesn't wait for it.

        Raises:
            ClientDisconnect: the client hung up.
            TextwrightError: a job failed.
        """
        open_jobs = dict(enumerate(jobs))

        def collect() -> bytes:
            made = []
            for index, job in list(open_jobs.items()):
                done = job.done  # read before `take`, which must not miss the last text
                tokens = len(job.logprobs)
                text = job.take()
                if done:
                    if job.outcome in ("error", "cancelled"):
                        self.check()
                    del open_jobs[index]
                made.append(write(index, text, tokens, done))
            return b"".join(made)

        while open_jobs:
            await self.next_event()
            chunks = await asyncio.to_thread(collect) if large else collect()
            if chunks:
                yield chunks

    def cancel(self) -> None:
        for job in self.jobs:
            job.cancel()

    async def watch(self, receive: Receive) -> None:
        """Cancel everything when the client hangs up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected = True
        self.cancel()
        self.wake()


class Bridge:
    """The engine's `Listener` for the jobs of all requests."""

    def __init__(self, interval: float) -> None:
        """
        Args:
            interval: least seconds between two wake-ups.
        """
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._replies: dict[Work, Reply] = {}
        self._lock = threading.Lock()
        self._changed: list[Work] = []
        self._scheduled = _NO
        self._last = 0.0

    def add(self, reply: Reply) -> None:
        """Wake `reply` when its jobs change."""
        for job in reply.jobs:
            self._replies[job] = reply

    def remove(self, reply: Reply) -> None:
        for job in reply.jobs:
            self._replies.pop(job, None)

    def changed(self, jobs: Sequence[Work]) -> None:
        """See `Listener`: called in the engine's threads."""
        # first tokens and ends are not delayed: they are rare, and latency is measured by them
        is_urgent = any(job.done or job.is_first for job in jobs)
        schedule = _NOW if is_urgent else _LATER
        with self._lock:
            self._changed += jobs
            if self._scheduled >= schedule:
                return
            self._scheduled = schedule
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._wake if is_urgent else self._wake_later)

    def _wake_later(self) -> None:
        wait = self._last + self._interval - self._loop.time()
        if wait <= 0:
            self._wake()
        else:
            self._loop.call_later(wait, self._wake)

    def _wake(self) -> None:
        with self._lock:
            changed, self._changed, self._scheduled = self._changed, [], _NO
        self._last = self._loop.time()
        for job in changed:
            reply = self._replies.get(job)
            if reply is not None and (reply.streams or job.done):
                reply.wake()
