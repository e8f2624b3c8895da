"""Each export runs in the program it is for, and there it computes and writes the same."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

import textwright
from small_models import random_weights, small_config, write_run
from textwright import runs
from textwright.cli.app import main
from textwright.errors import RequestError
from textwright.publishing import export
from textwright.runs import Run
from textwright.tokenizers import Tokenizer, train_tokenizer

BLOCK = 224
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the consumers' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of each family, of characters beyond ASCII too; weights as large as learned ones."""
    from pydoc_data import topics

    text = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))[:150_000]
    tokenizer = train_tokenizer("char", lambda: [text + "naïve café — 你好 🙂\n" * 50])
    folder, made = tmp_path_factory.mktemp("made"), {}
    for family in ("gpt", "transformer", "lstm", "gru"):
        config = small_config(family, tokenizer.vocab_size, hidden_size=64, block_size=BLOCK)
        made[family] = write_run(folder / family, config, random_weights(config), tokenizer)
    return made


def random_strings(count: int) -> list[str]:
    """Characters of the text, others, white space, and what looks like special tokens."""
    chance = random.Random(1)
    alphabet = "abcXYZ 019.,;!?\n\t'\"—ïé你好🙂ß\u0301Ω<>"
    words = ["the ", "<eos>", "<unk>", "e\u0301", "\r\n", "class "]
    return [
        "".join(
            chance.choice(words) if chance.random() < 0.1 else chance.choice(alphabet)
            for _ in range(chance.randrange(40))
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("family", ["gpt", "transformer"])
def test_transformers_opens_an_export_with_the_same_logits(
    family: str, made: dict[str, Run], tmp_path: Path
) -> None:
    import tokenizers
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    run = made[family]
    folder = export(run, "transformers", tmp_path / "out")
    stock = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    own = textwright.load(run)
    text = "The statement is "
    tokens = own.tokenizer.encode(text * 20)[:BLOCK]
    expected, _ = own.runtime(np.array(tokens), own.runtime.initial_state())
    with torch.no_grad():
        logits = stock(torch.tensor([tokens])).logits[0].numpy()
    difference = np.abs(logits - expected).max()
    print(f"{family}: largest difference of logits {difference:.1e}")
    assert difference <= 1e-4 and expected.std() > 0.5
    prompt = own.tokenizer.encode(text)
    room = BLOCK - len(prompt)
    greedy = own.generate(text, max_tokens=room, temperature=0)
    write = pipeline("text-generation", model=stock, tokenizer=tokenizer)
    found = write(text, do_sample=False, max_new_tokens=room, return_full_text=False)
    assert found[0]["generated_text"] == greedy.text and len(greedy.tokens) == room
    raw = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    strings = random_strings(10_000)
    ids = [one.ids for one in raw.encode_batch(strings, add_special_tokens=False)]
    assert ids == [own.tokenizer.encode(one) for one in strings]
    assert tokenizer(strings, add_special_tokens=False)["input_ids"] == ids


def test_a_model_of_conversations_replies_the_same_there(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    folder = export(runs.find("chat"), "transformers", tmp_path / "out")
    own = textwright.load("chat")
    write = pipeline(
        "text-generation", model=AutoModelForCausalLM.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder),
    )  # fmt: skip
    settings = {"do_sample": False, "max_new_tokens": 40, "return_full_text": False}
    said, chat = [], own.chat(temperature=0, max_tokens=40)
    for words in ("Hello!", "Do you like music?"):
        said.append({"role": "user", "content": words})
        reply = write(said, **settings)[0]["generated_text"].strip()
        assert reply == chat.say(words) != ""
        said.append({"role": "assistant", "content": reply})
    begun = write("<bos><user> I like", **settings)[0]["generated_text"]
    assert begun == own.generate("I like", max_tokens=40, temperature=0).text != ""


@pytest.mark.parametrize("family", ["lstm", "gru"])
def test_the_hubs_mixin(family: str, made: dict[str, Run], tmp_path: Path) -> None:
    import torch
    from huggingface_hub import PyTorchModelHubMixin

    folder = export(made[family], "transformers", tmp_path / "out")
    model = textwright.RecurrentModel.from_pretrained(folder)
    assert isinstance(model, PyTorchModelHubMixin) and not model.training
    own = textwright.load(made[family])
    tokens = own.tokenizer.encode("The statement is " * 5)
    expected, _ = own.runtime(np.array(tokens), own.runtime.initial_state())
    with torch.no_grad():
        logits = model(torch.tensor([tokens]))[0][0].numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    model.save_pretrained(tmp_path / "again")
    again = textwright.RecurrentModel.from_pretrained(tmp_path / "again")
    assert torch.equal(again(torch.tensor([tokens]))[0], model(torch.tensor([tokens]))[0])


@pytest.mark.parametrize("family", ["gpt", "lstm"])
def test_onnx_writes_the_same(family: str, made: dict[str, Run], tmp_path: Path) -> None:
    from onnx_runtime import OnnxRuntime

    from textwright.generation import Generator

    out = export(made[family], "onnx", tmp_path / "out")
    own = textwright.load(made[family])
    other = Generator(OnnxRuntime(out / "model.onnx"), Tokenizer.load(Run(out)))
    for settings in ({"temperature": 0.0}, {"temperature": 0.8, "seed": 4}):
        expected = own.generate("The ", max_tokens=150, **settings)
        assert other.generate("The ", max_tokens=150, **settings).text == expected.text


def test_llama_cpp_opens_an_export_with_the_same_text(
    made: dict[str, Run], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The one optional test: it takes many minutes to build, so nobody is made to.
    llama_cpp = pytest.importorskip("llama_cpp", reason="optional: no llama.cpp is built here")
    file = export(made["gpt"], "gguf", tmp_path / "model.gguf")
    own = textwright.load(made["gpt"])
    with capfd.disabled():
        llama = llama_cpp.Llama(
            str(file), n_ctx=256, n_threads=1, verbose=False, logits_all=True, type_k=0, type_v=0
        )
    for text in ("The 你好 🙂 naïve — \n", random_strings(50)[7]):
        composed = own.tokenizer.backend.normalizer.normalize_str(text)
        ids = llama.tokenize(composed.encode(), add_bos=False, special=False)
        assert ids == own.tokenizer.encode(text)
    prompt = "The statement is "
    greedy = own.generate(prompt, max_tokens=200, temperature=0)
    found = llama(prompt, max_tokens=200, temperature=0, repeat_penalty=1.0)["choices"][0]
    assert found["text"] == greedy.text and found["finish_reason"] == "length"
    tokens = own.tokenizer.encode(prompt + greedy.text)
    llama.reset()
    llama.eval(tokens)
    logits = llama.scores[: len(tokens)]
    expected, _ = own.runtime(np.array(tokens), own.runtime.initial_state())
    size = expected.shape[1]
    print(f"gguf: largest difference {np.abs(logits[:, :size] - expected).max():.1e}; ", end="")
    print(f"the end token's logit {logits[:, size:].max():.0f} at most")
    np.testing.assert_allclose(logits[:, :size], expected, atol=1e-3)
    assert logits.shape[1] == size + 1 and logits[:, size:].max() < -1000


@pytest.mark.parametrize(
    ("target", "family", "message"),
    [("gguf", "lstm", "llama.cpp has no such model"), ("onxx", "gpt", "did you mean 'onnx'")],
)
def test_what_does_not_fit_is_one_line(
    target: str, family: str, message: str, made: dict[str, Run], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=message):
        export(made[family], target, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_replaces_exports_and_nothing_else(
    made: dict[str, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = made["gpt"], tmp_path / "out"
    for _ in range(2):  # an earlier export is replaced
        with pytest.raises(SystemExit) as ended:
            main(["export", str(run.path), "--to", "onnx", "--out", str(out)])
        assert ended.value.code == 0 and capsys.readouterr().out.strip() == str(out)
    assert (out / "model.onnx").is_file()
    shutil.copytree(run.path, tmp_path / "run")
    for name in ("run", "full"):
        (tmp_path / "full").mkdir(exist_ok=True)
        (tmp_path / "full" / "novel.txt").write_text("mine")
        with pytest.raises(SystemExit) as ended:
            main(["export", str(run.path), "--to", "onnx", "--out", str(tmp_path / name)])
        assert ended.value.code == 2 and "choose another --out" in capsys.readouterr().err
    assert (tmp_path / "full" / "novel.txt").read_text() == "mine"


@pytest.mark.parametrize("target", ["transformers", "onnx"])
def test_a_run_is_never_taken_for_an_earlier_export(
    target: str, made: dict[str, Run], tmp_path: Path
) -> None:
    """A pulled run holds what an export holds, and nothing else; so it lies where runs are."""
    mine, other = Run(tmp_path / "runs" / "mine"), Run(tmp_path / "runs" / "other")
    for run in (mine, other):
        run.path.mkdir(parents=True)
        for file in made["gpt"].files_to_copy():
            shutil.copyfile(file, run.path / file.name)
    before = other.weights_file.read_bytes()
    for out in (mine.path, other.path, tmp_path / "runs" / "mine" / ".." / "other"):
        with pytest.raises(RequestError, match="is a run; choose another --out"):
            export(mine, target, out)
    with pytest.raises(RequestError, match="is a file"):
        export(mine, target, other.weights_file)
    assert other.weights_file.read_bytes() == before and mine.has_model()
    free = tmp_path / "runs" / "mine-exported"
    assert export(mine, target, free) == free


@pytest.mark.parametrize("name", ["model.gguf", "page.html"])
def test_a_file_is_written_over_a_file_alone(
    name: str, made: dict[str, Run], tmp_path: Path
) -> None:
    target = {"model.gguf": "gguf", "page.html": "page"}[name]
    out = tmp_path / name
    (out / "inside").mkdir(parents=True)
    with pytest.raises(RequestError, match="is a folder; name a file"):
        export(made["gpt"], target, out)
    assert (out / "inside").is_dir()
    beside = tmp_path / "folder" / "novel.txt"
    beside.parent.mkdir()
    beside.write_text("mine")
    first = export(made["gpt"], target, beside.parent).read_bytes()
    assert export(made["gpt"], target, beside.parent).read_bytes() == first
    assert beside.read_text() == "mine"


def test_what_no_other_program_holds_is_said_and_left_out(
    text_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = textwright.train(text_file, model="gpt", size="nano", steps=1)
    assert run.companion_file.is_file()
    written = export(run, "transformers", tmp_path / "transformers")
    said = [one.getMessage() for one in caplog.records if "counted" in one.getMessage()]
    assert len(said) == 1 and "the network alone is exported" in said[0]
    assert not (written / run.companion_file.name).exists()
    caplog.clear()
    with pytest.raises(RequestError, match="holds companion|is a run"):  # nothing was exported
        export(run, "transformers", run.path)
    export(run, "transformers", tmp_path / "transformers", companion="off")
    page = export(run, "page", tmp_path / "page")
    assert not [one for one in caplog.records if "counted" in one.getMessage()]
    assert '"companion":{' in page.read_text(encoding="utf-8")
    with pytest.raises(RequestError, match="companion is auto or off, not 'none'"):
        export(run, "page", tmp_path / "page", companion="none")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run.path), "--to", "page", "--out", str(page), "--companion", "off"])
    assert not ended.value.code
    lean = page.read_text(encoding="utf-8")
    assert '"companion":{' not in lean
    run.companion_file.write_bytes(b"broken")  # what is left out isn't read either
    export(run, "page", page, companion="off")
    assert page.read_text(encoding="utf-8") == lean
