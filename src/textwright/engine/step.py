"""One step of a batch of jobs: run the model on a chunk of a prompt or on a few tokens of each.

No lock and no queue here: a job in a batch is in no queue of the scheduler, so no other thread
touches it until it is requeued.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from textwright.arrays import Floats
from textwright.engine.job import Job, Work
from textwright.engine.prefix_cache import PrefixCache
from textwright.engine.scheduler import is_expired
from textwright.engine.scoring import Scoring
from textwright.errors import DeadlineError, TextwrightError
from textwright.generation.cursor import write_ahead

logger = logging.getLogger("textwright")


class Observer(Protocol):
    """Collects metrics; called in threads of the engine, must be quick and must not raise."""

    def first_token(self, job: Job) -> None: ...

    def ended(self, job: Work) -> None: ...


@dataclass
class StepResult:
    """What one step did."""

    prompt_tokens: int = 0
    """Read in prefill."""
    cached_tokens: int = 0
    """Of prompts that needed no reading: their state was found."""
    generated_tokens: int = 0
    siblings: list[Work] = field(default_factory=list)
    """Jobs outside the batch that started or ended because the one that read for them did."""


class StepRunner:
    """Runs steps; may be used by several threads, each with jobs of its own."""

    def __init__(
        self, observer: Observer | None = None, prefixes: PrefixCache | None = None
    ) -> None:
        self._observer = observer
        self._prefixes = prefixes or PrefixCache(0)
        self.mean_job_seconds = 1.0
        """From submission to end, an exponential moving average with weight 0.1 for the latest."""

    def run(self, jobs: Sequence[Work], *, ahead: bool = False) -> StepResult:
        """Bring jobs of one model one step further; expired ones end instead.

        Args:
            jobs: all in prefill, or all in decode.
            ahead: whether the step may be of several tokens, where they decode.
        """
        now, result = time.monotonic(), StepResult()
        together: list[Job] = []
        for job in jobs:
            if is_expired(job, now):
                result.siblings += self._end_expired(job)
            elif isinstance(job, Scoring):
                self._score(job, result)
            elif isinstance(job, Job) and self._has_begun(job, result):
                if job.alone:
                    self._advance([job], result)
                else:
                    together.append(job)
        if together and not (ahead and self._write_ahead(together, result)):
            self._advance(together, result)
        return result

    def end_waiting(self, jobs: Sequence[Work]) -> None:
        """End jobs that never got a slot."""
        for job in jobs:
            self._end_expired(job)

    def _has_begun(self, job: Job, result: StepResult) -> bool:
        """Whether a job has a cursor, now at the latest."""
        try:
            if job.cursor is None:
                job.begin()
        except Exception as error:
            result.siblings += self._fail(job, error)
            return False
        return True

    def _score(self, job: Scoring, result: StepResult) -> None:
        """Score a piece of a text."""
        try:
            result.prompt_tokens += job.step()
        except Exception as error:
            self._fail(job, error)
            return
        if job.finish_reason is not None:
            self._finish(job)

    def _advance(self, jobs: list[Job], result: StepResult) -> None:
        """Read a chunk or a token of each, and sample where nothing is left to read.

        Where that fails, each is run by itself: an error of one text must not end the others in
        its batch, whose states may be half changed.
        """
        cursors = [job.cursor for job in jobs if job.cursor is not None]
        for job, cursor in zip(jobs, cursors, strict=True):
            if job.is_new:
                job.looked_up = True
                job.prefix, found = self._prefixes.resume(cursor)
                result.cached_tokens += found
        pieces = [cursor.chunk() for cursor in cursors]
        try:
            logits, states = jobs[0].generator.runtime.batch(
                pieces, [cursor.state for cursor in cursors]
            )
        except Exception as error:
            for job in jobs:
                if len(jobs) == 1:
                    result.siblings += self._fail(job, error)
                else:
                    job.begin_alone()
            return
        for job, cursor, piece, row, state in zip(
            jobs, cursors, pieces, logits, states, strict=True
        ):
            if not job.tokens:
                result.prompt_tokens += len(piece)
            try:
                cursor.advance(row, state)
                if job.prefix is not None:
                    job.prefix.read += len(piece)
                    self._prefixes.keep(job.prefix, cursor)
                if not cursor.pending:
                    self._start_siblings(job, row, result)
                    result.generated_tokens += self._sample(job, row)
            except Exception as error:
                result.siblings += self._fail(job, error)

    def _write_ahead(self, jobs: list[Job], result: StepResult) -> bool:
        """Draw several tokens of each in one call of the model; False where that can't be done.

        Where it fails nothing was drawn, and `_advance` finds out whose fault it is.
        """
        drafts = [job.continuation.draft(job.cursor) for job in jobs if job.cursor is not None]
        try:
            drawn = write_ahead(drafts)
        except Exception:
            return False
        if drawn is None:
            return False
        for job, tokens in zip(jobs, drawn, strict=True):
            try:
                result.generated_tokens += job.continuation.accept_all(tokens)
                if job.continuation.finish_reason is not None:
                    self._finish(job)
                else:
                    job.push_ready()
            except Exception as error:
                result.siblings += self._fail(job, error)
        return True

    def _start_siblings(self, job: Job, logits: Floats, result: StepResult) -> None:
        """Copy the cursor of a read prompt to the jobs that share it, and sample their first."""
        assert job.cursor is not None
        while job.siblings:
            job.siblings[-1].cursor = job.cursor.copy()
            sibling = job.siblings.pop()
            result.siblings.append(sibling)
            try:
                result.generated_tokens += self._sample(sibling, logits)
            except Exception as error:
                self._fail(sibling, error)

    def _sample(self, job: Job, logits: Floats) -> bool:
        """Sample a job's next token; False where the model ended the text instead."""
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

    def _end_expired(self, work: Work) -> list[Job]:
        """End what expired; returns the sibling, if any, that takes over reading the prompt."""
        if not isinstance(work, Job):
            late = f"its tokens were not all scored within {work.seconds} seconds; send fewer"
            self._finish(work, None if work.cancelled else DeadlineError(late))
            return []
        job = work
        successors = job.siblings[:1]
        for successor in successors:
            successor.siblings, successor.cursor = job.siblings[1:], job.cursor
        job.siblings = []
        if not job.cancelled:
            job.continuation.end("length")
        self._finish(job)
        return successors

    def _fail(self, job: Work, error: Exception) -> list[Job]:
        """End a job, and its siblings, which it returns, with an error: their prompt isn't read."""
        if not isinstance(error, TextwrightError):
            logger.error("the engine failed on a text", exc_info=error)
            error = TextwrightError(f"generating failed ({type(error).__name__})")
        siblings: list[Job] = []
        if isinstance(job, Job):
            siblings, job.siblings = job.siblings, []
        for failed in (job, *siblings):
            self._finish(failed, error)
        return siblings

    def _finish(self, job: Work, error: TextwrightError | None = None) -> None:
        now = time.monotonic()
        job.finish(now, error)
        seconds = 0.0 if job.submitted is None else now - job.submitted
        self.mean_job_seconds += 0.1 * (seconds - self.mean_job_seconds)
        if self._observer is not None:
            self._observer.ended(job)
