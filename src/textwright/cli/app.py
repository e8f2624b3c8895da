"""The `textwright` command: its groups, logging, and the handling of errors."""

from __future__ import annotations

import codecs
import io
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, TextIO

import typer

from textwright.cli import (
    chat,
    cloud,
    cloud_chat,
    corpora,
    doctor,
    endpoints,
    evaluate,
    exchange,
    generate,
    hub,
    runs,
    sagemaker,
    sagemaker_entry,
    serve,
    sweep,
    train,
)
from textwright.errors import RequestError, TextwrightError, printable

_OUT_OF_MEMORY = re.compile(r"not enough memory|out of memory|can't allocate memory", re.I)
"""torch's messages, on a CPU and on a GPU: only for the latter it has a class of error."""

app = typer.Typer(
    name="textwright",
    help="Train a language model on your own words, watch it learn, generate from it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every command explains itself: textwright COMMAND --help. With --debug an error shows "
    "where it happened.",
)
app.command("train")(train.train)
app.command("sweep")(sweep.sweep)
app.command("generate")(generate.generate)
app.command("chat")(chat.chat)
app.command("serve")(serve.serve)
app.command("studio")(serve.studio)
app.command("eval")(evaluate.evaluate)
app.command("report")(runs.report)
app.command("doctor")(doctor.doctor)
app.command("export")(exchange.export)
app.command("import")(exchange.import_)
app.command("page")(exchange.page)
app.command("push")(hub.push)
app.command("pull")(hub.pull)

_runs = typer.Typer(help="List, compare and remove runs.", invoke_without_command=True)
_runs.callback()(runs.default)
_runs.command("list")(runs.list_runs)
_runs.command("compare")(runs.compare_runs)
_runs.command("rm")(runs.remove_run)
app.add_typer(_runs, name="runs")

_corpora = typer.Typer(help="Built-in texts: list them, download one.", no_args_is_help=True)
_corpora.command("list")(corpora.list_corpora)
_corpora.command("fetch")(corpora.fetch_corpus)
app.add_typer(_corpora, name="corpora")

_cloud = typer.Typer(help="Amazon SageMaker: train and host there.", no_args_is_help=True)
_cloud.command("package")(sagemaker.package)
_cloud.command("train")(cloud.train)
_cloud.command("deploy")(endpoints.deploy)
_cloud.command("invoke")(endpoints.invoke)
_cloud.command("chat")(cloud_chat.chat)
_cloud.command("status")(cloud.status)
_cloud.command("delete")(endpoints.delete)
app.add_typer(_cloud, name="sagemaker")

_entry = typer.Typer(help="What a SageMaker container runs.", no_args_is_help=True)
_entry.command("train")(sagemaker_entry.train)
_entry.command("serve")(sagemaker_entry.serve)
app.add_typer(_entry, name="sagemaker-entry")


def _version(requested: bool) -> None:
    if requested:
        from textwright.version import VERSION

        typer.echo(f"textwright {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train a language model on your own words, watch it learn, generate from it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("TEXTWRIGHT_DEBUG"))
    words = [word for word in words if word != "--debug"]
    _configure_encoding()
    _configure_logging(debug)
    try:
        with _ending_in_order():
            code = _run(words, debug)
    except _Ended as ended:
        signal.raise_signal(ended.number)  # so that whoever sent it sees it
        code = 128 + ended.number
    sys.exit(code)


class _Ended(BaseException):
    """A signal ends the process; what is open is closed and what is half written removed first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Where SIGTERM, or SIGHUP of a terminal that closed, would end the process on the spot, end it
    as an error does; the second one does it on the spot."""
    numbers = [signal.SIGTERM]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)
    mine: list[signal.Signals] = []

    def restore() -> None:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)

    def end(number: int, frame: FrameType | None) -> None:
        restore()
        raise _Ended(number)

    if threading.current_thread() is threading.main_thread():
        mine += [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, end)
    try:
        yield
    finally:
        restore()


_replaced: set[str] = set()
"""Characters that an output's encoding lacks, written as `?` so far."""


def _configure_encoding() -> None:
    """Write files and pipes in UTF-8; `?` for what a terminal's encoding lacks, and say so.

    Where the environment names an encoding (PYTHONIOENCODING, PYTHONUTF8), that is taken.
    """
    is_set = os.environ.keys() & {"PYTHONIOENCODING", "PYTHONUTF8"}
    codecs.register_error("textwright-replace", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if not is_set and not stream.isatty():
                stream.reconfigure(encoding="utf-8")
            errors = "textwright-replace" if stream is sys.stdout else "replace"
            stream.reconfigure(errors=errors)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    _replaced.update(text[:100])
    return "?" * len(text), error.end


def _warn_of_replaced() -> None:
    """Say which characters were written as `?`, and how to have them."""
    if _replaced:
        shown = " ".join(f"U+{ord(character):04X}" for character in sorted(_replaced)[:5])
        encoding = getattr(sys.stdout, "encoding", "?")
        sys.stderr.write(
            f"warning: {encoding} lacks {len(_replaced)} of the characters ({shown} …), which are "
            "written as ?; PYTHONIOENCODING=utf-8 writes them\n"
        )
        _replaced.clear()


def _run(words: list[str], debug: bool) -> int:
    """Run a command; returns its exit code."""
    try:
        try:
            result = app(args=words, prog_name="textwright", standalone_mode=False)
        finally:
            sys.stdout.flush()
            _warn_of_replaced()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        return _broken_pipe()
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        if debug:
            raise
        return _report_error(error)


def _broken_pipe() -> int:
    """Standard output was closed (`| head`): end quietly, as Typer does where it catches that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _report_error(error: Exception) -> int:
    """Print an error in one line; returns the exit code."""
    if isinstance(error, TextwrightError):
        return _print_error(str(error), 2 if isinstance(error, RequestError) else 1)
    if isinstance(error, typer.TyperException):  # the base of all usage errors
        message = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":  # the help, where words are missing
            typer.echo(message)
            return 2
        return _print_error(message + _hint(error), 2)
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error))
    ):
        return _print_error("not enough memory; take a smaller --size or training.batch_size", 1)
    name = type(error).__name__
    return _print_error(f"{name}: {error} (a fault in textwright; --debug shows where)", 1)


def _hint(error: typer.TyperException) -> str:
    """What another program's name for an option means here, where nothing is spelled like it."""
    from textwright.configs import nearest

    context = getattr(error, "ctx", None)
    name = getattr(error, "option_name", None)
    if type(error).__name__ != "NoSuchOption" or context is None or name is None:
        return ""
    command = context.command
    options = [word for each in command.params for word in each.opts if word.startswith("--")]
    hint = nearest(name, options)
    spelled = getattr(error, "possibilities", None)  # are in its message
    return "" if spelled or "did you mean" not in hint else hint


def _print_error(message: str, code: int) -> int:
    sys.stderr.write(f"error: {printable(message)}\n")
    return code


class _Formatter(logging.Formatter):
    """`note: …` and `warning: …`, one line each."""

    def format(self, record: logging.LogRecord) -> str:
        level = "warning" if record.levelno >= logging.WARNING else "note"
        return f"{level}: {printable(record.getMessage())}"


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stderr`, which a live display replaces while it runs."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _configure_logging(debug: bool) -> None:
    handler = _StderrHandler()
    handler.setFormatter(_Formatter())
    logger = logging.getLogger("textwright")
    for earlier in [each for each in logger.handlers if isinstance(each, _StderrHandler)]:
        logger.removeHandler(earlier)  # of a command before this one in the same process
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    logger.propagate = False
