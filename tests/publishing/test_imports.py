"""Models that something else trained, as runs: the same logits, and nothing of a pickle is run."""

from __future__ import annotations

import json
import pickle
import string
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import textwright
from textwright.cli.app import main
from textwright.errors import RequestError
from textwright.publishing import import_model, push
from textwright.runs import Run

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # transformers' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
CHARACTERS = "\n !,.abcdefghijklmnopqrstuvwxyzé"
TOKENS = [5, 9, 1, 0, 30, 22, 7, 7, 12, 3, 2, 19]


def stock_gpt2() -> Any:
    """GPT-2 of the stock class in nanoGPT's shape, with every weight random."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(3)
    settings = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 32, "bos_token_id": None}
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(CHARACTERS), activation_function="gelu", eos_token_id=None, **settings
        )
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def as_nanogpt(model: Any, folder: Path, *, bias: bool = True) -> Path:
    """The checkpoint that nanoGPT would have of these weights: `out/ckpt.pt` and its meta.pkl."""
    state = {}
    for name, tensor in model.state_dict().items():
        matrix = tensor.ndim == 2 and ".attn.c_" in name + ".attn.c_" * (".mlp.c_" in name)
        if not bias and name.endswith("bias"):
            continue
        state[f"_orig_mod.{name}"] = tensor.t().contiguous() if matrix else tensor
    (folder / "out").mkdir(parents=True)
    (folder / "data" / "letters").mkdir(parents=True)
    config = model.config
    torch.save(
        {
            "model": state,
            "optimizer": {},
            "model_args": {
                "n_layer": config.n_layer, "n_head": config.n_head, "n_embd": config.n_embd,
                "block_size": config.n_positions, "bias": bias, "vocab_size": config.vocab_size,
                "dropout": 0.0,
            },
            "iter_num": 10,
            "best_val_loss": torch.tensor(1.5),
            "config": {"dataset": "letters"},
        },
        folder / "out" / "ckpt.pt",
    )  # fmt: skip
    table = {character: i for i, character in enumerate(CHARACTERS)}
    meta = {"vocab_size": len(table), "stoi": table, "itos": dict(enumerate(CHARACTERS))}
    (folder / "data" / "letters" / "meta.pkl").write_bytes(pickle.dumps(meta))
    return folder / "out"


def own_logits(run: Any) -> np.ndarray:
    runtime = textwright.load(run).runtime
    return runtime(np.array(TOKENS), runtime.initial_state())[0]


@pytest.mark.parametrize("bias", [True, False])
def test_a_nanogpt_checkpoint_keeps_its_logits(
    bias: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = stock_gpt2()
    if not bias:
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
    out = as_nanogpt(model, tmp_path / "nanoGPT", bias=bias)
    runs = tmp_path / "runs"
    with pytest.raises(SystemExit) as ended:
        main(["import", str(out), "--from", "nanogpt", "--name", "bard", "--runs", str(runs)])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == str(runs / "bard")
    with torch.no_grad():
        expected = model(torch.tensor([TOKENS])).logits[0].numpy()
    np.testing.assert_allclose(own_logits(runs / "bard"), expected, atol=1e-4)
    generator = textwright.load("bard", runs)
    assert generator.tokenizer.encode("abé") == [5, 6, 31]
    assert len(generator.generate("ab", max_tokens=40, seed=1).tokens) == 40
    card = (runs / "bard" / "README.md").read_text(encoding="utf-8")
    assert "Trained with nanogpt" in card and "ckpt.pt" in card
    (pushed,) = push(Run(runs / "bard"), "ann/bard", dry_run=tmp_path / "hub")
    assert "Trained with nanogpt" in (Path(pushed) / "README.md").read_text(encoding="utf-8")
    # and it opens in the stock class again, learned positions and all
    from transformers import AutoModelForCausalLM

    stock = AutoModelForCausalLM.from_pretrained(runs / "bard").eval()
    with torch.no_grad():
        again = stock(torch.tensor([TOKENS])).logits[0].numpy()
    np.testing.assert_allclose(again, expected, atol=1e-4)


def test_training_goes_on_from_an_imported_model(tmp_path: Path) -> None:
    out = as_nanogpt(stock_gpt2(), tmp_path / "nanoGPT")
    run = import_model(out, "nanogpt", name="bard", runs_folder=tmp_path / "runs")
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and that was that.\n" * 60, encoding="utf-8")
    further = textwright.train(
        text, parent=str(run.path), steps=2, runs_folder=tmp_path / "runs",
        changes=["training.batch_size=2"], companion="off",
    )  # fmt: skip
    assert further.config().positions == "learned"  # type: ignore[attr-defined]
    assert textwright.load(further).generate("the", max_tokens=3, seed=1).tokens


def test_a_nanogpt_without_its_characters_says_what_to_name(tmp_path: Path) -> None:
    out = as_nanogpt(stock_gpt2(), tmp_path / "nanoGPT")
    meta = (tmp_path / "nanoGPT/data/letters/meta.pkl").rename(tmp_path / "elsewhere.pkl")
    with pytest.raises(RequestError, match=r"meta\.pkl.*--tokenizer"):
        import_model(out, "nanogpt", runs_folder=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    run = import_model(out, "nanogpt", tokenizer=meta, runs_folder=tmp_path / "runs")
    assert run.name == "out"


class CharRNN(nn.Module):
    """Has the attributes that char-rnn.pytorch's model has, by which its pickle is read."""

    def __init__(self, kind: str, layers: int) -> None:
        super().__init__()
        self.model, self.n_layers = kind, layers
        self.encoder = nn.Embedding(100, 20)
        self.rnn = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](20, 20, layers)
        self.decoder = nn.Linear(20, 100)


