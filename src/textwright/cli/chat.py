"""`textwright chat`: talk with a model at the terminal."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from textwright.cli.generate import (
    ComputePrecision,
    MaxTokens,
    MinP,
    Precision,
    RepetitionPenalty,
    RunName,
    Runs,
    Seed,
    Temperature,
    TopK,
    TopP,
    be_printable,
    show,
)
from textwright.errors import RequestError

if TYPE_CHECKING:
    from textwright.generation import Dialogue

Number = TypeVar("Number", int, float)

HELP = """\
/temperature X   dare more (above 1) or less (below 1); 0 takes the likeliest each time
/seed N          draw the replies to come from this seed
/help            show this
/quit            end; so does Ctrl-D
Ctrl-C stops a reply."""


def chat(
    run: RunName,
    you: Annotated[str, typer.Option(help="Your name in the dialogue.")] = "YOU",
    name: Annotated[str, typer.Option(help="The model's name in the dialogue.")] = "MODEL",
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: RepetitionPenalty = None,
    seed: Seed = None,
    precision: ComputePrecision = Precision.float32,
    runs: Runs = None,
) -> None:
    """Talk with a model. One of plain text improvises a dialogue, as a play would have it.

    textwright chat my_play --you ROMEO --name JULIET
    """
    from textwright.generation import load

    be_printable()
    dialogue = load(run, runs, precision=precision).chat(
        user=you,
        name=name,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    learned = (
        "plain text, not from conversations, and improvises"
        if dialogue.improvises
        else "conversations"
    )
    _say(
        f"{dialogue.names.model} learned from {learned}. /help tells what you can do, Ctrl-D ends."
    )
    for line in _lines(f"{dialogue.names.user}: "):
        if not line.startswith("/"):
            _reply(dialogue, line)
        elif line in ("/quit", "/exit"):
            return
        else:
            _command(dialogue, *line[1:].split(maxsplit=1))


def _lines(prompt: str) -> Iterator[str]:
    """What the user types, line by line, with editing and history at a terminal."""
    terminal = sys.stdin.isatty()
    if terminal:
        with contextlib.suppress(ImportError):  # Windows has its own line editing
            import readline  # noqa: F401
    else:
        _tolerate_any_bytes()
    while True:
        try:
            line = input(prompt if terminal else "").strip()
        except EOFError:
            if terminal:
                show("\n")
            return
        except KeyboardInterrupt:
            _say("\n(/quit or Ctrl-D ends)")
            continue
        if line:
            yield line


def _tolerate_any_bytes() -> None:
    reconfigure: Callable[..., Any] | None = getattr(sys.stdin, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _reply(dialogue: Dialogue, text: str) -> None:
    show(f"{dialogue.names.model}: ")
    with _interrupted() as interrupted:
        pieces = dialogue.stream(text)
        for piece in pieces:
            show(piece)
            if interrupted():
                break
        pieces.close()
    show("\n")
    for warning in dialogue.warnings:
        _say(f"warning: {warning}")


@contextlib.contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C was pressed meanwhile, which then does nothing else.

    An exception in the middle of a token could leave the model's state half-updated.
    """
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _command(dialogue: Dialogue, command: str = "", value: str = "") -> None:
    try:
        if command == "help":
            _say(HELP)
        elif command == "temperature":
            dialogue.change(temperature=_number(float, value))
            _say(f"temperature {value}")
        elif command == "seed":
            dialogue.change(seed=_number(int, value))
            _say(f"seed {value}")
        else:
            _say(f"no command /{command}; /help tells what there is")
    except RequestError as error:
        _say(str(error))


def _number(kind: Callable[[str], Number], text: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise RequestError(f"{text!r} is not a number; /help shows how it is written") from None


def _say(text: str) -> None:
    """What isn't part of the dialogue goes to standard error."""
    typer.echo(text, err=True)
