"""Options that the commands of `textwright sagemaker` share, and what all jobs elsewhere print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textwright.errors import RequestError

if TYPE_CHECKING:
    from textwright.cloud.calls import Call
    from textwright.sagemaker.settings import CloudSettings

_ACCOUNT = "Account"
_NETWORK = "Network, keys, tags"

SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        envvar="TEXTWRIGHT_SAGEMAKER",
        help="TOML or JSON file of settings; what is on the command line goes before it.",
        rich_help_panel=_ACCOUNT,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(help="AWS region; else as AWS's own tools have it.", rich_help_panel=_ACCOUNT),
]
Bucket = Annotated[
    str | None, typer.Option(help="Bucket of S3 for all files.", rich_help_panel=_ACCOUNT)
]
Role = Annotated[
    str | None,
    typer.Option(
        metavar="ARN", help="Role that jobs and endpoints take on.", rich_help_panel=_ACCOUNT
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="Container image; aws-pytorch for AWS's own, with textwright brought along; else "
        "textwright:VERSION in the registry of the role's account.",
        rich_help_panel=_ACCOUNT,
    ),
]
KmsKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="KMS key that encrypts files and disks.",
                 rich_help_panel=_NETWORK),
]  # fmt: skip
Subnets = Annotated[
    list[str] | None,
    typer.Option("--subnet", metavar="ID", help="Subnet of a VPC; may be repeated.",
                 rich_help_panel=_NETWORK),
]  # fmt: skip
SecurityGroups = Annotated[
    list[str] | None,
    typer.Option("--security-group", metavar="ID", help="Security group; may be repeated.",
                 rich_help_panel=_NETWORK),
]  # fmt: skip
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Tag on what is made; may be repeated.",
                 rich_help_panel=_NETWORK),
]  # fmt: skip
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print the exact requests as JSON; send nothing, need no credentials."
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Don't wait until it answers.")]


def settings_from(
    file: Path | None, *, tags: list[str] | None = None, **options: Any
) -> CloudSettings:
    """The settings of a command: its file and, over it, its options, with `__` for the dot."""
    from textwright.sagemaker.settings import load_settings

    dotted = {name.replace("__", "."): value for name, value in options.items()}
    return load_settings(file, {**dotted, "tags": pairs(tags, "--tag")})


def pairs(words: list[str] | None, option: str) -> dict[str, str]:
    """The values of `KEY=VALUE` words. Raises `RequestError` for one without `=`."""
    values = {}
    for word in words or []:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise RequestError(f"{option} {word!r} has no =; write {option} KEY=VALUE")
        values[key] = value
    return values


def show_calls(calls: Iterable[Call]) -> None:
    """Print requests as `--dry-run` does: one JSON array on standard output."""
    from textwright.cli.tables import show_json

    show_json([call.to_json() for call in calls])


def say(line: str) -> None:
    """Print a line about the progress, on standard error."""
    typer.echo(line, err=True)


def show_costs(lines: Iterable[str]) -> None:
    """Print what costs money, on standard error."""
    say("costs money:")
    for line in lines:
        say(f"  {line}")


def defined(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
