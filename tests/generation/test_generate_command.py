"""`textwright generate` as people run it; pipes, signals and locales in processes of their own."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from commands import Command
from textwright.generation import load
from textwright.runs import Run

START = [sys.executable, "-c", "from textwright.cli.app import main; main()"]


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Run]) -> Run:
    return make_run("gpt", name="play")


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    words = [*START, "generate", *map(str, arguments)]
    options = {"capture_output": True, "encoding": "utf-8", "timeout": 200, **options}
    return subprocess.run(words, check=False, **options)


def test_prompt_and_continuation(run: Run, command: Command) -> None:
    found = command(
        "generate", run.path, "It was", "-n", 50, "--seed", 3, "--temperature", 0.9, "--top-k", 9
    )
    expected = load(run).generate("It was", max_tokens=50, seed=3, temperature=0.9, top_k=9)
    assert found.stdout == f"{expected}\n" and found.stderr == ""


def test_every_setting_and_a_name_under_runs(run: Run, command: Command) -> None:
    found = command(
        "generate", "play", "It", "--runs", run.path.parent,
        "--top-p", 0.9, "--min-p", 0.01, "--seed", 1,
        "--repetition-penalty", 1.3, "--stop", "e", "--stop", "\n", "--max-tokens", 30, "--json",
    )  # fmt: skip
    expected = load(run).generate("It", top_p=0.9, min_p=0.01, repetition_penalty=1.3, seed=1,
                                  stop=["e", "\n"], max_tokens=30)  # fmt: skip
    record = json.loads(found.stdout)
    assert record == {
        "model_name": "play",
        "prompt": "It",
        "text": expected.text,
        "tokens": expected.tokens,
        "finish_reason": expected.finish_reason,
        "warnings": [],
        "seed": 1,
    }


def test_several_samples_as_json_lines_with_probabilities(run: Run, command: Command) -> None:
    found = command("generate", run.path, "It Ж", "-n", 4, "--count", 3, "--seed", 7, "--json",
                    "--probabilities")  # fmt: skip
    records = [json.loads(line) for line in found.stdout.splitlines()]
    assert [record["seed"] for record in records] == [7, 8, 9]
    for record in records:
        assert "Ж" in record["warnings"][0]
        shown = record["probabilities"]
        assert [token["id"] for token in shown] == record["tokens"]
        assert all(0 < token["probability"] <= 1 for token in shown)
        assert all(len(token["alternatives"]) == 5 for token in shown)
    assert found.stderr.count("Ж") == 1


def test_several_samples_and_probabilities_as_text(run: Run, command: Command) -> None:
    found = command(
        "generate", run.path, "It", "-n", 3, "--count", 2, "--seed", 7, "--probabilities"
    )
    expected = load(run).generate_many("It", 2, max_tokens=3, seed=7, logprobs=1)
    assert "\n---\n" in found.stdout
    for sample in expected:
        assert str(sample) in found.stdout
        assert sample.logprobs is not None
        assert f"{100 * sample.logprobs[0].probability:.1f} %" in found.stdout


def test_a_prompt_from_standard_input(
    run: Run, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "It was\nthe"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{prompt}\n".encode())))
    found = command("generate", run.path, "-", "-n", 20, "--seed", 3)
    assert found.stdout == f"{load(run).generate(prompt, max_tokens=20, seed=3)}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["-n", "0"], "max_tokens"),
        (["--count", "0"], "count"),
        (["--stop", ""], "stop"),
        (["--strict"], "Ж"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    run: Run, arguments: list[str], named: str, command: Command
) -> None:
    shown = command("generate", run.path, "It Ж", *arguments, code=2)
    assert shown.stdout == ""
    assert shown.stderr.startswith("error: ") and shown.stderr.count("\n") == 1
    assert named in shown.stderr


def test_text_comes_while_it_is_generated_and_ctrl_c_keeps_it(run: Run) -> None:
    words = [*START, "generate", str(run.path), "It was", "-n", "100000000", "--seed", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        head = process.stdout.read(40)
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
        process.wait(timeout=200)
    text = (head + rest).decode()
    assert text.startswith("It was") and text.endswith("\n")
    assert load(run).generate("It was", max_tokens=20, seed=1).text in text
    assert process.returncode == 130 and errors.strip() == b""


def test_a_reader_that_has_had_enough_is_no_error(run: Run) -> None:
    words = [*START, "generate", str(run.path), "It was", "-n", "100000000", "--seed", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=200) == 0


def test_a_terminal_that_lacks_characters(make_chain: Callable[..., Run]) -> None:
    run = make_chain("w你好")
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    environment = {**os.environ, **settings}
    found = process(run.path, "w", "-n", 4, env=environment)
    assert (found.stdout, found.returncode) == ("w??w?\n", 0)
    as_json = process(run.path, "w", "-n", 4, "--json", env=environment)
    assert json.loads(as_json.stdout)["text"] == "你好w你"


def test_the_c_locale_alone_loses_nothing(make_chain: Callable[..., Run]) -> None:
    run = make_chain("w你好")
    found = process(run.path, "w", "-n", 4, env={**os.environ, "LC_ALL": "C"})
    assert found.stdout == "w你好w你\n"


def test_it_stays_light(run: Run) -> None:
    code = (
        "import sys; sys.argv[0] = 'textwright'\n"
        "from textwright.cli.app import main\n"
        "try: main()\n"
        "finally: print({'torch', 'transformers', 'rich.table'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, "generate", str(run.path), "It", "-n", "1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.endswith("set()\n")
