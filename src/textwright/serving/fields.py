"""Fields that several requests have. As strict as the OpenAPI document says, and nulls are as good
as leaving a field out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from textwright.configs import one_line


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


AS_WHOLE = BeforeValidator(_whole)
"""After a field's limits, or pydantic leaves them out of the JSON schema."""
Whole = Annotated[int, AS_WHOLE]
Number = Annotated[float, Field(allow_inf_nan=False)]
ModelName = Annotated[str, Field(max_length=200)]
Temperature = Annotated[Number, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0, lt=2**63), AS_WHOLE]


class Body(BaseModel):
    """A request's JSON object."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_nothing(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


def what_is_wrong(error: Exception) -> tuple[str, str | None]:
    """A validation error in one line, and the field that it is about."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return one_line(error), None
    first = errors()[0]
    places = [str(place) for place in first["loc"] if place not in ("body", "query")]
    # names of a union's members tell a client nothing
    where = ".".join(place for place in places if "[" not in place or place.endswith("]"))
    param = places[0] if places else None
    if first["type"] == "extra_forbidden":
        return f"{where}: not a field that is supported here", param
    if first["type"] == "json_invalid":
        return "the body is not JSON", None
    if first["type"] == "missing" and not places:
        return "the request needs a JSON object as its body", None
    message = first["msg"].removeprefix("Value error, ")
    return (f"{where}: {message}" if where else message), param
