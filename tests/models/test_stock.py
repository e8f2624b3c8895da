"""A trained run opens in stock `transformers`: same ids, same logits, no code of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import textwright
from textwright.models.base import load_model
from textwright.tokenizers import Tokenizer

pytestmark = [
    pytest.mark.slow,
    # transformers' own, on import and while it loads
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize(
    ("family", "tie", "kind"),  # every two of them together
    [("gpt", "false", "char"), ("gpt", "true", "bpe"),
     ("transformer", "false", "bpe"), ("transformer", "true", "char")],
)  # fmt: skip
def test_a_run_opens_in_transformers(family: str, tie: str, kind: str, text_file: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    changes = ["model.hidden_size=64", "model.num_heads=2", "model.num_layers=2"]
    changes += ["model.block_size=48", f"model.tie_embeddings={tie}", "training.batch_size=4"]
    run = textwright.train(
        text_file, model=family, tokenizer=kind, steps=30, eval_every=30, changes=changes
    )
    stock = AutoModelForCausalLM.from_pretrained(str(run.path)).eval()
    assert (
        type(stock).__name__
        == {"gpt": "Qwen3ForCausalLM", "transformer": "GPT2LMHeadModel"}[family]
    )
    text = text_file.read_text(encoding="utf-8")[:200]
    ids = Tokenizer.load(run).encode(text)[:48]
    assert AutoTokenizer.from_pretrained(str(run.path))(text)["input_ids"][:48] == ids
    tokens = torch.tensor([ids])
    with torch.no_grad():
        own, _ = load_model(run)(tokens)
        theirs = stock(tokens).logits
    assert own.std() > 0.1
    torch.testing.assert_close(own, theirs, rtol=0, atol=1e-4)
    alone = textwright.load(str(run.path), companion="off")  # transformers has the network alone
    greedy = alone.generate(text[:8], max_tokens=20, temperature=0)
    prompt = torch.tensor([Tokenizer.load(run).encode(text[:8])])
    continued = stock.generate(prompt, do_sample=False, max_new_tokens=20, min_new_tokens=20)
    assert continued[0, prompt.shape[1] :].tolist() == greedy.tokens
