"""Many texts at once: jobs join and leave a running batch at any token.

One lock guards the schedule; each worker thread takes the jobs whose turn it is, brings them one
token or one chunk of a prompt further, and puts them back. The arithmetic happens outside the lock
and, in a compiled runtime, outside Python's own, so workers fill as many cores. A row of a batch is
bit for bit what its text would give alone, each job has its own random stream, and prompts are cut
the same way by everybody: so a job's text does not depend on who else is there.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Unpack

from textwright import machine
from textwright.engine.job import Job, Listener
from textwright.engine.scheduler import Schedule, Turn
from textwright.engine.step import Observer, Steps
from textwright.errors import BusyError, ClosedError, RequestError
from textwright.generation.generator import Generator
from textwright.generation.options import Options, check
from textwright.generation.results import Generation
from textwright.generation.sampling import check_seed

SLOTS = 64
"""Jobs that are written at once, where nothing else is said."""
WAITING = 64
"""Jobs that may wait for a slot, where nothing else is said."""
SWEEP = 0.05
"""Seconds between looks at whether somebody waits in vain."""


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
        workers = machine.cores() if workers is None else workers
        if slots < 1 or waiting < 0 or workers < 1:
            raise RequestError("an engine needs a slot and a worker at least, and no less than 0")
        self.slots, self.places = slots, slots + waiting
        self.prompt_tokens: Counter[str] = Counter()
        self.generated_tokens: Counter[str] = Counter()
        self._schedule = Schedule(slots, workers)
        self._steps = Steps(observer)
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)  # there is work, or the end has come
        self._idle_workers = 0
        self._closed = False
        self._swept = 0.0
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
        step = self._steps.take(turn.jobs)
        name = turn.jobs[0].generator.name
        with self._lock:
            for job in turn.jobs:
                self._move_on(job, turn.wrote)
            for job in step.joined:
                self._move_on(job, False)
            self.prompt_tokens[name] += step.read
            self.generated_tokens[name] += step.drawn
            self._schedule.admit()
            self._drop_waiting(time.monotonic())
        self._tell([*turn.jobs, *step.joined])

    def _move_on(self, job: Job, wrote: bool) -> None:
        if job.done:
            self._schedule.leave(job, wrote=wrote)
        else:
            self._schedule.put_back(job, wrote=wrote)

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
        self._end_waiting(now)

    def _end_waiting(self, now: float) -> None:
        dropped = self._schedule.drop_waiting(now)
        self._steps.end_waiting(dropped)
        self._tell(dropped)

    def _cancel_all(self) -> None:
        for job in self._schedule.jobs:
            job.cancel()
        self._end_waiting(time.monotonic())

    def _retry_after(self) -> float:
        """Seconds until a place may be free, by how long a text takes of late."""
        return min(30.0, max(1.0, self._steps.seconds * self._schedule.waiting / self.slots))

    def _join(self, timeout: float | None) -> bool:
        until = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
