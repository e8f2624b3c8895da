"""`textwright serve`: models over HTTP."""

from __future__ import annotations

import logging
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textwright.cli.generate import Runs
from textwright.errors import MissingPackageError, RequestError, RunError

if TYPE_CHECKING:  # `textwright --help` must not wait for them
    from textwright.generation import Generator, Library
    from textwright.serving import ServerSettings

_LIMITS = "Limits"
_SAFETY = "Who may ask"
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def serve(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN ...]",
            help="Runs, model folders, models that come with the package, hf:owner/name; none: "
            "those that come with the package.",
            envvar="TEXTWRIGHT_SERVE",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also serve all models in this folder; they come and go without a restart.",
            envvar="TEXTWRIGHT_MODELS",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address; 0.0.0.0 takes all.", envvar="TEXTWRIGHT_HOST")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="0 takes a free one.", envvar="TEXTWRIGHT_PORT", min=0, max=65535)
    ] = 8000,
    root_path: Annotated[
        str,
        typer.Option(
            help="Path under which a proxy shows the server, e.g. /textwright.",
            envvar="TEXTWRIGHT_ROOT_PATH",
        ),
    ] = "",
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            help="Key that requests need; may be repeated. Better from a file or the environment, "
            "for others see command lines.",
            envvar="TEXTWRIGHT_API_KEY",
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of keys, one a line.",
            envvar="TEXTWRIGHT_API_KEY_FILE",
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin whose pages may call from a browser, * for all; may be repeated.",
            envvar="TEXTWRIGHT_CORS_ORIGIN",
            rich_help_panel=_SAFETY,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Weights in memory at most, e.g. 2G; models used longest ago make room.",
            envvar="TEXTWRIGHT_MEMORY",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="What weights are held in: auto (as the file has them), float32, float16, "
            "or int8: faster, less memory, nearly as exact.",
            envvar="TEXTWRIGHT_PRECISION",
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads that write; else one a core.", envvar="TEXTWRIGHT_THREADS", min=1
        ),
    ] = None,
    slots: Annotated[
        int,
        typer.Option(
            help="Texts written at once.",
            envvar="TEXTWRIGHT_SLOTS",
            min=1,
            rich_help_panel=_LIMITS,
        ),
    ] = 64,
    queue: Annotated[
        int,
        typer.Option(
            help="Texts that may wait for a slot; more get 429.",
            envvar="TEXTWRIGHT_QUEUE",
            min=0,
            rich_help_panel=_LIMITS,
        ),
    ] = 64,
    max_length: Annotated[
        int,
        typer.Option(
            help="Tokens of a text.",
            envvar="TEXTWRIGHT_MAX_LENGTH",
            min=1,
            rich_help_panel=_LIMITS,
        ),
    ] = 4096,
    max_prompt: Annotated[
        int,
        typer.Option(
            help="Characters, or tokens, of a prompt.",
            envvar="TEXTWRIGHT_MAX_PROMPT",
            min=1,
            rich_help_panel=_LIMITS,
        ),
    ] = 65_536,
    max_body: Annotated[
        int,
        typer.Option(
            help="Bytes of a request.",
            envvar="TEXTWRIGHT_MAX_BODY",
            min=1,
            rich_help_panel=_LIMITS,
        ),
    ] = 4 << 20,
    max_choices: Annotated[
        int,
        typer.Option(
            help="Texts of one prompt: n, best_of.",
            envvar="TEXTWRIGHT_MAX_CHOICES",
            min=1,
            rich_help_panel=_LIMITS,
        ),
    ] = 16,
    max_stops: Annotated[
        int,
        typer.Option(
            help="Stop strings of a request.",
            envvar="TEXTWRIGHT_MAX_STOPS",
            min=0,
            rich_help_panel=_LIMITS,
        ),
    ] = 16,
    max_inputs: Annotated[
        int,
        typer.Option(
            help="Inputs in bulk, prompts in a list.",
            envvar="TEXTWRIGHT_MAX_INPUTS",
            min=1,
            rich_help_panel=_LIMITS,
        ),
    ] = 64,
    deadline: Annotated[
        float,
        typer.Option(
            help="Seconds after which a request gets what is written.",
            envvar="TEXTWRIGHT_DEADLINE",
            rich_help_panel=_LIMITS,
        ),
    ] = 300.0,
    body_timeout: Annotated[
        float,
        typer.Option(
            help="Seconds for a body to arrive.",
            envvar="TEXTWRIGHT_BODY_TIMEOUT",
            rich_help_panel=_LIMITS,
        ),
    ] = 30.0,
    drain: Annotated[
        float,
        typer.Option(
            help="Seconds that requests have to finish when the server is stopped.",
            envvar="TEXTWRIGHT_DRAIN",
            rich_help_panel=_LIMITS,
        ),
    ] = 60.0,
    stream_interval: Annotated[
        float,
        typer.Option(
            help="Seconds between chunks of a stream, at least.",
            envvar="TEXTWRIGHT_STREAM_INTERVAL",
            rich_help_panel=_LIMITS,
        ),
    ] = 0.02,
    log_prompts: Annotated[
        bool,
        typer.Option(
            "--log-prompts", help="Log prompts and texts too.", envvar="TEXTWRIGHT_LOG_PROMPTS"
        ),
    ] = False,
    runs: Runs = None,
) -> None:
    """Serve models over HTTP: the OpenAI API, and a native one.

    textwright serve my_novel

    textwright serve --models runs --api-key-file keys.txt --host 0.0.0.0
    """
    try:
        from textwright.serving.settings import ServerSettings
    except ImportError as error:
        raise _missing(error) from error
    from pydantic import SecretStr, ValidationError

    from textwright.configs import one_line

    try:
        settings = ServerSettings(
            api_keys=tuple(map(SecretStr, _keys(api_key or [], api_key_file))),
            cors_origins=tuple(cors_origin or ()),
            root_path=root_path,
            max_body=max_body,
            body_timeout=body_timeout,
            max_prompt=max_prompt,
            max_length=max_length,
            max_choices=max_choices,
            max_stops=max_stops,
            max_inputs=max_inputs,
            deadline=deadline,
            stream_interval=stream_interval,
            drain=drain,
            log_prompts=log_prompts,
        )
    except ValidationError as error:
        raise RequestError(f"an option can't be met: {one_line(error)}") from error
    library = _library(names or [], models, runs, memory, precision)
    _serve(library, settings, host, port, slots=slots, waiting=queue, workers=threads)


