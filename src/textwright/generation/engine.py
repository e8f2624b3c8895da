"""Many texts at once: jobs join and leave a running batch at any token.

One lock guards the schedule; each worker thread takes the jobs whose turn it is, brings them one
token or one chunk of a prompt further, and puts them back. The arithmetic happens outside the lock
and, in a compiled runtime, outside Python's own, so workers fill as many cores. A row of a batch is
bit for bit what its text would give alone, each job has its own random stream, and prompts are cut
the same way by everybody: so a job's text does not depend on who else is there.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Unpack

from textwright.errors import BusyError, ClosedError, RequestError, TextwrightError
from textwright.generation.generator import Generator
from textwright.generation.jobs import Job, Listener
from textwright.generation.requests import Options, check
from textwright.generation.results import Generation
from textwright.generation.runtime import Floats
from textwright.generation.sampling import check_seed
from textwright.generation.schedule import Schedule, Turn, over

SLOTS = 64
"""Jobs that are written at once, where nothing else is said."""
WAITING = 64
"""Jobs that may wait for a slot, where nothing else is said."""
SWEEP = 0.05
"""Seconds between looks at whether somebody waits in vain."""

logger = logging.getLogger("textwright")


class Observer(Protocol):
    """Who keeps count; called in threads of the engine, must be quick and must not raise."""

    def first_token(self, job: Job) -> None: ...

    def ended(self, job: Job) -> None: ...


@dataclass
class Step:
    """What a turn came to."""

    read: int = 0
    """Tokens of prompts."""
    drawn: int = 0
    """Tokens of continuations."""
    begun: list[Job] = field(default_factory=list)
    """Jobs that got on or ended, because the one that read for them did."""


class Engine:
    """Writes many texts at once, on several threads; may be used from any thread.

    Attributes:
        prompt_tokens, generated_tokens: by model name, since it was made.
    """

    def __init__(
        self,
        *,
        slots: int = SLOTS,
        waiting: int = WAITING,
        workers: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        """
        Args:
            slots: texts that are written at once, at most.
            waiting: texts that may wait for a slot.
            workers: threads; one a core where it is None.
            observer: is told of each job's first token and end.

        Raises:
            RequestError: a number is out of range.
        """
        workers = usable_cores() if workers is None else workers
        if slots < 1 or waiting < 0 or workers < 1:
            raise RequestError("an engine needs a slot and a worker at least, and no less than 0")
        self.slots, self.places = slots, slots + waiting
        self.prompt_tokens: Counter[str] = Counter()
        self.generated_tokens: Counter[str] = Counter()
        self._schedule = Schedule(slots, workers)
        self._observer = observer
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)  # there is work, or the end has come
        self._idle_workers = 0
        self._closed = False
        self._swept = 0.0
        self._seconds = 1.0  # that a job takes, of late
        self._threads: list[threading.Thread] = []

    # What is asked of it

    def stream(
        self,
        generator: Generator,
        prompt: str = "",
        *,
        seconds: float | None = None,
        **options: Unpack[Options],
    ) -> Job:
        """Continue `prompt`; iterate over the job for its pieces, or ask for its `result`.

        Args:
            generator: the model; several may be written with at once.
            prompt: text.
            seconds: after so many the text ends with what there is.
            options: as for `Generator.stream`.

        Raises:
            RequestError: a setting is out of range.
            BusyError: as many wait already as may.
            ClosedError: the engine was closed.
        """
        return self.streams(generator, prompt, 1, seconds=seconds, **options)[0]

    def streams(
        self,
        generator: Generator,
        prompt: str = "",
        count: int = 1,
        *,
        seconds: float | None = None,
        **options: Unpack[Options],
    ) -> list[Job]:
        """`count` continuations with the seeds `seed`, `seed` + 1 …; the prompt is read once."""
        request = check(options, generator.defaults)
        if count < 1:
            raise RequestError(f"count must be at least 1, not {count}")
        check_seed(request.seed + count - 1)
        encoded = generator.encode_prompt(prompt, strict=request.strict)
        jobs = [
            Job(generator, encoded, request, request.seed + number, seconds=seconds)
            for number in range(count)
        ]
        self.submit(jobs)
        return jobs

    def generate(
        self,
        generator: Generator,
        prompt: str = "",
        *,
        seconds: float | None = None,
        **options: Unpack[Options],
    ) -> Generation:
        """As `stream`, and wait for the whole."""
        return self.stream(generator, prompt, seconds=seconds, **options).result()

    def submit(self, jobs: Sequence[Job], listener: Listener | None = None) -> None:
        """Take on all of `jobs`, or none. Neighbours of one `Prompt` object are read once.

        Args:
            jobs: new ones.
            listener: is told of their news, in place of who waits for each.

        Raises:
            RequestError: they are more than could ever be taken on at once.
            BusyError: there aren't that many places now; nothing has changed.
            ClosedError: the engine was closed.
        """
        if len(jobs) > self.places:
            raise RequestError(
                f"{len(jobs)} texts at once are too many; {self.places} can be taken on at most"
            )
        now = time.monotonic()
        with self._lock:
            if self._closed:
                raise ClosedError("shutting down; no more texts are taken on")
            self._drop_waiting(now)
            taken = len(self._schedule.jobs)
            if taken + len(jobs) > self.places:
                raise BusyError(
                    f"busy with {taken} texts; try again in a moment", self._retry_after()
                )
            self._start_workers()
            for job in jobs:
                job.submitted = now
                if listener is not None:
                    job.listener = listener
            self._schedule.add(jobs)
            self._news.notify()

    @property
    def running(self) -> int:
        """Jobs that have a slot."""
        return self._schedule.running

    @property
    def waiting(self) -> int:
        """Jobs that wait for one."""
        return self._schedule.waiting

    def close(self, *, cancel: bool = False, timeout: float | None = None) -> bool:
        """Take on no more, and finish what there is.

        Args:
            cancel: cancel it instead.
            timeout: seconds to wait; after them what is left is cancelled.

        Returns:
            Whether everything was finished.
        """
        with self._lock:
            self._closed = True
            if cancel:
                self._cancel_all()
            self._news.notify_all()
        finished = not cancel
        if not self._join(timeout):
            finished = False
            with self._lock:
                self._cancel_all()
            self._join(None)
        return finished

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close(cancel=True)

    # The work

    def _start_workers(self) -> None:
        """Once there is something to do: an engine that nobody uses has no threads."""
        while len(self._threads) < self._schedule.workers:
            thread = threading.Thread(
                target=self._work, name=f"textwright-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                while (turn := self._schedule.next()) is None:
                    if self._closed and not self._schedule.jobs:
                        self._news.notify_all()
                        return
                    self._idle_workers += 1
                    self._news.wait()
                    self._idle_workers -= 1
                if self._idle_workers and not self._schedule.idle:
                    self._news.notify()
            self._take_turn(turn)

    def _take_turn(self, turn: Turn) -> None:
        """Bring jobs of one model one step further, and tell who listens."""
        now = time.monotonic()
        joined: list[Job] = []
        going = []
        for job in turn.jobs:
            if over(job, now):
                joined += self._end_early(job, now)
            else:
                going.append(job)
        step = self._advance(going) if going else Step()
        joined += step.begun
        with self._lock:
            for job in turn.jobs:
                self._move_on(job, turn.wrote)
            for job in joined:
                self._move_on(job, False)
            self.prompt_tokens[turn.jobs[0].generator.name] += step.read
            self.generated_tokens[turn.jobs[0].generator.name] += step.drawn
            self._schedule.admit()
            self._drop_waiting(now)
        self._tell([*turn.jobs, *joined])

    def _move_on(self, job: Job, wrote: bool) -> None:
        if job.done:
            self._schedule.leave(job, wrote=wrote)
        else:
            self._schedule.put_back(job, wrote=wrote)

    def _advance(self, jobs: list[Job]) -> Step:
        """Read a chunk or a token of each, and draw where all is read."""
        step = Step()
        cursors = [job.cursor for job in jobs if job.cursor is not None]
        pieces = [cursor.chunk() for cursor in cursors]
        try:
            logits, states = jobs[0].generator.runtime.batch(
                pieces, [cursor.state for cursor in cursors]
            )
        except Exception as error:
            for job in jobs:
                step.begun += self._fail(job, error)
            return step
        for job, cursor, piece, row, state in zip(
            jobs, cursors, pieces, logits, states, strict=True
        ):
            cursor.advance(row, state)
            if not job.tokens:
                step.read += len(piece)
            if cursor.unread:
                continue
            for sibling in job.siblings:
                sibling.cursor = cursor.copy()
                step.begun.append(sibling)
                step.drawn += self._draw(sibling, row)
            job.siblings = []
            step.drawn += self._draw(job, row)
        return step

    def _draw(self, job: Job, logits: Floats) -> bool:
        """Draw a job's next token; whether there was one."""
        first = job.first_token is None
        try:
            drawn = job.continuation.push(logits)
        except Exception as error:
            self._fail(job, error)
            return False
        if first:
            job.first_token = time.monotonic()
            if self._observer is not None:
                self._observer.first_token(job)
        if job.continuation.finish_reason is not None:
            self._finish(job)
        elif drawn is not None:
            assert job.cursor is not None
            job.cursor.read((drawn[0],))
            job.push_ready()
        return drawn is not None

    def _end_early(self, job: Job, now: float) -> list[Job]:
        """End a job that was cancelled or is out of time; who reads on for its siblings."""
        heirs = job.siblings[:1]
        for heir in heirs:
            heir.siblings, heir.cursor = job.siblings[1:], job.cursor
        job.siblings = []
        if not job.cancelled:
            job.continuation.end("length")
        self._finish(job)
        return heirs

    def _fail(self, job: Job, error: Exception) -> list[Job]:
        """A job can't go on; its siblings can't begin."""
        if not isinstance(error, TextwrightError):
            logger.error("the engine failed on a text", exc_info=error)
            error = TextwrightError(f"generating failed ({type(error).__name__})")
        siblings, job.siblings = job.siblings, []
        for failed in (job, *siblings):
            self._finish(failed, error)
        return siblings

    def _finish(self, job: Job, error: TextwrightError | None = None) -> None:
        now = time.monotonic()
        job.finish(now, error)
        self._seconds += 0.1 * (now - (job.submitted or now) - self._seconds)
        if self._observer is not None:
            self._observer.ended(job)

    def _tell(self, jobs: Sequence[Job]) -> None:
        """Each listener once, of all its jobs."""
        by_listener: dict[int, list[Job]] = {}
        for job in jobs:
            by_listener.setdefault(id(job.listener), []).append(job)
        for news in by_listener.values():
            news[0].listener.changed(news)

    def _drop_waiting(self, now: float) -> None:
        """End those who wait in vain; the lock is held."""
        if now - self._swept < SWEEP or not self._schedule.waiting:
            return
        self._swept = now
        self._end_waiting(self._schedule.drop_waiting(now), now)

    def _end_waiting(self, jobs: list[Job], now: float) -> None:
        for job in jobs:
            if not job.cancelled:
                job.continuation.end("length")
            self._finish(job)
        self._tell(jobs)

    def _cancel_all(self) -> None:
        for job in self._schedule.jobs:
            job.cancel()
        now = time.monotonic()
        self._end_waiting(self._schedule.drop_waiting(now), now)

    def _retry_after(self) -> float:
        """Seconds until a place may be free, by how long a text takes of late."""
        return min(30.0, max(1.0, self._seconds * self._schedule.waiting / self.slots))

    def _join(self, timeout: float | None) -> bool:
        until = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
