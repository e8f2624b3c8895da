"""Continuous batching: jobs join and leave a running batch at any step.

One lock guards the scheduler; each worker thread takes a batch, brings its jobs a few tokens or one
chunk of a prompt further, and requeues them. The arithmetic happens outside the lock and, in a
compiled runtime, outside the GIL, so N workers use N cores. A row of a batch is bit for bit what
its text would give alone, each job has its own random stream, and a prompt is always cut into the
same chunks: so a job's text does not depend on the other jobs.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Unpack

from textwright import machine
from textwright.engine.job import Job, Listener, Work
from textwright.engine.prefix_cache import MEMORY as PREFIX_MEMORY
from textwright.engine.prefix_cache import PrefixCache
from textwright.engine.scheduler import ScheduledBatch, Scheduler
from textwright.engine.step import Observer, StepRunner
from textwright.errors import BusyError, ClosedError, RequestError, counted
from textwright.generation.generator import Generator
from textwright.generation.options import Options, check
from textwright.generation.results import Generation
from textwright.generation.sampling import check_seed

SLOTS = 64
"""Jobs that run at once, by default."""
WAITING = 64
"""Jobs that may wait for a slot, by default."""
EXPIRY_INTERVAL = 0.05
"""Seconds between searches for waiting jobs that expired."""


class Engine:
    """Writes many texts at once, on several threads; may be used from any thread.

    Attributes:
        prompt_tokens, cached_tokens, generated_tokens: counts by model name, since it was made.
    """

    def __init__(
        self,
        *,
        slots: int = SLOTS,
        waiting: int = WAITING,
        share: int | None = None,
        workers: int | None = None,
        prefix_memory: int = PREFIX_MEMORY,
        observer: Observer | None = None,
    ) -> None:
        """
        Args:
            slots: texts that are written at once, at most.
            waiting: texts that may wait for a slot.
            share: slots that one client may have, so that others find some free, and in that
                proportion all that it may have under way; as many as there are where it is None.
            workers: threads; one a core where it is None.
            prefix_memory: bytes of states of prompts that are kept, so that none is read twice.
            observer: called at each job's first token and end.

        Raises:
            RequestError: a number is out of range.
        """
        workers = machine.cores() if workers is None else workers
        if slots < 1 or waiting < 0 or workers < 1 or (share is not None and share < 1):
            raise RequestError("an engine needs a slot and a worker at least, and no less than 0")
        self.slots, self.capacity = slots, slots + waiting
        share = min(slots, share or slots)
        self._client_capacity = max(share, self.capacity * share // slots)
        self.prompt_tokens: Counter[str] = Counter()
        self.generated_tokens: Counter[str] = Counter()
        self.cached_tokens: Counter[str] = Counter()
        self._scheduler = Scheduler(slots, workers, share)
        self._runner = StepRunner(observer, PrefixCache(prefix_memory))
        self._lock = threading.Lock()
        self._wakeup = threading.Condition(self._lock)  # notified of work, and of `close`
        self._idle_workers = 0
        self._closed = False
        self._last_expiry = 0.0
        self._threads: list[threading.Thread] = []

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
            seconds: after so many the text ends as it is then.
            options: as for `Generator.stream`.

        Raises:
            RequestError: a setting is out of range.
            BusyError: all places to wait are taken.
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
        """As `stream`, and wait for its end."""
        return self.stream(generator, prompt, seconds=seconds, **options).result()

    def submit(
        self,
        jobs: Sequence[Work],
        listener: Listener | None = None,
        *,
        client: str | None = None,
    ) -> None:
        """Queue all of `jobs`, or none. Neighbours with one `Prompt` object read it once for all.

        Args:
            jobs: new ones.
            listener: called after each step, in place of the one that `Job.wait` waits for.
            client: whose share they count towards; None: nobody's.

        Raises:
            RequestError: they are more than the engine has places, or the client may have.
            BusyError: there aren't that many places now; nothing was queued.
            ClosedError: the engine was closed.
        """
        most = self.capacity if client is None else self._client_capacity
        if len(jobs) > most:
            raise RequestError(
                f"{len(jobs)} texts at once are too many; {most} can be taken on at most"
            )
        now = time.monotonic()
        with self._lock:
            if self._closed:
                raise ClosedError("shutting down; no more texts are taken on")
            self._drop_expired(now)
            count = len(self._scheduler.jobs)
            if count + len(jobs) > self.capacity:
                raise BusyError(
                    f"busy with {counted(count, 'text')}; try again in a moment",
                    self._retry_after(),
                )
            if client is not None:
                own = sum(job.client == client for job in self._scheduler.jobs)
                if own + len(jobs) > most:
                    raise BusyError(
                        f"busy with {counted(own, 'text')} of this client; try again in a moment",
                        self._retry_after(),
                    )
            self._start_workers()
            for job in jobs:
                job.submitted, job.client = now, client
                if listener is not None:
                    job.listener = listener
            self._scheduler.add(jobs)
            self._wakeup.notify()

    @property
    def running(self) -> int:
        """Jobs that have a slot."""
        return self._scheduler.running

    @property
    def waiting(self) -> int:
        """Jobs that wait for one."""
        return self._scheduler.waiting

    def close(self, *, cancel: bool = False, timeout: float | None = None) -> bool:
        """Refuse new jobs and wait for the others to finish.

        Args:
            cancel: cancel them instead.
            timeout: seconds to wait; after them the rest is cancelled.

        Returns:
            Whether every job was finished.
        """
        with self._lock:
            self._closed = True
            if cancel:
                self._cancel_all()
            self._wakeup.notify_all()
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

    def _start_workers(self) -> None:
        """At the first job, so that an unused engine has no threads."""
        while len(self._threads) < self._scheduler.workers:
            thread = threading.Thread(
                target=self._work, name=f"textwright-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                while (batch := self._scheduler.next_batch()) is None:
                    if self._closed and not self._scheduler.jobs:
                        self._wakeup.notify_all()
                        return
                    self._idle_workers += 1
                    self._wakeup.wait()
                    self._idle_workers -= 1
                if self._idle_workers and not self._scheduler.idle:
                    self._wakeup.notify()
            self._run_batch(batch)

    def _run_batch(self, batch: ScheduledBatch) -> None:
        """Bring a batch one step further, requeue its jobs and notify their listeners."""
        result = self._runner.run(batch.jobs, ahead=batch.alone)
        name = batch.jobs[0].generator.name
        with self._lock:
            for job in batch.jobs:
                self._requeue_or_release(job, batch.decoding)
            for job in result.siblings:
                self._requeue_or_release(job, False)
            self.prompt_tokens[name] += result.prompt_tokens
            self.generated_tokens[name] += result.generated_tokens
            self.cached_tokens[name] += result.cached_tokens
            self._scheduler.admit()
            self._drop_expired(time.monotonic())
        self._notify([*batch.jobs, *result.siblings])

    def _requeue_or_release(self, job: Work, decoding: bool) -> None:
        if job.done:
            self._scheduler.release(job, decoding=decoding)
        else:
            self._scheduler.requeue(job, decoding=decoding)

    def _notify(self, jobs: Sequence[Work]) -> None:
        """Call each listener once, with all its jobs."""
        by_listener: dict[int, list[Work]] = {}
        for job in jobs:
            by_listener.setdefault(id(job.listener), []).append(job)
        for changed in by_listener.values():
            changed[0].listener.changed(changed)

    def _drop_expired(self, now: float) -> None:
        """End waiting jobs that expired, if it is time to look; the caller holds the lock."""
        if now - self._last_expiry < EXPIRY_INTERVAL or not self._scheduler.waiting:
            return
        self._last_expiry = now
        self._end_waiting(now)

    def _end_waiting(self, now: float) -> None:
        dropped = self._scheduler.drop_expired(now)
        self._runner.end_waiting(dropped)
        self._notify(dropped)

    def _cancel_all(self) -> None:
        for job in self._scheduler.jobs:
            job.cancel()
        self._end_waiting(time.monotonic())

    def _retry_after(self) -> float:
        """Seconds until the waiting jobs should have run, by how long recent ones took; 1 to 30."""
        seconds = self._runner.mean_job_seconds * self._scheduler.waiting / self.slots
        return min(30.0, max(1.0, seconds))

    def _join(self, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