@pytest.mark.parametrize("whole", [True, False], ids=["module", "state_dict"])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_char_rnn_checkpoint_keeps_its_logits(
    kind: str, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    model = CharRNN(kind, 2)
    module = type(sys)("model")  # where that program has the class
    module.CharRNN = CharRNN  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "model", module)
        patch.setattr(CharRNN, "__module__", "model")
        torch.save(model if whole else model.state_dict(), tmp_path / "tales.pt")
    run = import_model(tmp_path / "tales.pt", "char-rnn.pytorch", runs_folder=tmp_path / "runs")
    assert run.name == "tales" and run.config().family == kind
    with torch.no_grad():
        outputs, _ = model.rnn(model.encoder(torch.tensor(TOKENS)))
        expected = model.decoder(outputs).numpy()
    np.testing.assert_allclose(own_logits(run), expected, atol=1e-5)
    assert textwright.load(run).tokenizer.encode("aZ") == [string.printable.index(c) for c in "aZ"]


@pytest.mark.parametrize("source", ["nanogpt", "char-rnn.pytorch"])
def test_a_pickle_that_runs_something_is_refused(source: str, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trap,)

    torch.save({"model": Trap(), "model_args": {}}, tmp_path / "bad.pt")
    with pytest.raises(RequestError, match=r"bad\.pt can't be read as data alone.*state_dict"):
        import_model(tmp_path / "bad.pt", source, runs_folder=tmp_path / "runs")
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"stoi": Trap()}))
    out = as_nanogpt(stock_gpt2(), tmp_path / "nanoGPT")
    with pytest.raises(RequestError, match="no plain data"):
        import_model(out, "nanogpt", tokenizer=tmp_path / "meta.pkl", runs_folder=tmp_path / "runs")
    assert not trap.exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "source"), [(b"not a file of torch", "nanogpt"), (b"", "char-rnn.pytorch")]
)
def test_a_damaged_checkpoint_is_one_line(
    content: bytes, source: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ckpt.pt").write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["import", str(tmp_path / "ckpt.pt"), "--from", source])
    shown = capfd.readouterr()
    assert ended.value.code == 2 and shown.out == ""
    assert len(shown.err.splitlines()) == 1 and "ckpt.pt" in shown.err


@pytest.mark.parametrize("parts", [1, 3])
def test_folders_of_transformers_keep_their_logits(parts: int, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

    from textwright.publishing.vocabularies import character_tokenizer

    vocabulary = character_tokenizer({character: i for i, character in enumerate(CHARACTERS)})
    torch.manual_seed(2)
    shape = {"vocab_size": 40, "bos_token_id": None, "eos_token_id": None}  # padded
    qwen = Qwen3Config(
        hidden_size=64, num_attention_heads=2, num_key_value_heads=2, head_dim=32,
        intermediate_size=96, num_hidden_layers=2, max_position_embeddings=32,
        tie_word_embeddings=False, **shape,
    )  # fmt: skip
    gpt2 = GPT2Config(n_embd=64, n_layer=2, n_head=2, n_positions=32, **shape)
    for number, model in enumerate((Qwen3ForCausalLM(qwen), GPT2LMHeadModel(gpt2))):
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.2)
        folder = tmp_path / f"theirs-{number}"
        size = {1: "5GB", 3: "60KB"}[parts]
        model.eval().save_pretrained(folder, max_shard_size=size)
        assert (len(list(folder.glob("*.safetensors"))) > 1) == (parts > 1)
        (folder / "tokenizer.json").write_text(vocabulary.backend.to_str(), encoding="utf-8")
        run = import_model(folder, "transformers", runs_folder=tmp_path / "runs")
        with torch.no_grad():
            expected = model(torch.tensor([TOKENS])).logits[0, :, : len(CHARACTERS)].numpy()
        assert expected.std() > 0.1
        np.testing.assert_allclose(own_logits(run), expected, atol=1e-4)


def test_a_shape_that_no_family_has_is_refused(tmp_path: Path) -> None:
    from transformers import LlamaConfig

    LlamaConfig().save_pretrained(tmp_path / "llama")
    (tmp_path / "llama" / "tokenizer.json").write_text("{}")
    with pytest.raises(RequestError):
        import_model(tmp_path / "llama", "transformers", runs_folder=tmp_path / "runs")
    for folder, shape, says in (
        ("qwen3", {"attention_bias": True}, "attention_bias is True, which"),
        ("qwen3", {"rope_scaling": {"type": "yarn"}}, "rope_scaling is of the type 'yarn', which"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is False, which"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "config.json").write_text(json.dumps({"model_type": folder, **shape}))
        with pytest.raises(RequestError, match=f"{folder}: config.json: .*{says}"):
            import_model(tmp_path / folder, "transformers", runs_folder=tmp_path / "runs")
    with pytest.raises(RequestError, match="did you mean 'nanogpt'"):
        import_model(tmp_path, "nanogtp")
