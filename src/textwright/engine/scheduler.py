"""Which jobs run next: queued for a slot, in prefill, or in decode. No threads here.

Prefill and decode alternate, so a long prompt delays decoding by one chunk a token, and many
decoding jobs never starve a prompt; where no prompt waits, a step of decoding has several tokens.
Each queue is round robin: a job that ran goes to its end. A batch has jobs of one model, whose
weights are then read once for all of them; jobs of another model that stand before them keep their
place in the queue. A client that has its share of the slots is passed over by those behind it. With
N workers a batch takes 1/N of the decoding jobs, so that all workers decode at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from textwright.engine.job import Job, Work
from textwright.generation.cursor import CHUNK


class ScheduledBatch(NamedTuple):
    """Jobs of one model that a worker brings one step further."""

    jobs: list[Work]
    decoding: bool
    """Whether they come from the decode queue; else from the prefill queue."""
    alone: bool = False
    """Whether they decode and no prompt waits, so that a step of several tokens delays nobody."""


class Scheduler:
    """The queues. Not thread-safe: the engine calls it with its lock held.

    Attributes:
        slots: jobs in prefill or decode at once, at most.
        share: how many of them one client may have.
        workers: threads that share the decoding jobs.
        jobs: all that aren't done.
        running: how many of them have a slot.
    """

    def __init__(self, slots: int, workers: int, share: int | None = None) -> None:
        self.slots, self.workers, self.share = slots, workers, share or slots
        self.jobs: set[Work] = set()
        self.running = 0
        self._of_clients: Counter[str] = Counter()  # slots that each has
        self._waiting: deque[list[Work]] = deque()  # jobs of one prompt get their slots together
        self._prefill: deque[Work] = deque()
        self._decode: deque[Work] = deque()
        self._decode_count = 0  # jobs in a decode batch included
        self._prefill_next = True

    @property
    def waiting(self) -> int:
        """Jobs that have no slot yet."""
        return len(self.jobs) - self.running

    @property
    def idle(self) -> bool:
        """Whether `next_batch` would return None."""
        return not (self._prefill or self._decode)

    def add(self, jobs: Iterable[Work]) -> None:
        """Queue jobs for slots; neighbours of one prompt as one group, of as many as may run."""
        group: list[Work] = []
        for job in jobs:
            most = self.slots if job.client is None else self.share
            if group and not (_share_prompt(group[0], job) and len(group) < most):
                self._waiting.append(group)
                group = []
            group.append(job)
            self.jobs.add(job)
        if group:
            self._waiting.append(group)
        self.admit()

    def admit(self) -> None:
        """Give free slots to the groups that have waited longest, of clients that may have more."""
        later: list[list[Work]] = []
        while self._waiting and len(self._waiting[0]) <= self.slots - self.running:
            group = self._waiting.popleft()
            first, *others = group
            client = first.client
            if client is not None:
                if self._of_clients[client] + len(group) > self.share:
                    later.append(group)
                    continue
                self._of_clients[client] += len(group)
            self.running += len(group)
            if isinstance(first, Job):
                first.siblings = [job for job in others if isinstance(job, Job)]
            self._prefill.append(first)
        self._waiting.extendleft(reversed(later))

    def next_batch(self) -> ScheduledBatch | None:
        """Take the next jobs out of their queue; `requeue` or `release` each afterwards."""
        if self._prefill and (self._prefill_next or not self._decode):
            self._prefill_next = False
            return ScheduledBatch(_pop(self._prefill, self._prefill_count()), decoding=False)
        self._prefill_next = True
        if not self._decode:
            return None
        count = -(-self._decode_count // self.workers)
        jobs = _pop(self._decode, count)
        return ScheduledBatch(jobs, decoding=True, alone=not self._prefill)

    def requeue(self, job: Work, *, decoding: bool) -> None:
        """Put a job that goes on at the end of the queue it belongs to now.

        Args:
            job: has a slot.
            decoding: whether it comes from the decode queue.
        """
        decodes = job.pending == 1
        self._decode_count += decodes - decoding
        (self._decode if decodes else self._prefill).append(job)

    def release(self, job: Work, *, decoding: bool) -> None:
        """Free the slot of a job that is done."""
        self.jobs.remove(job)
        self.running -= 1
        if job.client is not None:
            self._of_clients[job.client] -= 1
            if not self._of_clients[job.client]:
                del self._of_clients[job.client]
        self._decode_count -= decoding

    def drop_expired(self, now: float) -> list[Work]:
        """Take jobs out of the waiting queue that were cancelled or are out of time."""
        dropped = [job for group in self._waiting for job in group if is_expired(job, now)]
        if dropped:
            self.jobs.difference_update(dropped)
            groups = ([job for job in group if job in self.jobs] for group in self._waiting)
            self._waiting = deque(group for group in groups if group)
            self.admit()
        return dropped

    def _prefill_count(self) -> int:
        """How many jobs at the head of the prefill queue read `CHUNK` tokens or fewer in all."""
        count = tokens = 0
        for job in self._prefill:
            tokens += min(CHUNK, job.pending)
            if count and tokens > CHUNK:
                break
            count += 1
        return count


def is_expired(job: Work, now: float) -> bool:
    """Whether a job ends now whatever the model would write: cancelled, or out of time."""
    if job.cancelled or job.seconds is None or job.submitted is None:
        return job.cancelled
    return now - job.submitted >= job.seconds


def _share_prompt(work: Work, other: Work) -> bool:
    return (
        isinstance(work, Job)
        and isinstance(other, Job)
        and work.prompt is other.prompt
        and work.generator is other.generator
    )


def _pop(queue: deque[Work], count: int) -> list[Work]:
    """Take out the first `count` jobs that have the model of the first; others stay in place."""
    runtime = queue[0].generator.runtime
    popped: list[Work] = []
    skipped: list[Work] = []
    while queue and len(popped) < count:
        job = queue.popleft()
        (popped if job.generator.runtime is runtime else skipped).append(job)
    queue.extendleft(reversed(skipped))
    return popped
