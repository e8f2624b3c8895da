"""`textwright serve`: models over HTTP."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textwright.cli.generate import Companion, Precision, Runs
from textwright.cli.guards import check_environment, read_keys
from textwright.cli.serve_options import (
    AllowExport,
    AllowHost,
    AllowTraining,
    APIKey,
    APIKeyFile,
    BodyTimeout,
    CopyAtMost,
    CORSOrigin,
    Deadline,
    Drain,
    EnvFile,
    Host,
    Level,
    LogFile,
    LogLevel,
    LogPrompts,
    MaxBody,
    MaxChoices,
    MaxInputs,
    MaxLength,
    MaxLogprobs,
    MaxPrompt,
    MaxStops,
    MaxUpload,
    Memory,
    Models,
    Names,
    NoStudio,
    Port,
    Queue,
    RootPath,
    ServedCompanion,
    ServedPrecision,
    Share,
    Slots,
    StreamInterval,
    Threads,
)
from textwright.errors import MissingPackageError, RequestError, RunError

if TYPE_CHECKING:  # `textwright --help` must not wait for them
    from textwright.engine import ModelPool
    from textwright.generation import Generator
    from textwright.serving import ServerSettings

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def serve(
    context: typer.Context,
    names: Names = None,
    models: Models = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    root_path: RootPath = "",
    api_key: APIKey = None,
    api_key_file: APIKeyFile = None,
    cors_origin: CORSOrigin = None,
    allow_host: AllowHost = None,
    allow_training: AllowTraining = False,
    allow_export: AllowExport = False,
    no_studio: NoStudio = False,
    memory: Memory = None,
    precision: ServedPrecision = Precision.auto,
    companion: ServedCompanion = Companion.auto,
    copy_at_most: CopyAtMost = None,
    threads: Threads = None,
    slots: Slots = 64,
    queue: Queue = 64,
    share: Share = None,
    max_length: MaxLength = 4096,
    max_prompt: MaxPrompt = 65_536,
    max_body: MaxBody = 4 << 20,
    max_choices: MaxChoices = 16,
    max_stops: MaxStops = 16,
    max_inputs: MaxInputs = 64,
    max_logprobs: MaxLogprobs = 1_000_000,
    max_upload: MaxUpload = 64_000_000,
    deadline: Deadline = 300.0,
    body_timeout: BodyTimeout = 30.0,
    drain: Drain = 60.0,
    stream_interval: StreamInterval = 0.02,
    log_level: Level = LogLevel.info,
    log_file: LogFile = None,
    log_prompts: LogPrompts = False,
    env_file: EnvFile = None,
    runs: Runs = None,
) -> None:
    """Serve models over HTTP: the OpenAI API, and a native one.

    textwright serve my_novel

    textwright serve --models runs --api-key-file keys.txt --host 0.0.0.0
    """
    check_environment(context)
    try:
        from textwright.serving.settings import ServerSettings
    except ImportError as error:
        raise missing(error) from error
    from pydantic import SecretStr, ValidationError

    from textwright.configs import one_line
    from textwright.runs import runs_folder

    try:
        settings = ServerSettings(
            api_keys=tuple(map(SecretStr, read_keys(api_key or [], api_key_file))),
            cors_origins=tuple(cors_origin or ()),
            hosts=_answered_hosts(host, root_path, allow_host),
            root_path=root_path,
            max_body=max_body,
            body_timeout=body_timeout,
            max_prompt=max_prompt,
            max_length=max_length,
            max_choices=max_choices,
            max_stops=max_stops,
            max_inputs=max_inputs,
            max_logprobs=max_logprobs,
            deadline=deadline,
            stream_interval=stream_interval,
            drain=drain,
            log_prompts=log_prompts,
            allow_training=allow_training,
            allow_export=allow_export,
            max_upload=max_upload,
        )
    except ValidationError as error:
        raise RequestError(f"an option can't be met: {one_line(error)}") from error
    pool = _model_pool(names or [], models, runs, memory, precision, companion, copy_at_most)
    _serve(pool, settings, host, port, slots=slots, waiting=queue, share=share, workers=threads,
           runs=models or runs_folder(runs), page=not no_studio,
           log=(log_file, log_level.value))  # fmt: skip


def _serve(
    pool: ModelPool,
    settings: ServerSettings,
    host: str,
    port: int,
    *,
    slots: int,
    waiting: int,
    share: int | None = None,
    workers: int | None,
    runs: Path,
    api: str | None = None,
    page: bool = True,
    open_browser: bool = False,
    log: tuple[Path | None, str] | None = None,
) -> None:
    """
    Args:
        log: file (None: standard error) and level of the log in JSON; None keeps to lines for a
            person at the terminal, who sees on the page what comes of a request.
    """
    try:
        from textwright import studio
        from textwright.serving import Metrics, create_app
        from textwright.serving.hosts import is_loopback
        from textwright.serving.logs import file_handler, write_json_lines
        from textwright.serving.server import listen, run
    except ImportError as error:
        raise missing(error) from error
    from textwright.engine import Engine

    handler = file_handler(log[0]) if log is not None and log[0] is not None else None
    metrics = Metrics()
    share = share or max(1, slots * 3 // 4)
    engine = Engine(slots=slots, waiting=waiting, share=share, workers=workers, observer=metrics)
    app = create_app(pool, engine, settings, metrics)
    local = is_loopback(host) and not settings.root_path  # behind a proxy all clients look local
    if page:
        studio.mount(app, api=api, runs=runs, local=local)
    socket = listen(host, port)
    app.state.listens = socket.getsockname()[:2]
    url = _print_address(pool, settings, socket.getsockname(), api, page)
    if log is not None:
        write_json_lines(handler, logging.getLevelNamesMapping()[log[1].upper()])
    else:
        logging.getLogger("textwright.requests").setLevel(logging.WARNING)
    if open_browser:
        _open_browser(f"{url}/studio/")  # the socket listens already
    run(app, socket, settings)


def _answered_hosts(host: str, root_path: str, given: list[str] | None) -> tuple[str, ...] | None:
    """The names in `Host` that are answered, beside loopback ones; None: any. Where only this
    machine can ask, and no proxy does, nobody else's name is of any use."""
    from textwright.serving.hosts import is_loopback

    return tuple(given or ()) if given or (is_loopback(host) and not root_path) else None


