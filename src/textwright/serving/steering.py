"""Models in which units are held at a value, for a request that asks for that; everybody else's
model stays as it is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated
from weakref import WeakSet

from pydantic import Field

from textwright.companion.mixing import as_beside
from textwright.engine import Work
from textwright.errors import BusyError, RequestError
from textwright.generation import Generator
from textwright.generation.steering import Hold, steered
from textwright.runs.weights import read_weights
from textwright.runtimes.base import Runtime
from textwright.runtimes.registry import RUNTIMES
from textwright.serving.fields import AS_INTEGER, Body, Number

AT_ONCE = 4
"""Requests that are steered at once: each is a batch of its own in every step of the engine."""
KEPT = 2
"""Models whose weights are kept beside those that are served."""
MOST_PARAMETERS = 50_000_000
"""Of a model that is steered: its weights are read a second time, in float32."""


class HeldUnit(Body):
    """A unit of the model, and its value after every token."""

    layer: Annotated[int, Field(ge=0), AS_INTEGER] = 0
    unit: Annotated[int, Field(ge=0), AS_INTEGER] = Field(
        description="A hidden unit of a recurrent layer; of an attention model a channel of the "
        "residual stream behind that block."
    )
    value: Number = Field(
        description="Of a recurrent unit from -1 to 1 (for `lstm` the tanh of its cell), of a "
        "channel any."
    )


class Steering:
    """The models of a server that are steered; thread-safe."""

    def __init__(self) -> None:
        self._runtimes: OrderedDict[tuple[str, int], tuple[Generator, Runtime]] = OrderedDict()
        self._lock = threading.Lock()
        self._steered: WeakSet[Generator] = WeakSet()
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def place(self, jobs: Sequence[Work]) -> ExitStack:
        """A place among those that are steered at once, for jobs that are; until it is closed.

        Raises:
            BusyError: all are taken.
        """
        place = ExitStack()
        if any(job.generator in self._steered for job in jobs):
            if not self._places.acquire(blocking=False):
                raise BusyError(
                    f"busy with {AT_ONCE} texts that are steered; try again in a moment", 2.0
                )
            place.callback(self._places.release)
        return place

    def model(self, model: Generator, held: Sequence[HeldUnit]) -> Generator:
        """`model` with units held, in NumPy and float32, however it is served; with its
        companion, where it has that beside it.

        Raises:
            RequestError: it can't be steered, or has no such unit.
            RunError: its weights are gone.
        """
        holds = [Hold(one.layer, one.unit, one.value) for one in held]
        other = model.on(as_beside(model.runtime, steered(self._runtime(model), holds)))
        with self._lock:
            self._steered.add(other)
        return other

    def _runtime(self, model: Generator) -> Runtime:
        key = (model.name, id(model))
        with self._lock:
            if key in self._runtimes:
                self._runtimes.move_to_end(key)
                return self._runtimes[key][1]
        run = model.run
        config = None if run is None else run.config()
        if run is None or config is None or type(config) not in RUNTIMES:
            raise RequestError(
                f"steer: {model.name!r} can't be steered; gpt, transformer, lstm, gru and rnn can"
            )
        if config.parameter_count() > MOST_PARAMETERS:
            raise RequestError(
                f"steer: {model.name!r} has more than {MOST_PARAMETERS:,} parameters; smaller "
                "models can be steered"
            )
        runtime = RUNTIMES[type(config)](config, read_weights(run.weights_file))
        with self._lock:
            self._runtimes[key] = model, runtime  # holds the model, so its id stays its own
            while len(self._runtimes) > KEPT:
                self._runtimes.popitem(last=False)
        return runtime
