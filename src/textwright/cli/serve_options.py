"""The options of `textwright serve`; each may come from the environment too."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from textwright.cli.generate import Companion, Precision
from textwright.errors import MissingPackageError, RequestError


def _option(help: str, variable: str, *names: str, **more: Any) -> Any:  # noqa: A002
    return typer.Option(*names, help=help, envvar=f"TEXTWRIGHT_{variable}", **more)


def _safety(help: str, variable: str, *names: str, **more: Any) -> Any:  # noqa: A002
    return _option(help, variable, *names, rich_help_panel="Who may ask", **more)


def _limit(help: str, variable: str, *names: str, **more: Any) -> Any:  # noqa: A002
    return _option(help, variable, *names, rich_help_panel="Limits", **more)


_ENV_FILE = Path(".env")


def _read_env_file(context: typer.Context, file: Path | None) -> Path | None:
    """Put the settings of a file into the environment, where that has none of the name."""
    found = file or _ENV_FILE
    if context.resilient_parsing or (file is None and not found.is_file()):
        return None
    try:
        from dotenv import dotenv_values
    except ImportError as error:
        raise MissingPackageError(
            f"{found} needs python-dotenv to be read; pip install 'textwright[serve]'"
        ) from error
    try:
        with found.open(encoding="utf-8") as lines:
            values = dotenv_values(stream=lines)
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"--env-file {found} can't be read: {error}") from error
    for name, value in values.items():
        if name.startswith("TEXTWRIGHT_") and value is not None:
            os.environ.setdefault(name, value)
    return found


EnvFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Settings by the names of the environment, a TEXTWRIGHT_PORT=8000 a line; else `.env` "
        "in this folder, where there is one. The environment itself goes before it.",
        is_eager=True,  # before the environment is asked
        callback=_read_env_file,
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN ...]",
        help="Runs, model folders, models that come with the package, hf:owner/name; none: "
        "those that come with the package.",
        envvar="TEXTWRIGHT_SERVE",
        show_default=False,
    ),
]
Models = Annotated[
    Path | None,
    _option(
        "Also serve all models in this folder; they come and go without a restart.",
        "MODELS",
        metavar="DIR",
    ),
]
Host = Annotated[str, _option("Address; 0.0.0.0 takes all.", "HOST")]
Port = Annotated[int, _option("0 takes a free one.", "PORT", min=0, max=65535)]
RootPath = Annotated[
    str,
    _option("Path under which a proxy shows the server, e.g. /textwright.", "ROOT_PATH"),
]
APIKey = Annotated[
    list[str] | None,
    _safety(
        "Key that requests need; may be repeated. Better from a file or the environment, "
        "for others see command lines.",
        "API_KEY",
    ),
]
APIKeyFile = Annotated[
    Path | None,
    _safety("File of keys, one a line.", "API_KEY_FILE", metavar="FILE"),
]
CORSOrigin = Annotated[
    list[str] | None,
    _safety(
        "Origin whose pages may call from a browser, * for all; may be repeated.", "CORS_ORIGIN"
    ),
]
AllowHost = Annotated[
    list[str] | None,
    _safety(
        "Name by which the server may be asked; may be repeated. On a loopback address it answers "
        "to loopback names alone, else to any.",
        "ALLOW_HOST",
        metavar="NAME",
    ),
]
AllowExport = Annotated[
    bool,
    _safety(
        "Let everybody who may generate take a model away as a file, and search its training "
        "text; else only people on this machine may, where the server listens to them alone.",
        "ALLOW_EXPORT",
        "--allow-export",
    ),
]
NoStudio = Annotated[
    bool,
    _safety("Without the web page and its routes.", "NO_STUDIO", "--no-studio"),
]
AllowTraining = Annotated[
    bool,
    _safety(
        "Let everybody who may generate train on texts of theirs, too; else only people on "
        "this machine may, where the server listens to them alone.",
        "ALLOW_TRAINING",
        "--allow-training",
    ),
]
MaxUpload = Annotated[
    int,
    _limit("Bytes of a text that is sent to the page to train on.", "MAX_UPLOAD", min=1),
]
Memory = Annotated[
    str | None,
    _limit("Weights in memory at most, e.g. 2G; models used longest ago make room.", "MEMORY"),
]
ServedPrecision = Annotated[
    Precision,
    _option(
        "What weights are held in: auto (as the file has them), float32, float16, or int8: "
        "faster, less memory, nearly as exact.",
        "PRECISION",
        "--precision",
    ),
]
ServedCompanion = Annotated[
    Companion,
    _option(
        "What runs counted in their texts: mixed in where they have that (auto), or not (off).",
        "COMPANION",
        "--companion",
    ),
]
CopyAtMost = Annotated[
    int | None,
    _option(
        "Write no more than N characters in a row that stand in a model's training text, which "
        "has to be here; 16 at least.",
        "COPY_AT_MOST",
        min=16,
    ),
]
Threads = Annotated[
    int | None,
    _option("Threads that write; else one a core.", "THREADS", min=1),
]
Slots = Annotated[
    int,
    _limit("Texts written at once.", "SLOTS", min=1),
]
Queue = Annotated[
    int,
    _limit("Texts that may wait for a slot; more get 429.", "QUEUE", min=0),
]
Share = Annotated[
    int | None,
    _limit(
        "Slots that one client may have, by its key where there are several, else by its address; "
        "three quarters unless said. Not for clients on this machine.",
        "SHARE",
        min=1,
    ),
]
MaxLength = Annotated[
    int,
    _limit("Tokens of a text.", "MAX_LENGTH", min=1),
]
MaxPrompt = Annotated[
    int,
    _limit("Characters, or tokens, of a prompt.", "MAX_PROMPT", min=1),
]
MaxBody = Annotated[
    int,
    _limit("Bytes of a request.", "MAX_BODY", min=1),
]
MaxChoices = Annotated[
    int,
    _limit("Texts of one prompt: n, best_of.", "MAX_CHOICES", min=1),
]
MaxStops = Annotated[
    int,
    _limit("Stop strings of a request.", "MAX_STOPS", min=0),
]
MaxInputs = Annotated[
    int,
    _limit("Inputs in bulk, prompts in a list.", "MAX_INPUTS", min=1),
]
MaxLogprobs = Annotated[
    int,
    _limit("Log probabilities of a response: tokens times alternatives.", "MAX_LOGPROBS", min=0),
]
Deadline = Annotated[
    float,
    _limit("Seconds after which a request gets what is written.", "DEADLINE"),
]
BodyTimeout = Annotated[
    float,
    _limit("Seconds for a body to arrive.", "BODY_TIMEOUT"),
]
Drain = Annotated[
    float,
    _limit("Seconds that requests have to finish when the server is stopped.", "DRAIN"),
]
StreamInterval = Annotated[
    float,
    _limit("Seconds between chunks of a stream, at least.", "STREAM_INTERVAL"),
]


class LogLevel(StrEnum):
    """Values of `--log-level`, as uvicorn calls them."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"
    critical = "critical"


Level = Annotated[
    LogLevel,
    _option(
        "The least severe that is logged: warning leaves out the line of each request.",
        "LOG_LEVEL",
        "--log-level",
        case_sensitive=False,
    ),
]
LogFile = Annotated[
    Path | None,
    _option(
        "File that gets the log, at its end, in place of standard error.",
        "LOG_FILE",
        "--log-file",
        metavar="FILE",
    ),
]
LogPrompts = Annotated[
    bool,
    _option("Log prompts and texts too.", "LOG_PROMPTS", "--log-prompts"),
]
