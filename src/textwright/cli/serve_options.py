"""The options of `textwright serve`; each may come from the environment too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textwright.cli.generate import Precision

_LIMITS = "Limits"
_SAFETY = "Who may ask"

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
    typer.Option(
        metavar="DIR",
        help="Also serve all models in this folder; they come and go without a restart.",
        envvar="TEXTWRIGHT_MODELS",
    ),
]
Host = Annotated[str, typer.Option(help="Address; 0.0.0.0 takes all.", envvar="TEXTWRIGHT_HOST")]
Port = Annotated[
    int, typer.Option(help="0 takes a free one.", envvar="TEXTWRIGHT_PORT", min=0, max=65535)
]
RootPath = Annotated[
    str,
    typer.Option(
        help="Path under which a proxy shows the server, e.g. /textwright.",
        envvar="TEXTWRIGHT_ROOT_PATH",
    ),
]
APIKey = Annotated[
    list[str] | None,
    typer.Option(
        help="Key that requests need; may be repeated. Better from a file or the environment, "
        "for others see command lines.",
        envvar="TEXTWRIGHT_API_KEY",
        rich_help_panel=_SAFETY,
    ),
]
APIKeyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File of keys, one a line.",
        envvar="TEXTWRIGHT_API_KEY_FILE",
        rich_help_panel=_SAFETY,
    ),
]
CORSOrigin = Annotated[
    list[str] | None,
    typer.Option(
        help="Origin whose pages may call from a browser, * for all; may be repeated.",
        envvar="TEXTWRIGHT_CORS_ORIGIN",
        rich_help_panel=_SAFETY,
    ),
]
AllowTraining = Annotated[
    bool,
    typer.Option(
        "--allow-training",
        help="Let everybody who may generate train on texts of theirs, too; else only people on "
        "this machine may, where the server listens to them alone.",
        envvar="TEXTWRIGHT_ALLOW_TRAINING",
        rich_help_panel=_SAFETY,
    ),
]
MaxUpload = Annotated[
    int,
    typer.Option(
        help="Bytes of a text that is sent to the page to train on.",
        envvar="TEXTWRIGHT_MAX_UPLOAD",
        min=1,
        rich_help_panel=_LIMITS,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        help="Weights in memory at most, e.g. 2G; models used longest ago make room.",
        envvar="TEXTWRIGHT_MEMORY",
        rich_help_panel=_LIMITS,
    ),
]
ServedPrecision = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="What weights are held in: auto (as the file has them), float32, float16, or int8: "
        "faster, less memory, nearly as exact.",
        envvar="TEXTWRIGHT_PRECISION",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads that write; else one a core.", envvar="TEXTWRIGHT_THREADS", min=1),
]
Slots = Annotated[
    int,
    typer.Option(
        help="Texts written at once.",
        envvar="TEXTWRIGHT_SLOTS",
        min=1,
        rich_help_panel=_LIMITS,
    ),
]
Queue = Annotated[
    int,
    typer.Option(
        help="Texts that may wait for a slot; more get 429.",
        envvar="TEXTWRIGHT_QUEUE",
        min=0,
        rich_help_panel=_LIMITS,
    ),
]
MaxLength = Annotated[
    int,
    typer.Option(
        help="Tokens of a text.",
        envvar="TEXTWRIGHT_MAX_LENGTH",
        min=1,
        rich_help_panel=_LIMITS,
    ),
]
MaxPrompt = Annotated[
    int,
    typer.Option(
        help="Characters, or tokens, of a prompt.",
        envvar="TEXTWRIGHT_MAX_PROMPT",
        min=1,
        rich_help_panel=_LIMITS,
    ),
]
MaxBody = Annotated[
    int,
    typer.Option(
        help="Bytes of a request.",
        envvar="TEXTWRIGHT_MAX_BODY",
        min=1,
        rich_help_panel=_LIMITS,
    ),
]
MaxChoices = Annotated[
    int,
    typer.Option(
        help="Texts of one prompt: n, best_of.",
        envvar="TEXTWRIGHT_MAX_CHOICES",
        min=1,
        rich_help_panel=_LIMITS,
    ),
]
MaxStops = Annotated[
    int,
    typer.Option(
        help="Stop strings of a request.",
        envvar="TEXTWRIGHT_MAX_STOPS",
        min=0,
        rich_help_panel=_LIMITS,
    ),
]
MaxInputs = Annotated[
    int,
    typer.Option(
        help="Inputs in bulk, prompts in a list.",
        envvar="TEXTWRIGHT_MAX_INPUTS",
        min=1,
        rich_help_panel=_LIMITS,
    ),
]
Deadline = Annotated[
    float,
    typer.Option(
        help="Seconds after which a request gets what is written.",
        envvar="TEXTWRIGHT_DEADLINE",
        rich_help_panel=_LIMITS,
    ),
]
BodyTimeout = Annotated[
    float,
    typer.Option(
        help="Seconds for a body to arrive.",
        envvar="TEXTWRIGHT_BODY_TIMEOUT",
        rich_help_panel=_LIMITS,
    ),
]
Drain = Annotated[
    float,
    typer.Option(
        help="Seconds that requests have to finish when the server is stopped.",
        envvar="TEXTWRIGHT_DRAIN",
        rich_help_panel=_LIMITS,
    ),
]
StreamInterval = Annotated[
    float,
    typer.Option(
        help="Seconds between chunks of a stream, at least.",
        envvar="TEXTWRIGHT_STREAM_INTERVAL",
        rich_help_panel=_LIMITS,
    ),
]
LogPrompts = Annotated[
    bool,
    typer.Option(
        "--log-prompts", help="Log prompts and texts too.", envvar="TEXTWRIGHT_LOG_PROMPTS"
    ),
]
