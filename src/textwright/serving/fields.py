"""Fields that several requests share. As strict as the OpenAPI document says; a null counts as a
field left out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, ClassVar, TypeAlias

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)
from starlette.requests import Request
from starlette.responses import Response

from textwright.configs import one_line
from textwright.generation.options import Options
from textwright.serving.errors import HTTPError
from textwright.serving.foreign import ForeignFields, accepted


def _to_int(value: Any) -> Any:
    """JSON has one type of number: 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


AS_INTEGER = BeforeValidator(_to_int)
"""Put it after a field's limits, or pydantic leaves them out of the JSON schema."""
Number = Annotated[float, Field(allow_inf_nan=False)]
ModelName = Annotated[str, Field(max_length=200)]
Temperature = Annotated[Number, Field(ge=0, le=100)]
TopP = Annotated[Number, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63), AS_INTEGER]


def seed_of(seed: int | None) -> int | None:
    """A request's seed as the engine takes it: None for -1, which elsewhere draws one, too."""
    return None if seed is None or seed == -1 else seed % 2**63


def truncation(top_k: int | None, top_p: float | None) -> Options:
    """A request's `top_k` and `top_p` as the engine takes them: no token's share is as small as a
    `top_p` of 0, but the likeliest stays."""
    return {"top_k": 1, "top_p": 1.0} if top_p == 0 else {"top_k": top_k, "top_p": top_p}


class _FailFast(FailFast):
    """Of a list that a union has, which needs a hash of what it is annotated with."""

    def __hash__(self) -> int:
        return hash(self.fail_fast)


FIRST_FAULT = _FailFast()
"""Of a list that may be long: its first fault is said, not one for each of its values."""

MAX_COMMAS = 1 << 17
"""In a body: what is refused of a value is said, and there may be one at each."""
MAX_FIELDS = 1000
"""Of a request, likewise."""
SMALL_BYTES, SMALL_COMMAS = 1 << 15, 200
"""Of a body that takes less than a millisecond to read."""
SLICE_BYTES = 1 << 16


def is_large(body: bytes) -> bool:
    """Whether `parse_json` belongs in a thread."""
    return len(body) > SMALL_BYTES or body.count(b",") > SMALL_COMMAS


def parse_json(body: bytes) -> Any:
    """The value that a body holds; in a thread, where the body is large.

    Raises:
        HTTPError: it isn't JSON, or it has too many commas or fields. Commas are counted in slices,
            between which others run.
    """
    commas = 0
    for begin in range(0, len(body), SLICE_BYTES):
        commas += body.count(b",", begin, begin + SLICE_BYTES)
        if commas > MAX_COMMAS:
            raise HTTPError(400, f"the body has more than {MAX_COMMAS:,} commas; send less")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPError(400, "the body is not JSON") from None
    if isinstance(data, dict) and len(data) > MAX_FIELDS:
        raise HTTPError(400, f"more than {MAX_FIELDS:,} fields; there aren't so many here")
    return data


class BodyRoute(APIRoute):
    """A route whose larger bodies a thread reads and checks, so that nobody else waits for them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def read(http: Request) -> Response:
            body = await http.body()
            if self.body_field is not None and is_large(body):
                # What FastAPI takes for the object that it would read, and finds valid at once
                http._json = await asyncio.to_thread(self._read, body)
            return await handle(http)

        return read

    def _read(self, body: bytes) -> Any:
        """The request's object.

        Raises:
            HTTPError: it isn't JSON, or not what the route takes.
        """
        assert self.body_field is not None
        data = parse_json(body)
        valid, errors = self.body_field.validate(data, {}, loc=("body",))
        if errors:
            message, param = describe_error(RequestValidationError(errors, body=data))
            raise HTTPError(400, message, param=param)
        return valid


MAX_NAMED = 8
"""Fields that a warning names."""


class Body(BaseModel):
    """A request's JSON object."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())

    foreign: ClassVar[ForeignFields] = ForeignFields()
    """Fields that it hasn't, of other servers."""
    _ignored: list[str] = PrivateAttr(default_factory=list)

    @model_validator(mode="wrap")
    @classmethod
    def _sort_out(cls, data: Any, handler: ModelWrapValidatorHandler[Body]) -> Body:
        if not isinstance(data, dict):
            return handler(data)
        kept, ignored = cls.foreign.sort(data)
        body = handler(kept)
        body._ignored = ignored
        return body

    def ignored(self) -> list[str]:
        """The fields that were given and are ignored, here and in the objects inside, by path."""
        names = list(self._ignored)
        for name, value in self.__dict__.items():
            if isinstance(value, Body):
                names += [f"{name}.{inner}" for inner in value.ignored()]
            elif isinstance(value, list) and value and isinstance(value[0], Body):
                names += [
                    f"{name}[{index}].{inner}"
                    for index, one in enumerate(value)
                    for inner in one.ignored()
                ]
        return names

    def ignored_warnings(self) -> list[str]:
        """A line that names the fields that are ignored, where there are any."""
        names = self.ignored()
        more = len(names) - MAX_NAMED
        listed = ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
        return [f"ignored, for nothing here goes by it: {listed}"] if names else []


def describe_error(error: Exception, data: Any = None) -> tuple[str, str | None]:
    """A validation error in one line, and the name of its field.

    Args:
        data: what was validated; without it, where the error has it.
    """
    errors = getattr(error, "errors", None)
    if errors is None:
        return one_line(error), None
    data = getattr(error, "body", data)
    found = [(*_path(each, data), each) for each in errors()]
    path, nearest = _nearest(found)
    first = nearest[0]
    if first["type"] == "json_invalid":
        return "the body is not JSON", None
    if first["type"] == "missing" and not path:
        return "the request needs a JSON object as its body", None
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]
    param = str(path[0]) if path else None
    if first["type"] == "extra_forbidden":
        values = [json.dumps(value) for value in accepted(str(path[-1]))]
        but = f" other than as {' or '.join(values)}" if values else ""
        return f"{where}: not a field that is supported here{but}", param
    messages = dict.fromkeys(each["msg"] for each in nearest)
    message = " or ".join(messages).replace(" or Input should be", " or")
    message = message.removeprefix("Value error, ")
    return (f"{where}: {message}" if where else message), param


_Path: TypeAlias = tuple[int | str, ...]


def _path(error: Any, data: Any) -> tuple[_Path, _Path]:
    """Where in `data` one of pydantic's errors is, and the members of unions on the way, whose
    names mean nothing to a client."""
    path: list[int | str] = []
    members: list[int | str] = []
    loc: _Path = error["loc"]
    rest = loc[1:] if loc and loc[0] in ("body", "query", "path") else loc
    for number, key in enumerate(rest):
        in_list = isinstance(data, list) and isinstance(key, int) and key < len(data)
        if in_list or (isinstance(data, dict) and key in data):
            data = data[key]
        elif error["type"] != "missing" or number < len(rest) - 1:
            members.append(key)
            continue
        path.append(key)
    return tuple(path), tuple(members)


def _nearest(found: Sequence[tuple[_Path, _Path, Any]]) -> tuple[_Path, list[Any]]:
    """The error of the first field that has one; where that is a union, those of the members which
    agree with most of what was sent."""
    firsts: dict[_Path, tuple[_Path, Any]] = {}  # by member
    for path, members, each in found:
        if path[:1] == found[0][0][:1]:
            firsts.setdefault(members, (path, each))
    paths = [path for path, _ in firsts.values()]
    best = max(paths, key=lambda path: [key if isinstance(key, int) else 0 for key in path])
    return best, [each for path, each in firsts.values() if path == best]
