"""One text that an engine writes: what was asked for, how far it is, and how to wait for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from textwright.errors import TextwrightError
from textwright.generation.cursor import Cursor
from textwright.generation.generator import Generator
from textwright.generation.options import Prompt, Request
from textwright.generation.results import Generation

Outcome = Literal["stop", "length", "cancelled", "error"]


class Listener(Protocol):
    """Who is told of news; of many jobs at once, for telling costs time too."""

    def changed(self, jobs: Sequence[Job]) -> None:
        """Called in a thread of the engine, once a step, with the jobs that have news. Must be
        quick and must not raise."""
        ...


class Job:
    """A text on its way. Its settings never change; what is read here may be read by any thread.

    Iterating gives the text in pieces as it is written, `result` waits for the whole of it, `take`
    never waits. Several jobs that share one `Prompt` object are read once for all.

    Attributes:
        generator: the model; a job keeps the weights it began with.
        tokens: ids drawn so far.
        logprobs: one a token, where asked for; both lists only ever grow at the end.
        error: why it failed; None where it didn't.
        submitted, first_token, ended: when, by `time.monotonic`; None before.
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
            seconds: after so many from its submission it ends with what it has.
        """
        self.generator, self.prompt, self.request = generator, prompt, request
        self.seconds = seconds
        self.error: TextwrightError | None = None
        self.submitted: float | None = None
        self.first_token: float | None = None
        self.ended: float | None = None
        self.listener: Listener = _Bell()
        self.continuation = generator.begin(prompt, request, request.seed if seed is None else seed)
        self.tokens = self.continuation.tokens
        self.logprobs = self.continuation.logprobs
        self.cursor: Cursor | None = None
        """Where it reads, while it has a slot."""
        self.siblings: list[Job] = []
        """Jobs that wait for this one to have read the prompt they share."""
        self._texts: deque[str] = deque()
        self._cancelled = False

    def cancel(self) -> None:
        """Have it end as soon as can be; its slot is free within two tokens."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def done(self) -> bool:
        """Whether nothing more comes."""
        return self.ended is not None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None before it did."""
        if not self.done:
            return None
        if self.error is not None:
            return "error"
        return self.continuation.finish_reason or "cancelled"

    @property
    def generation(self) -> Generation:
        """The text so far; once it is done, the whole."""
        return self.continuation.generation

    def take(self) -> str:
        """The text that has come since this was last called; by one thread only."""
        texts = []
        while self._texts:
            texts.append(self._texts.popleft())
        return "".join(texts)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is news; False where there was none for `timeout` seconds.

        Only where no listener of one's own was given to the engine.
        """
        assert isinstance(self.listener, _Bell), "its listener is told, nobody waits here"
        return self.done or self.listener.wait(timeout)

    def result(self, timeout: float | None = None) -> Generation:
        """The whole text, once it is done.

        Raises:
            TextwrightError: it failed.
            TimeoutError: it takes longer than `timeout` seconds; it goes on.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            left = None if until is None else until - time.monotonic()
            if (left is not None and left <= 0) or not self.wait(left):
                raise TimeoutError(f"not written within {timeout} seconds; it goes on")
        if self.error is not None:
            raise self.error
        return self.generation

    def __iter__(self) -> Iterator[str]:
        """The text in pieces, as it is written; leaving it early cancels it.

        Raises:
            TextwrightError: it failed.
        """
        try:
            while True:
                done = self.done  # before taking: nothing comes after it
                if text := self.take():
                    yield text
                if done:
                    break
                self.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.cancel()

    # For the engine

    def push_ready(self) -> None:
        """Hand on the text that has become certain."""
        if text := self.continuation.take():
            self._texts.append(text)

    def finish(self, now: float, error: TextwrightError | None = None) -> None:
        """Nothing more comes."""
        self.push_ready()
        self.error = error
        self.cursor = None
        self.ended = now  # last: who sees this sees all of it


class _Bell:
    """The listener of a job that a thread waits for."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def changed(self, jobs: Sequence[Job]) -> None:
        self._rung.set()

    def wait(self, timeout: float | None) -> bool:
        rung = self._rung.wait(timeout)
        self._rung.clear()
        return rung
