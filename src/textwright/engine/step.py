"""One step of some jobs: read a chunk of a prompt or a token of each, draw what comes next.

No lock and no queue here: who calls this has taken the jobs out of the schedule, so nobody else
touches them until they are put back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from textwright.arrays import Floats
from textwright.engine.job import Job
from textwright.engine.scheduler import over
from textwright.errors import TextwrightError

logger = logging.getLogger("textwright")


class Observer(Protocol):
    """Who keeps count; called in threads of the engine, must be quick and must not raise."""

    def first_token(self, job: Job) -> None: ...

    def ended(self, job: Job) -> None: ...


@dataclass
class Step:
    """What a step came to."""

    read: int = 0
    """Tokens of prompts."""
    drawn: int = 0
    """Tokens of continuations."""
    joined: list[Job] = field(default_factory=list)
    """Jobs that got on or ended, because the one that read for them did."""


class Steps:
    """Brings jobs forward; may be used by several threads, each with jobs of its own."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer
        self.seconds = 1.0
        """That a job takes, of late."""

    def take(self, jobs: Sequence[Job]) -> Step:
        """Bring jobs of one model one step further, or end those that end here anyhow."""
        now, step, going = time.monotonic(), Step(), []
        for job in jobs:
            if over(job, now):
                step.joined += self._end_early(job)
            else:
                going.append(job)
        if going:
            self._advance(going, step)
        return step

    def end_waiting(self, jobs: Sequence[Job]) -> None:
        """End jobs that never got a slot."""
        for job in jobs:
            if not job.cancelled:
                job.continuation.end("length")
            self._finish(job)

    def _advance(self, jobs: list[Job], step: Step) -> None:
        """Read a chunk or a token of each, and draw where all is read."""
        cursors = [job.cursor for job in jobs if job.cursor is not None]
        pieces = [cursor.chunk() for cursor in cursors]
        try:
            logits, states = jobs[0].generator.runtime.batch(
                pieces, [cursor.state for cursor in cursors]
            )
        except Exception as error:
            for job in jobs:
                step.joined += self._fail(job, error)
            return
        for job, cursor, piece, row, state in zip(
            jobs, cursors, pieces, logits, states, strict=True
        ):
            if not job.tokens:
                step.read += len(piece)
            try:
                cursor.advance(row, state)
                if not cursor.unread:
                    self._begin_siblings(job, row, step)
                    step.drawn += self._draw(job, row)
            except Exception as error:
                step.joined += self._fail(job, error)

    def _begin_siblings(self, job: Job, logits: Floats, step: Step) -> None:
        """The prompt is read: who waited for that begins at its end."""
        assert job.cursor is not None
        while job.siblings:
            job.siblings[-1].cursor = job.cursor.copy()
            sibling = job.siblings.pop()
            step.joined.append(sibling)
            try:
                step.drawn += self._draw(sibling, logits)
            except Exception as error:
                self._fail(sibling, error)

    def _draw(self, job: Job, logits: Floats) -> bool:
        """Draw a job's next token; whether there was one."""
        first = job.first_token is None
        drawn = job.continuation.push(logits)
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

    def _end_early(self, job: Job) -> list[Job]:
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
        """A job can't go on; its siblings, which it returns, can't begin."""
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
        self.seconds += 0.1 * (now - (job.submitted or now) - self.seconds)
        if self._observer is not None:
            self._observer.ended(job)
