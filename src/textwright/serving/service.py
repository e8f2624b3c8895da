"""What all routes share: look the model up, check the limits, run jobs on the engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import Request as HTTPRequest

from textwright.engine import Engine, Job, ModelPool, Scoring, Work
from textwright.generation import Generator
from textwright.generation.options import Options, Prompt, Request, check
from textwright.serving.errors import HTTPError
from textwright.serving.hosts import CLIENT
from textwright.serving.replies import Bridge, Reply
from textwright.serving.settings import ServerSettings
from textwright.serving.steering import Steering

THREAD_THRESHOLD = 1_000
"""Characters of a prompt from which on a thread encodes it, so as not to block the event loop."""

MANY = 50
"""Messages from which on a thread turns them over."""

Result = TypeVar("Result")


class Service:
    """A server's models, engine and limits."""

    def __init__(self, pool: ModelPool, engine: Engine, settings: ServerSettings) -> None:
        self.pool, self.engine, self.settings = pool, engine, settings
        self.steering = Steering()
        self._bridge: Bridge | None = None
        # A thread of its own: others encode prompts meanwhile
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="textwright-load")
        self._loads: dict[str, asyncio.Future[Generator]] = {}

    @property
    def bridge(self) -> Bridge:
        """Made at its first use, which must be in the event loop."""
        if self._bridge is None:
            self._bridge = Bridge(self.settings.stream_interval)
        return self._bridge

    def only_model(self) -> str:
        """The name of the model that is served, for a request that names none.

        Raises:
            HTTPError: it isn't the only one.
        """
        names = self.pool.names()
        if len(names) == 1:
            return names[0]
        served = f"one of {', '.join(names[:20])}" if names else "no model is served yet"
        raise HTTPError(400, f"model: say which; {served}", param="model")

    async def model(self, name: str) -> Generator:
        """The model `name`; a thread loads it where it isn't loaded.

        Raises:
            UnknownModelError, ModelUnavailableError: there is none, or it can't be loaded.
        """
        loaded = self.pool.get_loaded(name)
        if loaded is not None:
            return loaded
        load = self._loads.get(name)
        if load is None:
            loop = asyncio.get_running_loop()
            load = self._loads[name] = loop.run_in_executor(self._loader, self.pool.get, name)
            load.add_done_callback(lambda done: self._loaded(name, done))
        return await asyncio.shield(load)  # others wait for it, too

    def _loaded(self, name: str, load: asyncio.Future[Generator]) -> None:
        del self._loads[name]
        if not load.cancelled():
            load.exception()  # all who asked for it may be gone

    async def encode(self, size: int, encode: Callable[[], Result], *, param: str) -> Result:
        """Encode a prompt of `size` characters; raises `HTTPError` beyond the limit."""
        if size > self.settings.max_prompt:
            raise HTTPError(
                400,
                f"the prompt is longer than {self.settings.max_prompt:,} characters; shorten it",
                param=param,
            )
        if size >= THREAD_THRESHOLD:
            return await asyncio.to_thread(encode)
        await asyncio.sleep(0)  # a request may have many
        return encode()

    async def prompt(self, model: Generator, text: str, *, param: str) -> Prompt:
        """`text` as a prompt for `model`; raises `HTTPError` beyond the limit."""
        return await self.encode(len(text), lambda: model.encode_prompt(text), param=param)

    def check(self, model: Generator, options: Options, *, length: str) -> Request:
        """Generation settings within the server's limits.

        Args:
            options: of the request.
            length: name of the request's field for `max_tokens`, for messages.
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

    def check_count(self, param: str, count: int, limit: int) -> None:
        """Raise `HTTPError` where `count` is beyond `limit`."""
        if count > limit:
            raise HTTPError(400, f"{param}: at most {limit} are possible here", param=param)

    def job(self, model: Generator, prompt: Prompt, request: Request, seed: int) -> Job:
        return Job(model, prompt, request, seed, seconds=self.settings.deadline)

    async def jobs(
        self, model: Generator, prompts: Sequence[Prompt], request: Request
    ) -> list[Job]:
        """A job a prompt, with the seeds that follow the request's."""

        def make() -> list[Job]:
            return [
                self.job(model, prompt, request, (request.seed + place) % 2**63)
                for place, prompt in enumerate(prompts)
            ]

        return make() if len(prompts) == 1 else await asyncio.to_thread(make)

    def scoring(self, model: Generator, prompt: Prompt, top: int) -> Scoring:
        return Scoring(model, prompt.tokens, top=top, seconds=self.settings.deadline)

    def check_logprobs(self, tokens: int, alternatives: int) -> None:
        """Raise `HTTPError` where a response would hold too many numbers.

        Args:
            tokens: that get log probabilities, at most.
            alternatives: of each.
        """
        count, limit = tokens * (1 + alternatives), self.settings.max_logprobs
        if count > limit:
            raise HTTPError(
                400,
                f"logprobs: {tokens:,} tokens with {alternatives} alternatives are {count:,} "
                f"numbers, and {limit:,} are possible here; ask for fewer tokens or alternatives",
                param="logprobs",
            )

    @contextlib.asynccontextmanager
    async def reply(
        self, jobs: Sequence[Work], http: HTTPRequest, *, streams: bool
    ) -> AsyncGenerator[Reply]:
        """Submit jobs for a request; leaving the context cancels those that still run.

        Raises:
            BusyError, ClosedError: the engine didn't accept them.
        """
        place = self.steering.place(jobs)
        reply = Reply(jobs, streams)
        self.bridge.add(reply)
        watcher = None
        try:
            self.engine.submit(jobs, self.bridge, client=http.scope.get(CLIENT))
            watcher = asyncio.ensure_future(reply.watch(http.receive))
            yield reply
        finally:
            place.close()
            reply.cancel()
            self.bridge.remove(reply)
            if watcher is not None:
                watcher.cancel()

    async def run(self, jobs: Sequence[Work], http: HTTPRequest) -> None:
        """Run jobs to their end.

        Raises:
            ClientDisconnect: the client hung up.
            TextwrightError: one failed, or the engine didn't accept them.
        """
        if jobs:
            async with self.reply(jobs, http, streams=False) as reply:
                await reply.finished()

    def ready(self) -> tuple[bool, str | None]:
        """Whether any model is loaded, and if not, why."""
        statuses = self.pool.statuses
        if any(status.status == "Loaded" for status in statuses.values()):
            return True, None
        return False, "no model is loaded" if statuses else "there are no models"


