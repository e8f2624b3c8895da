"""Settings of the launcher: a TOML or JSON file, with the command line's options over it.

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

from textwright.configs.names import nearest
from textwright.configs.section import Section, one_line
from textwright.errors import RequestError
from textwright.sagemaker import stock
from textwright.version import VERSION

_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/\S+")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> Any:
    """`90m`, `2h`, or seconds."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)\s*([smhd]?)", value.strip())):
        return int(match[1]) * _UNITS[match[2] or "s"]
    if isinstance(value, str):
        raise ValueError("write seconds, or a number with m, h or d, e.g. 2h")
    return value


def _flatten(value: Any) -> Any:
    """Nested tables as dotted names: TOML reads `training.patience = 5` as a nested one."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        nested = _flatten(inner)
        flat |= (
            {f"{name}.{last}": each for last, each in nested.items()}
            if isinstance(nested, dict)
            else {name: inner}
        )
    return flat


def _matching(pattern: str, like: str) -> AfterValidator:
    """Accepts what matches `pattern`; the error for others shows the example `like`."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"write it like {like}")
        return value

    return AfterValidator(check)


_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=60, le=28 * 86400)]
S3Address = Annotated[str, _matching(rf"s3://{_BUCKET}(/.*)?", "s3://my-bucket/novel")]
Bucket = Annotated[str, _matching(_BUCKET, "my-bucket, in small letters, without s3://")]
Hyperparameters = Annotated[
    dict[str, bool | int | float | str | list[Any]], BeforeValidator(_flatten)
]
_RETIRED = {"p2": "g5", "m4": "m5"}
"""Families of machines that AWS has retired (aws/deep-learning-containers #3950, May 2024), and
what to take in their place."""


def _check_retired(instance_type: str) -> str:
    _, family, size = instance_type.split(".")
    if family in _RETIRED:
        raise ValueError(
            f"AWS has retired ml.{family}; take ml.{_RETIRED[family]}.{size} or the like"
        )
    return instance_type


InstanceType = Annotated[
    str,
    _matching(r"ml\.[a-z0-9-]+\.[a-z0-9]+", "ml.m5.xlarge"),
    AfterValidator(_check_retired),
]


class TrainSettings(Section):
    """What a job runs on, and how long."""

    instance_type: InstanceType = "ml.m5.xlarge"
    instances: int = Field(1, ge=1, le=100)
    spot: bool = False
    max_runtime: Seconds = 86400
    """Seconds of training after which the job is stopped."""
    max_wait: Seconds | None = None
    """With spot instances: seconds including the wait for one; by default twice `max_runtime`."""
    volume_gb: int = Field(30, ge=1)
    checkpoint: S3Address | None = None
    """A folder in S3 for the run; a job that finds a run there resumes it."""
    hyperparameters: Hyperparameters = Field(default_factory=dict)


class DeploySettings(Section):
    """What a model is served on."""

    instance_type: InstanceType | None = None
    instances: int = Field(1, ge=1, le=100)
    serverless: bool = False
    memory_mb: int = Field(3072, ge=1024, le=6144, multiple_of=1024)
    """Memory of a serverless endpoint."""
    concurrency: int = Field(5, ge=1, le=200)
    """Concurrent requests of a serverless endpoint."""


