"""Fields that several requests share. As strict as the OpenAPI document says; a null counts as a
field left out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from textwright.configs import one_line


def _to_int(value: Any) -> Any:
    """JSON has one type of number: 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


AS_INTEGER = BeforeValidator(_to_int)
"""Put it after a field's limits, or pydantic leaves them out of the JSON schema."""
Number = Annotated[float, Field(allow_inf_nan=False)]
ModelName = Annotated[str, Field(max_length=200)]
Temperature = Annotated[Number, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0, lt=2**63), AS_INTEGER]


class Body(BaseModel):
    """A request's JSON object."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


def describe_error(error: Exception) -> tuple[str, str | None]:
    """A validation error in one line, and the name of its field."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return one_line(error), None
    first = errors()[0]
    keys = [str(key) for key in first["loc"] if key not in ("body", "query")]
    # without the names of a union's members, which mean nothing to a client
    where = ".".join(key for key in keys if "[" not in key or key.endswith("]"))
    param = keys[0] if keys else None
    if first["type"] == "extra_forbidden":
        return f"{where}: not a field that is supported here", param
    if first["type"] == "json_invalid":
        return "the body is not JSON", None
    if first["type"] == "missing" and not keys:
        return "the request needs a JSON object as its body", None
    message = first["msg"].removeprefix("Value error, ")
    return (f"{where}: {message}" if where else message), param
