"""`textwright chat` at a pipe and at a real (pseudo) terminal, and the dialogue behind it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from textwright.errors import RequestError, TokenizerError
from textwright.generation import Generator, load, strip_stream
from textwright.runs import Run

START = [sys.executable, "-c", "from textwright.cli.app import main; main()", "chat"]


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Run]) -> Run:
    return make_run("gpt", name="play", block_size=256)


@pytest.fixture(scope="module")
def model(run: Run) -> Generator:
    return load(run)


# The dialogue


def test_a_dialogue_continues_what_was_said(model: Generator) -> None:
    first = model.chat(seed=1, max_tokens=30)
    second = model.chat(seed=1, max_tokens=30)
    assert first.say("What light?") == second.say("What light?")
    assert first.say("Who art thou?") != ""
    # The same words and seed in another conversation give another reply
    fresh = model.chat(seed=2, max_tokens=30)
    again = model.chat(seed=1, max_tokens=30)
    again.say("What light?")
    assert fresh.say("Who art thou?") != again.say("Who art thou?") == second.say("Who art thou?")


def test_a_reply_is_what_the_whole_transcript_gives(model: Generator) -> None:
    dialogue = model.chat(seed=5, max_tokens=25, user="ROMEO", name="JULIET")
    one = dialogue.stream("It was")
    raw_one = "".join(one)
    transcript = "\n\nROMEO: It was\n\nJULIET:"
    stop = ["\n\n", "\nROMEO:"]
    made = model.generate(transcript, seed=5, max_tokens=25, stop=stop)
    assert raw_one == made.text.strip()
    assert made.finish_reason == "length"
    said = " ".join(raw_one.split())
    transcript += f" {said}\n\nROMEO: soft\n\nJULIET:"
    expected = model.generate(transcript, seed=6, max_tokens=25, stop=stop)
    assert dialogue.say("soft") == expected.text.strip() != ""


def test_the_model_never_speaks_for_the_user(make_chain: Callable[..., Run]) -> None:
    # After the model's name it says " it was", then goes on with the user's turn
    model = load(make_chain(": itwas\nR"))
    dialogue = model.chat(user="R", name="O", temperature=0, max_tokens=50)
    pieces = list(dialogue.stream("it"))
    assert "".join(pieces) == "itwas"
    assert dialogue.say("it") == "itwas"


@pytest.mark.parametrize(
    ("drawn", "turn"),
    [
        (["\n", "\n it", " was", " \n", "\n"], "it was"),
        ([" it\n", " was", "\n"], "it\n was"),
        (["\n\n", " "], ""),
    ],
)
def test_a_reply_has_no_white_space_at_its_ends(drawn: list[str], turn: str) -> None:
    pieces = list(strip_stream(drawn))
    assert "".join(pieces) == turn and all(pieces)


def test_a_reply_that_is_left_is_a_turn_all_the_same(model: Generator) -> None:
    dialogue = model.chat(seed=1, max_tokens=100)
    reply = dialogue.stream("It was")
    next(reply)
    reply.close()
    assert isinstance(dialogue.say("the best"), str)


def test_changed_settings_hold_from_the_next_reply(model: Generator) -> None:
    dialogue = model.chat(seed=1, max_tokens=30)
    other = model.chat(seed=77, max_tokens=30, temperature=0.1)
    dialogue.change(seed=77)
    dialogue.change(temperature=0.1)
    assert dialogue.say("It") == other.say("It")
    with pytest.raises(RequestError):
        dialogue.change(temperature=-1)
    assert dialogue.say("It") == other.say("It")


def test_what_cannot_be_answered_changes_nothing(model: Generator) -> None:
    """Neither what the user said nor the last reply is lost, and what follows is as if without."""
    dialogue, undisturbed = (
        model.chat(user="ROMEO", name="JULIET", seed=1, max_tokens=20, strict=True)
        for _ in range(2)
    )
    assert dialogue.say("It was") == undisturbed.say("It was")
    said = list(dialogue.messages)
    assert [one.role for one in said] == ["user", "assistant"]
    dialogue.system = "Ж"  # which the model never saw: nothing can be read any more
    for attempt in (dialogue.retry, lambda: dialogue.stream("the best")):
        with pytest.raises(TokenizerError, match="Ж"):
            attempt()
        assert dialogue.messages == said
    dialogue.system = ""
    with pytest.raises(TokenizerError, match="Ж"):
        dialogue.say("Ж")
    assert dialogue.messages == said
    assert dialogue.say("the best") == undisturbed.say("the best")
    # The last of all seeds: there is none for a second reply
    dialogue.change(seed=(1 << 63) - 1)
    dialogue.say("of times")
    said = list(dialogue.messages)
    for attempt in (dialogue.retry, lambda: dialogue.stream("the best")):
        with pytest.raises(RequestError, match="seed"):
            attempt()
        assert dialogue.messages == said
    assert dialogue.undo().content == "of times"


def test_what_is_no_conversation_is_not_loaded(model: Generator, tmp_path: Path) -> None:
    dialogue = model.chat()
    file = tmp_path / "talk.json"
    for text in ("[" * 100_000, "[]", '{"messages": {"role": "user"}}', '{"messages": [1]}'):
        file.write_text(text)
        with pytest.raises(RequestError, match="holds no conversation"):
            dialogue.load(file)
    file.write_text('{"messages": [{"role": "user", "content": "Ay"}]}', encoding="utf-8-sig")
    dialogue.load(file)
    assert [one.content for one in dialogue.messages] == ["Ay"]


def test_names_are_checked(model: Generator) -> None:
    for user, name in (("", "B"), ("A", " "), ("A", "A"), ("A\nB", "C")):
        with pytest.raises(RequestError, match="names"):
            model.chat(user=user, name=name)


# The command


def test_chat_at_a_pipe(run: Run) -> None:
    lines = (
        "It was\n\n/seed 9\nthe Ж\n/temperature hot\n/Temperature 0.5\n/dance\n/help\n/Quit it\nno"
    )
    found = subprocess.run(
        [*START, str(run.path), "--seed", "1", "-n", "20"],
        check=True, input=lines, capture_output=True, encoding="utf-8", timeout=200,
    )  # fmt: skip
    dialogue = load(run).chat(seed=1, max_tokens=20)
    expected = f"MODEL: {dialogue.say('It was')}\n"
    dialogue.change(seed=9)
    expected += f"MODEL: {dialogue.say('the Ж')}\n"
    assert found.stdout == expected
    for word in ("improvises", "Ж", "'hot' is not a number", "no command /dance", "/temperature X"):
        assert word in found.stderr


def test_a_line_that_cannot_be_answered_ends_nothing(run: Run) -> None:
    """There is no seed after the last one."""
    found = subprocess.run(
        [*START, str(run.path), "--seed", str((1 << 63) - 1), "-n", "5"],
        check=True, input="It was\nthe best\n/retry\n/undo\n", capture_output=True,
        encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert found.stdout.count("MODEL:") == 1
    assert found.stderr.count("seed must be") == 2
    assert "taken back: It was" in found.stderr


class Terminal:
    """A pseudo-terminal with the chat in it."""

    def __init__(self, *arguments: str) -> None:
        import pty

        self.child, self.screen = pty.fork()
        if self.child == 0:
            os.execv(START[0], [*START, *arguments])
        self.shown = b""

    def type(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def wait_for(self, text: str, seconds: float = 200) -> str:
        """What was shown up to and with `text`; the rest stays for later."""
        import select

        end = time.monotonic() + seconds
        while text.encode() not in self.shown:
            assert time.monotonic() < end, f"no {text!r} in {self.shown!r}"
            if select.select([self.screen], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.screen, 4096)
                except OSError:  # the other side is closed
                    break
                for bracket in (b"\x1b[?2004h", b"\x1b[?2004l\r"):  # pastes begin and end so
                    self.shown = self.shown.replace(bracket, b"")
        assert text.encode() in self.shown, f"no {text!r} in {self.shown!r}"
        before, _, self.shown = self.shown.partition(text.encode())
        return before.decode(errors="replace") + text

    def type_until(self, keys: str, text: str) -> None:
        """Type `keys`, again if nothing comes of it, until `text` shows.

        Python's line editing misses a Ctrl-C that comes right after it has shown its prompt.
        """
        for _ in range(400):
            self.type(keys)
            try:
                self.wait_for(text, seconds=0.5)
                return
            except AssertionError:
                continue
        raise AssertionError(f"no {text!r} in {self.shown!r}")

    def exit_code(self) -> int:
        import select

        while select.select([self.screen], [], [], 0.2)[0]:
            try:
                if not os.read(self.screen, 4096):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


@pytest.fixture
def endless(make_chain: Callable[..., Run]) -> Run:
    """A model whose replies never end by themselves."""
    return make_chain(": itwas")


@pytest.fixture
def terminal(endless: Run) -> Iterator[Terminal]:
    pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
    opened = Terminal(str(endless.path), "-n", "100000000", "--temperature", "0")
    yield opened
    try:
        os.kill(opened.child, signal.SIGKILL)
        os.waitpid(opened.child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    os.close(opened.screen)


def test_chat_at_a_terminal(terminal: Terminal) -> None:
    terminal.wait_for("improvises")
    terminal.wait_for("YOU: ")
    terminal.type_until("\x03", "Ctrl-D ends")  # Ctrl-C at the prompt ends nothing
    terminal.wait_for("YOU: ")
    terminal.type("it was\n")
    terminal.wait_for("MODEL: itwas: itwas:")  # it streams
    terminal.type("\x03")  # Ctrl-C stops the reply
    terminal.wait_for("\r\nYOU: ")
    terminal.type("itt\x7f\n")  # line editing
    terminal.wait_for("MODEL: itwas:")
    terminal.type("\x03")
    terminal.wait_for("\r\nYOU: ")
    terminal.type("\x04")  # Ctrl-D
    assert terminal.exit_code() == 0


@pytest.mark.slow
def test_however_often_ctrl_c_is_pressed_the_chat_goes_on(terminal: Terminal) -> None:
    terminal.wait_for("YOU: ")
    for _ in range(100):
        terminal.type("/next\n")
        for _ in range(10):
            os.kill(terminal.child, signal.SIGINT)
            time.sleep(0.001)
    terminal.type_until("\x15/top-k 3\n", "top-k 3\r\n")
    terminal.type_until("\x15/quit\n", "/quit")
    assert terminal.exit_code() == 0


@pytest.mark.slow
def test_every_command_at_a_terminal(tmp_path: Path) -> None:
    """The conversation model of the package, by key strokes."""
    pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
    terminal = Terminal("chat", "--seed", "1", "-n", "40")
    terminal.wait_for("learned from conversations")
    terminal.wait_for("YOU: ")

    def say(keys: str, *shows: str) -> str:
        terminal.type(keys + "\n")
        shown = "".join(terminal.wait_for(text) for text in shows)
        return shown + terminal.wait_for("\r\nYOU: ")

    dialogue = load("chat").chat(seed=1, max_tokens=40)
    assert dialogue.say("Hello!") in say("Hello!", "MODEL: ")
    assert "".join(dialogue.retry()) in say("/retry", "MODEL: ")
    bars = say("/next I", "%  █")
    assert bars.count("%") == 10 and bars.count("█") > 30
    say("/temperature 0.5", "temperature 0.5")
    say("/top-k 5", "top-k 5")
    say("/seed 7", "seed 7")
    say("/temperature hot", "'hot' is not a number")
    say("/system We talk of music.", "system: We talk of music.")
    dialogue.change(temperature=0.5)
    dialogue.change(top_k=5)
    dialogue.change(seed=7)
    dialogue.system = "We talk of music."
    reply = dialogue.say("What do you like?")
    assert reply in say("What do you like?", "MODEL: ")
    file = tmp_path / "talk.json"
    say(f"/save {file}", "saved to")
    say("/undo", "taken back: What do you like?")
    say(f"/load {file}", "4 turns", "YOU: What do you like?", f"MODEL: {reply}")
    say("/help", "arrow keys")
    say("/load /nowhere.json", "can't be read")
    say("/dance", "no command /dance")
    # Lines pasted at once are one message
    dialogue.load(file)
    terminal.type("\x1b[200~One line,\nand another\x1b[201~")
    reply = dialogue.say("One line,\nand another")
    assert reply in say("", "another\r\n", "MODEL: ")
    say("/undo", "taken back: One line,", "and another")
    # Arrow up brings back "/load …"; the line is emptied and another typed in its place
    terminal.type("\x1b[A\x1b[A\x1b[A\x1b[A")
    terminal.wait_for("load /nowhere.json")  # its slash was there already
    terminal.type("\x15/quit\n")
    assert terminal.exit_code() == 0
