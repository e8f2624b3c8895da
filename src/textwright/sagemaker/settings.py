"""What the launcher is told: a TOML or JSON file, and the command line over it.

region = "eu-west-1"
bucket = "my-bucket"
role = "arn:aws:iam::111122223333:role/textwright"

[train]
instance_type = "ml.m5.xlarge"
checkpoint = "s3://my-bucket/novel"

[train.hyperparameters]
epochs = 10

[deploy]
serverless = true
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from textwright.configs.section import Section, nearest, one_line
from textwright.errors import RequestError
from textwright.version import VERSION

SETTINGS_VARIABLE = "TEXTWRIGHT_SAGEMAKER"
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/\S+")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """`90m`, `2h`, or seconds."""
    if isinstance(value, str) and (told := re.fullmatch(r"(\d+)\s*([smhd]?)", value.strip())):
        return int(told[1]) * _UNITS[told[2] or "s"]
    if isinstance(value, str):
        raise ValueError("write seconds, or a number with m, h or d, e.g. 2h")
    return value


def _dotted(value: Any) -> Any:
    """Tables within the table as dotted names: TOML reads `training.patience = 5` so."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        within = _dotted(inner)
        flat |= (
            {f"{name}.{last}": each for last, each in within.items()}
            if isinstance(within, dict)
            else {name: inner}
        )
    return flat


def _written(pattern: str, like: str) -> AfterValidator:
    """Of this shape; else the error says what is."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"write it like {like}")
        return value

    return AfterValidator(check)


_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=60, le=28 * 86400)]
S3Address = Annotated[str, _written(rf"s3://{_BUCKET}(/.*)?", "s3://my-bucket/novel")]
Bucket = Annotated[str, _written(_BUCKET, "my-bucket, in small letters, without s3://")]
Hyperparameters = Annotated[
    dict[str, bool | int | float | str | list[Any]], BeforeValidator(_dotted)
]
InstanceType = Annotated[str, _written(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "ml.m5.xlarge")]


class TrainSettings(Section):
    """Where and how long a job runs."""

    instance_type: InstanceType = "ml.m5.xlarge"
    instances: int = Field(1, ge=1, le=100)
    spot: bool = False
    max_runtime: Seconds = 86400
    """Seconds of training after which the job is ended."""
    max_wait: Seconds | None = None
    """With spot instances: seconds in all, waiting for one included; else twice `max_runtime`."""
    volume_gb: int = Field(30, ge=1)
    checkpoint: S3Address | None = None
    """A folder of S3 that keeps the run; a job that finds one there goes on with it."""
    hyperparameters: Hyperparameters = Field(default_factory=dict)


class DeploySettings(Section):
    """What a model is served on."""

    instance_type: InstanceType | None = None
    instances: int = Field(1, ge=1, le=100)
    serverless: bool = False
    memory_mb: int = Field(3072, ge=1024, le=6144, multiple_of=1024)
    """Of a serverless endpoint."""
    concurrency: int = Field(5, ge=1, le=200)
    """Requests at once that a serverless endpoint takes."""


class CloudSettings(Section):
    """An account's part of it, and that of each command."""

    region: str | None = None
    bucket: Bucket | None = None
    prefix: str = Field("textwright", pattern=r"^[\w./=-]*$")
    role: str | None = None
    image: str | None = None
    kms_key: str | None = None
    subnets: list[str] = Field(default_factory=list)
    security_groups: list[str] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)
    prices: dict[str, float] = Field(default_factory=dict)
    """Dollars an hour of an instance type, where you know better than the table here."""
    train: TrainSettings = Field(default_factory=TrainSettings)
    deploy: DeploySettings = Field(default_factory=DeploySettings)

    def needed(self, name: str) -> str:
        """The setting `name`.

        Raises:
            RequestError: it isn't told.
        """
        value = getattr(self, name)
        if not value:
            raise RequestError(
                f'no {name} is told; give --{name}, or {name} = "…" in the file of --settings'
            )
        return str(value)

    def role_arn(self) -> str:
        """The role that jobs and endpoints take on. Raises `RequestError` where it is no ARN."""
        role = self.needed("role")
        if not _ROLE.fullmatch(role):
            raise RequestError(
                f"role {role!r} is no address of a role; write arn:aws:iam::ACCOUNT:role/NAME, as "
                "`aws iam get-role --role-name NAME` tells it"
            )
        return role

    def image_address(self) -> str:
        """The image, else `textwright:VERSION` in the registry of the role's account."""
        if self.image:
            return self.image
        told = _ROLE.fullmatch(self.role_arn())
        assert told is not None
        end = "amazonaws.com.cn" if told[1] == "aws-cn" else "amazonaws.com"
        return f"{told[2]}.dkr.ecr.{self.region_name()}.{end}/textwright:{VERSION}"

    def region_name(self) -> str:
        """The region: told, from the environment, or from the profile of AWS's own tools.

        Raises:
            RequestError: nobody says.
        """
        for region in (self.region, os.environ.get("AWS_REGION"),
                       os.environ.get("AWS_DEFAULT_REGION"), _profile_region()):  # fmt: skip
            if region:
                return region
        raise RequestError("no region is told; give --region, or set AWS_DEFAULT_REGION")

    def vpc(self) -> dict[str, list[str]] | None:
        """The network, if one is told. Raises `RequestError` for half of one."""
        if not self.subnets and not self.security_groups:
            return None
        if not self.subnets or not self.security_groups:
            raise RequestError("a VPC needs both: give --subnet and --security-group")
        return {"Subnets": self.subnets, "SecurityGroupIds": self.security_groups}


def _profile_region() -> str | None:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return None
    try:
        found: str | None = boto3.Session().region_name
    except BotoCoreError:
        return None
    return found


def load_settings(file: Path | None, options: Mapping[str, Any]) -> CloudSettings:
    """The settings of `file`, with `options` over them.

    Args:
        file: ends in `.json`, else it is TOML.
        options: by dotted name, e.g. `train.spot`; what is None is not told. A dict adds to the
            one of the file.

    Raises:
        RequestError: the file can't be read, or a setting is unknown or wrong.
    """
    told = {} if file is None else _read(file)
    for name, value in options.items():
        if value is None or value in ([], {}):
            continue
        *path, last = name.split(".")
        place = told
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise RequestError(f"{file}: {part} is a table of settings")
        before = place.get(last)
        place[last] = {**before, **value} if isinstance(before, dict) else value
    try:
        return CloudSettings.model_validate(told)
    except ValidationError as error:
        where = "" if file is None else f"{file}: "
        for fault in error.errors():
            if fault["type"] == "extra_forbidden":
                names = ".".join(map(str, fault["loc"]))
                raise RequestError(
                    f"{where}unknown setting {names}{_nearest_setting(fault['loc'])}"
                ) from error
        raise RequestError(f"{where}{one_line(error)}") from error


def _nearest_setting(place: tuple[int | str, ...]) -> str:
    sections: dict[str, type[Section]] = {"train": TrainSettings, "deploy": DeploySettings}
    section = sections.get(str(place[0]), CloudSettings) if len(place) > 1 else CloudSettings
    return nearest(str(place[-1]), list(section.model_fields))


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        data = json.loads(text) if file.suffix.lower() == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise RequestError(f"there is no settings file {file}") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"settings file {file} can't be read: {error}") from error
    if not isinstance(data, dict):
        raise RequestError(f"settings file {file} holds no settings: it must be an object")
    return data