def _open_browser(url: str) -> None:
    """Open a page in the person's browser, where there is a screen; none that runs in a terminal,
    where it would stand in for the server."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform in ("win32", "darwin") or any(map(os.environ.get, screens)):
        # In a thread: some commands return when the browser is closed
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def studio(
    context: typer.Context,
    names: Names = None,
    api: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use the models of this server instead of one here."),
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only say the address; open no browser.")
    ] = False,
    allow_host: AllowHost = None,
    allow_training: AllowTraining = False,
    max_upload: MaxUpload = 64_000_000,
    runs: Runs = None,
) -> None:
    """Open the web page on your models, and train there: yours and those of the package.

    textwright studio

    textwright studio my_novel shakespeare
    """
    check_environment(context)
    try:
        from textwright.serving.settings import ServerSettings
    except ImportError as error:
        raise missing(error) from error
    from pydantic import ValidationError

    from textwright.configs import one_line
    from textwright.engine import ModelPool
    from textwright.runs import runs_folder, shipped

    if api is not None:
        if names:
            raise RequestError("--api uses the models of another server; leave the RUNs out")
        pool = ModelPool()
    elif names:
        pool = _model_pool(names, None, runs, None, Precision.auto)
    else:
        folder = runs_folder(runs)
        pool = ModelPool(shipped(), folder if folder.is_dir() else None)
    try:
        settings = ServerSettings(
            drain=5, hosts=tuple(allow_host or ()), allow_training=allow_training,
            max_upload=max_upload,
        )  # fmt: skip
    except ValidationError as error:
        raise RequestError(f"an option can't be met: {one_line(error)}") from error
    _serve(pool, settings, "127.0.0.1", port, slots=64, waiting=64, workers=None,
           runs=runs_folder(runs), api=api, open_browser=not no_browser)  # fmt: skip


def missing(error: ImportError) -> MissingPackageError:
    """The error for a failed import of a package that serving needs."""
    return MissingPackageError(
        f"serving needs {error.name or 'a package'}; pip install 'textwright[serve]'"
    )


def _model_pool(
    names: list[str],
    models: Path | None,
    runs: Path | None,
    memory: str | None,
    precision: str,
    companion: str = "auto",
    copy_at_most: int | None = None,
) -> ModelPool:
    from textwright.engine import ModelPool
    from textwright.generation import load
    from textwright.runs import Run, find, shipped

    named = [find(name, runs) for name in names]
    if not names and models is None:
        named = shipped()
        if not named:
            raise RunError("no models come with this copy; name a RUN, or a folder with --models")

    def loader(run: Run) -> Generator:
        return load(run, precision=precision, companion=companion, copy_at_most=copy_at_most)

    return ModelPool(named, models, memory=memory_bytes(memory), loader=loader)


def memory_bytes(text: str | None) -> int | None:
    """`--memory` in bytes; None for no limit."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise RequestError(f"--memory {text}: write a number of bytes, e.g. 500M or 2G")
    return int(float(match[1]) * _SIZES[match[2].upper()])


def _print_address(
    pool: ModelPool, settings: ServerSettings, address: tuple[str, int], api: str | None, page: bool
) -> str:
    """Print the server's URL and examples, to standard error; returns the URL."""
    host, port = address[:2]
    # An address that stands for all can't be asked; `::` has no IPv4 ones among them
    url_host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host)
    url_host = url_host or (f"[{host}]" if ":" in host else host)
    url = f"http://{url_host}:{port}"
    names = pool.names()
    body = f'{{"model_name": "{names[0] if names else "NAME"}", "start_phrase": "It was"}}'
    key = " -H 'Authorization: Bearer KEY'" if settings.api_keys else ""
    if api:
        lines = [f"serving the models of {api} at {url}", f"page       {url}/studio/"]
    else:
        lines = [
            f"serving {', '.join(names) or 'no models yet'} at {url}",
            f"try it     curl {url}/gen_text{key} -H 'Content-Type: application/json' "
            f"-d {shlex.quote(body)}",
            f"OpenAI     base_url {url}/v1",
            *([f"page       {url}/studio/"] if page else []),
            f"see        {url}/docs, {url}/health, {url}/metrics",
        ]
    lines.append("stop       Ctrl-C")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
    if not settings.api_keys and host not in ("127.0.0.1", "::1", "localhost"):
        logging.getLogger("textwright").warning(
            "anybody who reaches this address may generate: set --api-key-file"
        )
    return url