class CloudSettings(Section):
    """All settings: those of the account, and those of each command."""

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
    """Dollars per hour by instance type, in place of those in `costs`."""
    train: TrainSettings = Field(default_factory=TrainSettings)
    deploy: DeploySettings = Field(default_factory=DeploySettings)

    def require(self, name: str) -> str:
        """The setting `name`.

        Raises:
            RequestError: it isn't set.
        """
        value = getattr(self, name)
        if not value:
            raise RequestError(
                f'no {name} is told; give --{name}, or {name} = "…" in the file of --settings'
            )
        return str(value)

    def role_arn(self) -> str:
        """The role that jobs and endpoints assume. Raises `RequestError` where it is no ARN."""
        role = self.require("role")
        if not _ROLE.fullmatch(role):
            raise RequestError(
                f"role {role!r} is no address of a role; write arn:aws:iam::ACCOUNT:role/NAME, as "
                "`aws iam get-role --role-name NAME` tells it"
            )
        return role

    @property
    def is_stock(self) -> bool:
        """Whether jobs and endpoints run in AWS's own PyTorch containers."""
        return self.image == stock.IMAGE

    def training_image(self) -> str:
        """The image of a job. Raises `RequestError` where none can be named."""
        if self.is_stock:
            return stock.address(stock.for_training(self.train.instance_type), self.region_name())
        return self._own_image()

    def hosting_image(self) -> str:
        """The image of an endpoint. Raises `RequestError` where none can be named."""
        if self.is_stock:
            return stock.address(stock.for_hosting(self.deploy.instance_type), self.region_name())
        return self._own_image()

    def _own_image(self) -> str:
        """By default `textwright:VERSION` in the registry of the role's account."""
        if self.image:
            return self.image
        role = _ROLE.fullmatch(self.role_arn())
        assert role is not None
        domain = "amazonaws.com.cn" if role[1] == "aws-cn" else "amazonaws.com"
        return f"{role[2]}.dkr.ecr.{self.region_name()}.{domain}/textwright:{VERSION}"

    def region_name(self) -> str:
        """The region: the setting, the environment's, or that of the AWS profile.

        Raises:
            RequestError: none of them has one.
        """
        for region in (self.region, os.environ.get("AWS_REGION"),
                       os.environ.get("AWS_DEFAULT_REGION"), _profile_region()):  # fmt: skip
            if region:
                return region
        raise RequestError("no region is told; give --region, or set AWS_DEFAULT_REGION")

    def vpc(self) -> dict[str, list[str]] | None:
        """The VPC, if one is set. Raises `RequestError` for half of one."""
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
        region: str | None = boto3.Session().region_name
    except BotoCoreError:
        return None
    return region


def load_settings(file: Path | None, options: Mapping[str, Any]) -> CloudSettings:
    """The settings of `file`, with `options` over them.

    Args:
        file: ends in `.json`, else it is TOML.
        options: by dotted name, e.g. `train.spot`; None leaves a setting as it is, a dict adds
            to the file's.

    Raises:
        RequestError: the file can't be read, or a setting is unknown or wrong.
    """
    data = {} if file is None else _read(file)
    for name, value in options.items():
        if value is None or value in ([], {}):
            continue
        *path, last = name.split(".")
        table = data
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise RequestError(f"{file}: {part} is a table of settings")
        previous = table.get(last)
        table[last] = {**previous, **value} if isinstance(previous, dict) else value
    try:
        return CloudSettings.model_validate(data)
    except ValidationError as error:
        where = "" if file is None else f"{file}: "
        for detail in error.errors():
            setting = ".".join(map(str, detail["loc"]))
            if options.get(setting) is not None:
                why = detail["msg"].removeprefix("Value error, ")
                raise RequestError(f"{_option(setting)} {detail['input']}: {why}") from error
            if detail["type"] == "extra_forbidden":
                names = ".".join(map(str, detail["loc"]))
                raise RequestError(
                    f"{where}unknown setting {names}{_nearest_setting(detail['loc'])}"
                ) from error
        raise RequestError(f"{where}{one_line(error)}") from error


def _option(name: str) -> str:
    """The command line's option for a setting."""
    last = name.rpartition(".")[2]
    special = {"subnets": "subnet", "security_groups": "security-group", "memory_mb": "memory"}
    return "--" + special.get(last, last).replace("_", "-")


def _nearest_setting(keys: tuple[int | str, ...]) -> str:
    sections: dict[str, type[Section]] = {"train": TrainSettings, "deploy": DeploySettings}
    section = sections.get(str(keys[0]), CloudSettings) if len(keys) > 1 else CloudSettings
    return nearest(str(keys[-1]), list(section.model_fields))


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
