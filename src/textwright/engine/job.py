"""One text that an engine generates: its request, its progress, and how to wait for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from textwright.engine.prefix_cache import Prefix
from textwright.errors import TextwrightError
from textwright.generation.cursor import Cursor
from textwright.generation.generator import Generator
from textwright.generation.options import Prompt, Request
from textwright.generation.results import FinishReason, Generation

Outcome = Literal["stop", "length", "cancelled", "error"]


class Listener(Protocol):
    """Is called when jobs have new text or ended; once for many jobs, since a call costs time."""

    def changed(self, jobs: Sequence[Work]) -> None:
        """Called in a thread of the engine, once a step, with the jobs of that step. Must be
        quick and must not raise."""
        ...


class Work:
    """What takes a slot of an engine, in steps, until it is done: a `Job`, or a `Scoring`.

    Any thread may read its attributes.

    Attributes:
        generator: the model, also after another was loaded under its name.
        seconds: so many after its submission it ends as it is.
        client: who asked for it, where the engine shares its slots among clients; else None.
        error: why it failed; None where it didn't.
        submitted, ended: times by `time.monotonic`; None before.
    """

    def __init__(self, generator: Generator, seconds: float | None) -> None:
        self.generator, self.seconds = generator, seconds
        self.client: str | None = None
        self.error: TextwrightError | None = None
        self.submitted: float | None = None
        self.ended: float | None = None
        self.listener: Listener = _EventListener()
        self._cancelled = False

    @property
    def pending(self) -> int:
        """Tokens that it has yet to read; 1 where it only decodes."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End it; its slot is free within two steps, of a few milliseconds each."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def done(self) -> bool:
        """Whether it has ended; its text, tokens and error are final then."""
        return self.ended is not None

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it was complete; None before it was."""
        raise NotImplementedError

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None before it did."""
        if not self.done:
            return None
        return "error" if self.error is not None else self.finish_reason or "cancelled"

    @property
    def is_first(self) -> bool:
        """Whether what came of it so far is its first token."""
        return False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for new text or the end; False where neither came within `timeout` seconds.

        Only for jobs that were submitted without a listener.
        """
        assert isinstance(self.listener, _EventListener), (
            "a job with a listener of its own can't be waited for"
        )
        return self.done or self.listener.wait(timeout)

    def finish(self, now: float, error: TextwrightError | None = None) -> None:
        """For the engine: mark it as done at the time `now`, with `error` where it failed."""
        self.error = error
        self.ended = now  # last: a thread that sees it finds the rest complete


class Job(Work):
    """A text being generated. Its settings never change; any thread may read its attributes.

    Iterating gives the text in pieces as they come, `result` waits for its end, `take` never waits.
    Jobs with the same `Prompt` object that are submitted together read it once for all.

    Attributes:
        tokens: ids sampled so far.
        logprobs: one a token, where requested; both lists only ever grow at the end.
        first_token: when its first token came, by `time.monotonic`; None before.
    """

    def __init__(
        self,
        generator: Generator,
        prompt: Prompt,
        request: Request,
        seed: int | None = None,
        *,
        seconds: float | None = None,
    ) -> None:
        """
        Args:
            generator: the model.
            prompt: from `generator.encode_prompt`.
            request: settings, checked.
            seed: in place of the request's own.
            seconds: so many after its submission it ends with the text it has.
        """
        super().__init__(generator, seconds)
        self.prompt, self.request = prompt, request
        self.first_token: float | None = None
        self.continuation = generator.begin(prompt, request, request.seed if seed is None else seed)
        self.tokens = self.continuation.tokens
        self.logprobs = self.continuation.logprobs
        self.cursor: Cursor | None = None
        """Its place in the text and the model's state; None before its first step."""
        self.siblings: list[Job] = []
        """Jobs with the same prompt, which start when this one has read it."""
        self.prefix: Prefix | None = None
        """What its prompt begins with, while that is read."""
        self.looked_up = False
        """Whether it was looked up if its prompt was read before."""
        self.alone = False
        """Whether it has no company in a batch: one that it was in failed."""
        self._texts: deque[str] = deque()

    @property
    def pending(self) -> int:
        return len(self.prompt.tokens) if self.cursor is None else self.cursor.pending

    def begin(self) -> None:
        """For the engine: in its own thread, since a prompt may be long."""
        self.cursor = Cursor(self.generator.runtime)
        self.cursor.read(self.prompt.tokens)

    def begin_alone(self) -> None:
        """For the engine: read prompt and text again, outside of any batch."""
        self.alone = True
        self.prefix = None
        self.begin()
        assert self.cursor is not None
        self.cursor.read(self.tokens)

    @property
    def is_first(self) -> bool:
        return len(self.tokens) < 2

    @property
    def finish_reason(self) -> FinishReason | None:
        return self.continuation.finish_reason

    @property
    def generation(self) -> Generation:
        """The text so far; all of it once the job is done."""
        return self.continuation.generation

    def take(self) -> str:
        """The text that came since the last call; call it from one thread only."""
        texts = []
        while self._texts:
            texts.append(self._texts.popleft())
        return "".join(texts)

    def result(self, timeout: float | None = None) -> Generation:
        """Wait for the end; the whole text.

        Raises:
            TextwrightError: it failed.
            TimeoutError: it isn't done after `timeout` seconds; it goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or not self.wait(left):
                raise TimeoutError(f"not written within {timeout} seconds; it goes on")
        if self.error is not None:
            raise self.error
        return self.generation

    def __iter__(self) -> Iterator[str]:
        """The text in pieces as they come; leaving the loop early cancels the job.

        Raises:
            TextwrightError: it failed.
        """
        try:
            while True:
                done = self.done  # read before `take`: no text comes after it
                if text := self.take():
                    yield text
                if done:
                    break
                self.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.cancel()

    @property
    def is_new(self) -> bool:
        """For the engine: whether nothing of its prompt was read."""
        return not (self.looked_up or self.alone or self.tokens)

    def push_ready(self) -> None:
        """For the engine: make new text available to `take`."""
        if text := self.continuation.take():
            self._texts.append(text)

    def finish(self, now: float, error: TextwrightError | None = None) -> None:
        self.push_ready()
        self.cursor = None
        super().finish(now, error)


class _EventListener:
    """Lets `Job.wait` wait for a call of `changed`."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def changed(self, jobs: Sequence[Work]) -> None:
        self._event.set()

    def wait(self, timeout: float | None) -> bool:
        changed = self._event.wait(timeout)
        self._event.clear()
        return changed
