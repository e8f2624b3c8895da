"""Whose turn it is: what waits for a slot, what reads its prompt, what writes. No threads here.

Reading and writing take turns, so a long prompt costs those who write one chunk a token, and many
who write never keep a prompt from being read. Within each, everyone gets as much: who had a turn
goes to the end of the line. A turn takes jobs of one model, whose weights are then read once for
all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from textwright.engine.job import Job
from textwright.generation.cursor import CHUNK, Cursor


class Turn(NamedTuple):
    """Who may go one step further."""

    jobs: list[Job]
    wrote: bool
    """Whether they come out of the line of those who write."""


class Schedule:
    """Jobs by what they are doing.

    Attributes:
        slots: jobs that read or write at once, at most.
        workers: among how many threads those who write are shared out.
        jobs: all that aren't done.
        running: how many of them have a slot.
    """

    def __init__(self, slots: int, workers: int) -> None:
        self.slots, self.workers = slots, workers
        self.jobs: set[Job] = set()
        self.running = 0
        self._waiting: deque[list[Job]] = deque()  # jobs of one prompt get their slots together
        self._reading: deque[Job] = deque()
        self._writing: deque[Job] = deque()
        self._writers = 0  # those whose turn it is included
        self._read_next = True

    @property
    def waiting(self) -> int:
        """Jobs that have no slot yet."""
        return len(self.jobs) - self.running

    @property
    def idle(self) -> bool:
        """Whether there is nobody whose turn it could be."""
        return not (self._reading or self._writing)

    def add(self, jobs: Iterable[Job]) -> None:
        """Let jobs wait for slots; neighbours of one prompt together, as far as there are slots."""
        group: list[Job] = []
        for job in jobs:
            if group and not (_together(group[0], job) and len(group) < self.slots):
                self._waiting.append(group)
                group = []
            group.append(job)
            self.jobs.add(job)
        if group:
            self._waiting.append(group)
        self.admit()

    def admit(self) -> None:
        """Give the free slots to those who have waited longest."""
        while self._waiting and len(self._waiting[0]) <= self.slots - self.running:
            first, *first.siblings = self._waiting.popleft()
            self.running += 1 + len(first.siblings)
            first.cursor = Cursor(first.generator.runtime)
            first.cursor.read(first.prompt.tokens)
            self._reading.append(first)

    def next(self) -> Turn | None:
        """Those whose turn it is, of one model; put each back, or let it leave, after it."""
        if self._reading and (self._read_next or not self._writing):
            self._read_next = False
            return Turn(_take(self._reading, self._readers()), wrote=False)
        self._read_next = True
        if not self._writing:
            return None
        return Turn(_take(self._writing, -(-self._writers // self.workers)), wrote=True)

    def put_back(self, job: Job, *, wrote: bool) -> None:
        """A job goes on: at the end of the line of those who write, or of those who read.

        Args:
            job: has a slot.
            wrote: whether it comes out of the line of those who write.
        """
        assert job.cursor is not None
        writes = job.cursor.unread == 1
        self._writers += writes - wrote
        (self._writing if writes else self._reading).append(job)

    def leave(self, job: Job, *, wrote: bool) -> None:
        """A job is done: its slot is free."""
        self.jobs.remove(job)
        self.running -= 1
        self._writers -= wrote

    def drop_waiting(self, now: float) -> list[Job]:
        """Take out those who wait in vain: cancelled, or out of time."""
        dropped = [job for group in self._waiting for job in group if over(job, now)]
        if dropped:
            self.jobs.difference_update(dropped)
            groups = ([job for job in group if job in self.jobs] for group in self._waiting)
            self._waiting = deque(group for group in groups if group)
            self.admit()
        return dropped

    def _readers(self) -> int:
        """How many of those who read, from the first on, have a chunk between them."""
        count = left = 0
        for job in self._reading:
            assert job.cursor is not None
            left += min(CHUNK, job.cursor.unread)
            if count and left > CHUNK:
                break
            count += 1
        return count


def over(job: Job, now: float) -> bool:
    """Whether a job ends here, whatever the model would write."""
    if job.cancelled or job.seconds is None or job.submitted is None:
        return job.cancelled
    return now - job.submitted >= job.seconds


def _together(job: Job, other: Job) -> bool:
    return job.prompt is other.prompt and job.generator is other.generator


def _take(line: deque[Job], count: int) -> list[Job]:
    """The first `count` of a line that have the model of the first one."""
    runtime = line[0].generator.runtime
    taken: list[Job] = []
    passed: list[Job] = []
    while line and len(taken) < count:
        job = line.popleft()
        (taken if job.generator.runtime is runtime else passed).append(job)
    line.extendleft(reversed(passed))
    return taken
