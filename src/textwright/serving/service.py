"""What every route is made of: find the model, check the limits, have texts written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request as HTTPRequest

from textwright.engine import Engine, Job, ModelPool
from textwright.generation import Generator
from textwright.generation.options import Options, Prompt, Request, check
from textwright.serving.errors import HTTPError
from textwright.serving.replies import Bridge, Reply
from textwright.serving.settings import ServerSettings

IN_THREAD = 2_000
"""Characters of a prompt from which on it isn't encoded between two beats of the event loop."""

Result = TypeVar("Result")


class Service:
    """A server's models, engine and limits."""

    def __init__(self, pool: ModelPool, engine: Engine, settings: ServerSettings) -> None:
        self.pool, self.engine, self.settings = pool, engine, settings
        self._bridge: Bridge | None = None

    @property
    def bridge(self) -> Bridge:
        """Made by the first who asks in the event loop."""
        if self._bridge is None:
            self._bridge = Bridge(self.settings.stream_interval)
        return self._bridge

    async def model(self, name: str) -> Generator:
        """The model `name`; loading it doesn't keep others from being answered.

        Raises:
            UnknownModelError, ModelUnavailableError: there is none, or it can't be used.
        """
        found = self.pool.get_loaded(name)
        return await asyncio.to_thread(self.pool.get, name) if found is None else found

    async def encode(self, size: int, encode: Callable[[], Result], *, param: str) -> Result:
        """Encode a prompt of `size` characters, within the limit."""
        if size > self.settings.max_prompt:
            raise HTTPError(
                400,
                f"the prompt is longer than {self.settings.max_prompt:,} characters; shorten it",
                param=param,
            )
        return encode() if size < IN_THREAD else await asyncio.to_thread(encode)

    async def prompt(self, model: Generator, text: str, *, param: str) -> Prompt:
        """A prompt as `model` reads it."""
        return await self.encode(len(text), lambda: model.encode_prompt(text), param=param)

    def check(self, model: Generator, options: Options, *, length: str) -> Request:
        """Settings of a text, checked.

        Args:
            options: what was asked for.
            length: what the number of tokens is called there.
        """
        limits = self.settings
        if (options.get("max_tokens") or 0) > limits.max_length:
            raise HTTPError(
                400, f"{length} must be at most {limits.max_length:,} here", param=length
            )
        stop = options.get("stop") or ()
        if not isinstance(stop, str) and len(stop) > limits.max_stops:
            raise HTTPError(
                400, f"at most {limits.max_stops} stop strings are possible here", param="stop"
            )
        request = check(options, model.defaults)
        if request.max_tokens > limits.max_length:  # the run's own default
            request = check({**options, "max_tokens": limits.max_length}, model.defaults)
        return request

    def check_count(self, param: str, count: int, most: int) -> None:
        """Raises `HTTPError` where more is asked for than is possible here."""
        if count > most:
            raise HTTPError(400, f"{param}: at most {most} are possible here", param=param)

    def job(self, model: Generator, prompt: Prompt, request: Request, seed: int) -> Job:
        return Job(model, prompt, request, seed, seconds=self.settings.deadline)

    @contextlib.asynccontextmanager
    async def reply(
        self, jobs: Sequence[Job], http: HTTPRequest, *, streams: bool
    ) -> AsyncGenerator[Reply]:
        """Have jobs written while a request is answered; whatever ends that cancels them.

        Raises:
            BusyError, ClosedError: they weren't taken on.
        """
        reply = Reply(jobs, streams)
        self.bridge.add(reply)
        watcher = None
        try:
            self.engine.submit(jobs, self.bridge)
            watcher = asyncio.ensure_future(reply.watch(http.receive))
            yield reply
        finally:
            reply.cancel()
            self.bridge.remove(reply)
            if watcher is not None:
                watcher.cancel()

    async def write(self, jobs: Sequence[Job], http: HTTPRequest) -> None:
        """Have jobs written to their end.

        Raises:
            ClientDisconnect: nobody waits for them any more.
            TextwrightError: one failed, or they weren't taken on.
        """
        if jobs:
            async with self.reply(jobs, http, streams=False) as reply:
                await reply.finished()

    def ready(self) -> tuple[bool, str | None]:
        """Whether there is a model to ask, and if not, why."""
        statuses = self.pool.statuses
        if any(status.status == "Loaded" for status in statuses.values()):
            return True, None
        if not statuses:
            return False, "there are no models"
        return False, "no model is loaded"


def note(http: HTTPRequest, **facts: Any) -> None:
    """Facts for the line that the log has about this request."""
    record = http.scope.get("textwright")
    if record is not None:
        record.update(facts)


def note_jobs(http: HTTPRequest, jobs: Sequence[Job], *, texts: bool) -> None:
    """What was written, for the log; texts only where that was asked for."""
    prompts = {id(job.prompt): len(job.prompt.tokens) for job in jobs}
    note(
        http,
        model=jobs[0].generator.name if jobs else None,
        prompt_tokens=sum(prompts.values()),
        generated_tokens=sum(len(job.tokens) for job in jobs),
        outcome=[job.outcome for job in jobs],
    )
    if texts:
        note(http, prompts=[job.prompt.text for job in jobs])
        note(http, texts=[job.generation.text for job in jobs])
