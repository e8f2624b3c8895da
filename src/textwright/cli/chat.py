"""`textwright chat`: a conversation with a model at the terminal."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from textwright.cli.generate import (
    AllowUnk,
    Companion,
    CompanionOption,
    ComputePrecision,
    CopyAtMost,
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
    show,
)
from textwright.errors import RequestError, TextwrightError

if TYPE_CHECKING:
    from textwright.generation import Dialogue

Number = TypeVar("Number", int, float)

HELP = """\
/temperature X   dare more (above 1) or less (below 1); 0 takes the likeliest each time
/top-k N         draw from the N likeliest only; 0: from all
/seed N          draw the replies to come from this seed
/retry           another reply to what you said last
/undo            take back what you said last, and the reply
/next [WORDS]    the ten likeliest tokens that the reply to what you said last goes on with, after
                 the words that it is taken to begin with
/system [TEXT]   a message that stands before the conversation; without text: none
/save FILE       write the conversation, which a model can be trained on
/load FILE       go on with one that was saved, in place of this
/help            show this
/quit            end; so does Ctrl-D
Ctrl-C stops a reply; the arrow keys bring back and edit what you typed."""

BAR = 30
"""Width of the longest bar, in characters."""


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
    allow_unk: AllowUnk = False,
    copy_at_most: CopyAtMost = None,
    system: Annotated[
        str, typer.Option(help="A message that stands before the conversation.")
    ] = "",
    precision: ComputePrecision = Precision.auto,
    companion: CompanionOption = Companion.auto,
    runs: Runs = None,
) -> None:
    """Talk with a model. One of plain text improvises a dialogue, as a play would have it.

    textwright chat my_play --you ROMEO --name JULIET
    """
    from textwright.generation import load

    model = load(run, runs, precision=precision, companion=companion, copy_at_most=copy_at_most)
    dialogue = model.chat(
        user=you,
        name=name,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        allow_unk=allow_unk,
        system=system,
    )
    learned = (
        "plain text, not from conversations, and improvises"
        if dialogue.improvises
        else "conversations"
    )
    _say(
        f"{dialogue.names.model} learned from {learned}. /help tells what you can do, Ctrl-D ends."
    )
    with interrupts():  # Ctrl-C is ignored but in a reply and in `_read_line`
        for line in lines(f"{dialogue.names.user}: "):
            if not line.startswith("/"):
                try:
                    _reply(dialogue, partial(dialogue.stream, line))
                except RequestError as error:  # the conversation goes on without the line
                    _say(str(error))
                continue
            command, _, value = line[1:].partition(" ")
            if command.casefold() in ("quit", "exit"):
                return
            _command(dialogue, command.casefold(), value.strip())


def lines(prompt: str) -> Iterator[str]:
    """The user's lines, without empty ones; with editing and history at a terminal."""
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        _edit_lines()
    else:
        _replace_undecodable()
    ignore = signal.getsignal(signal.SIGINT)
    while True:
        try:
            line = _read_line(prompt if is_terminal else "", ignore).strip()
        except EOFError:
            if is_terminal:
                show("\n")
            return
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, ignore)
            _say("\n(/quit or Ctrl-D ends)")
            continue
        if line:
            yield line


def _edit_lines() -> None:
    """Let `input` edit lines and keep a history, as Windows does by itself."""
    if sys.platform != "win32":
        with contextlib.suppress(ImportError):  # some Pythons are built without
            import readline

            if "libedit" not in (readline.__doc__ or ""):
                # several lines pasted at once are one message
                readline.parse_and_bind("set enable-bracketed-paste on")


def _read_line(prompt: str, ignore: Any) -> str:
    """Read a line; Ctrl-C raises `KeyboardInterrupt` meanwhile, after that `ignore` handles it."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return input(prompt)
    finally:
        signal.signal(signal.SIGINT, ignore)


def _replace_undecodable() -> None:
    """Read bytes of standard input that aren't text in its encoding as `�`."""
    reconfigure: Callable[..., Any] | None = getattr(sys.stdin, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _reply(dialogue: Dialogue, begin: Callable[[], Generator[str, None, None]]) -> None:
    dropped = dialogue.dropped
    with interrupts() as interrupted:
        pieces = begin()
        show(f"{dialogue.names.model}: ")
        for piece in pieces:
            show(piece)
            if interrupted():
                break
        pieces.close()
    show("\n")
    for warning in dialogue.warnings:
        _say(f"warning: {warning}")
    if dialogue.dropped > dropped:
        _say(
            f"(the model's context is full: it no longer sees the oldest {dialogue.dropped} turns)"
        )


@contextlib.contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Gives a function that returns whether Ctrl-C was pressed, which does nothing else meanwhile:
    an exception in the middle of a token could leave the model's state half-updated."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _command(dialogue: Dialogue, command: str, value: str) -> None:
    run = _COMMANDS.get(command)
    if run is None:
        _say(f"no command /{command}; /help tells what there is")
        return
    try:
        run(dialogue, value)
    except TextwrightError as error:
        _say(str(error))


def _help(dialogue: Dialogue, value: str) -> None:
    _say(HELP)


def _temperature(dialogue: Dialogue, value: str) -> None:
    dialogue.change(temperature=_number(float, value))
    _say(f"temperature {value}")


def _top_k(dialogue: Dialogue, value: str) -> None:
    dialogue.change(top_k=_number(int, value))
    _say(f"top-k {value}")


def _seed(dialogue: Dialogue, value: str) -> None:
    dialogue.change(seed=_number(int, value))
    _say(f"seed {value}")


def _retry(dialogue: Dialogue, value: str) -> None:
    _reply(dialogue, dialogue.retry)


def _undo(dialogue: Dialogue, value: str) -> None:
    _say(f"taken back: {dialogue.undo().content}")


def _next(dialogue: Dialogue, value: str) -> None:
    likeliest = dialogue.next_distribution(value)
    width = max(len(repr(token)) for token, _ in likeliest)
    for token, probability in likeliest:
        bar = "█" * round(BAR * probability / likeliest[0][1]) or "▏"
        show(f"{token!r:<{width}}  {probability:6.1%}  {bar}\n")


def _system(dialogue: Dialogue, value: str) -> None:
    dialogue.system = value
    _say(f"system: {value}" if value else "no system message")


def _save(dialogue: Dialogue, value: str) -> None:
    dialogue.save(_file(value))
    _say(f"saved to {value}")


def _load(dialogue: Dialogue, value: str) -> None:
    dialogue.load(_file(value))
    _say(f"{len(dialogue.messages)} turns of {value}")
    for message in dialogue.messages:
        name = dialogue.names.user if message.role == "user" else dialogue.names.model
        show(f"{name}: {message.content}\n")


_COMMANDS: dict[str, Callable[[Dialogue, str], None]] = {
    "help": _help,
    "temperature": _temperature,
    "top-k": _top_k,
    "seed": _seed,
    "retry": _retry,
    "undo": _undo,
    "next": _next,
    "system": _system,
    "save": _save,
    "load": _load,
}


def _file(value: str) -> Path:
    if not value:
        raise RequestError("name a file, e.g. /save talk.json")
    return Path(value).expanduser()


def _number(type_: Callable[[str], Number], text: str) -> Number:
    try:
        return type_(text)
    except ValueError:
        raise RequestError(f"{text!r} is not a number; /help shows how it is written") from None


def _say(text: str) -> None:
    """Print what isn't part of the conversation, to standard error."""
    typer.echo(text, err=True)