def _serve(
    library: Library,
    settings: ServerSettings,
    host: str,
    port: int,
    *,
    slots: int,
    waiting: int,
    workers: int | None,
) -> None:
    try:
        from textwright.serving import Metrics, create_app
        from textwright.serving.logs import write_json_lines
        from textwright.serving.server import listen, run
    except ImportError as error:
        raise _missing(error) from error
    from textwright.generation import Engine

    metrics = Metrics()
    engine = Engine(slots=slots, waiting=waiting, workers=workers, observer=metrics)
    at = listen(host, port)
    _greet(library, settings, at.getsockname())
    write_json_lines()
    run(create_app(library, engine, settings, metrics), at, settings)


def _missing(error: ImportError) -> MissingPackageError:
    return MissingPackageError(
        f"serving needs {error.name or 'a package'}; pip install 'textwright[serve]'"
    )


def _library(
    names: list[str], models: Path | None, runs: Path | None, memory: str | None, precision: str
) -> Library:
    from textwright.generation import Library, load
    from textwright.runs import Run, find, shipped

    named = [find(name, runs) for name in names]
    if not names and models is None:
        named = shipped()
        if not named:
            raise RunError("no models come with this copy; name a RUN, or a folder with --models")

    def loader(run: Run) -> Generator:
        return load(run, precision=precision)

    return Library(named, models, memory=None if memory is None else _bytes(memory), loader=loader)


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise RequestError(f"--memory {text}: write a number of bytes, e.g. 500M or 2G")
    return int(float(match[1]) * _SIZES[match[2].upper()])


def _keys(given: list[str], file: Path | None) -> list[str]:
    """Keys from the options and the file; an empty one would be as good as none."""
    keys = list(given)
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise RequestError(f"--api-key-file {file} can't be read: {error}") from error
        keys += [line.strip() for line in lines if line.strip()]
        if not keys:
            raise RequestError(f"--api-key-file {file} has no keys; write one a line")
    if not all(key.strip() for key in keys):
        raise RequestError("an API key is empty; leave it out, or set it")
    return keys


def _greet(library: Library, settings: ServerSettings, address: tuple[str, int]) -> None:
    """Say where it is and how to try it; to standard error, as all that isn't a result."""
    host, port = address[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    names = library.names()
    body = f'{{"model_name": "{names[0] if names else "NAME"}", "start_phrase": "It was"}}'
    key = " -H 'Authorization: Bearer KEY'" if settings.api_keys else ""
    lines = [
        f"serving {', '.join(names) or 'no models yet'} at {url}",
        f"try it     curl {url}/gen_text{key} -H 'Content-Type: application/json' "
        f"-d {shlex.quote(body)}",
        f"OpenAI     base_url {url}/v1",
        f"see        {url}/docs, {url}/health, {url}/metrics",
        "stop       Ctrl-C",
    ]
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
    if not settings.api_keys and host not in ("127.0.0.1", "::1", "localhost"):
        logging.getLogger("textwright").warning(
            "anybody who reaches this address may generate: set --api-key-file"
        )