async def aside(count: int, function: Callable[[], Result]) -> Result:
    """What `function` makes of `count` objects; in a thread, where they are many."""
    return function() if count < MANY else await asyncio.to_thread(function)


async def free(jobs: Sequence[Job]) -> None:
    """Let go of the log probabilities of jobs that were answered, in a thread, a job at a time: the
    event loop would be the last to hold their hundred thousand objects."""

    def clear() -> None:
        for job in jobs:
            job.logprobs.clear()

    await asyncio.to_thread(clear)


def add_log_fields(http: HTTPRequest, **fields: Any) -> None:
    """Add fields to the log line of this request."""
    line = http.scope.get("textwright")
    if line is not None:
        line.update(fields)


def log_jobs(http: HTTPRequest, jobs: Sequence[Job], *, texts: bool) -> None:
    """Add to the log what was generated; with `texts`, prompts and texts too."""
    prompts = {id(job.prompt): len(job.prompt.tokens) for job in jobs}
    add_log_fields(
        http,
        model=jobs[0].generator.name if jobs else None,
        prompt_tokens=sum(prompts.values()),
        generated_tokens=sum(len(job.tokens) for job in jobs),
        outcome=[job.outcome for job in jobs],
    )
    if texts:
        add_log_fields(http, prompts=[job.prompt.text for job in jobs])
        add_log_fields(http, texts=[job.generation.text for job in jobs])
