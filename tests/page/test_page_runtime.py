"""What the page computes, run in Node: the same as Python, and no browser is needed to see it."""

from __future__ import annotations

import base64
import json
import random
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import GOLDEN
from node import modules, run_script

import textwright
from textwright.configs import SamplingSettings
from textwright.generation import Sampler
from textwright.generation.continuation import StopFilter
from textwright.generation.cursor import Cursor
from textwright.generation.steering import Hold, steered
from textwright.page.packing import pack, tokenizer_data
from textwright.runs import Run, find
from textwright.runs.weights import read_weights
from textwright.runtimes.registry import RUNTIMES
from textwright.studio.activations import inspect_activations
from textwright.tokenizers import train_tokenizer
from textwright.tokenizers.splitting import pieces

MODELS = sorted(folder.parent.name for folder in GOLDEN.glob("*/vectors.json"))
USUAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
THERE = {
    "top_k": "topK",
    "top_p": "topP",
    "min_p": "minP",
    "repetition_penalty": "repetitionPenalty",
}

Jobs = Callable[..., list[Any]]


@pytest.fixture(scope="module", name="there")
def _there(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Gives `runtime.mjs` some jobs."""
    folder = modules(tmp_path_factory.mktemp("runtime"))
    return lambda *jobs: run_script("runtime.mjs", folder, given=jobs)  # type: ignore[no-any-return]


def packed(run: Run, **options: Any) -> dict[str, Any]:
    """What the page has of a model, as a job takes it."""
    made = pack(run, **options)
    return {"data": made.data, "weights": base64.b64encode(made.weights).decode()}


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_the_golden_ones(there: Jobs, name: str) -> None:
    """Over more tokens than a window holds; `docs/offline.md` promises the bound."""
    golden = json.loads((GOLDEN / name / "vectors.json").read_text(encoding="utf-8"))
    model = packed(Run(GOLDEN / name))
    (logits,) = there({"kind": "logits", "tokens": golden["tokens"], **model})
    deviation = np.abs(np.array(logits) - np.array(golden["logits"])).max()
    print(f"{name}: {deviation:.1e}")
    assert deviation <= 1e-4


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_what_the_run_counted_is_mixed_in_as_in_python(
    there: Jobs, tmp_path: Path, family: str
) -> None:
    """Along a text that has line ends, long known contexts and unknown ones; with a window too."""
    draw = np.random.default_rng(5)
    words = ["".join(draw.choice(list("abcdefgh"), draw.integers(2, 8))) for _ in range(60)]
    text = textwrap.fill(" ".join(words[i] for i in draw.integers(0, 60, 5000)), 40)
    file = tmp_path / "wrapped.txt"
    file.write_text(text, encoding="utf-8")
    changes = ["model.num_layers=1", "model.hidden_size=64", "model.block_size=32"]
    changes += ["model.num_heads=2"] if family == "gpt" else []
    run = textwright.train(
        file, model=family, size="nano", steps=5, changes=changes, runs_folder=tmp_path / "runs"
    )
    gained = run.settings()["companion"]
    assert gained["folded"] and (gained["lines"] or family == "gpt")
    model = textwright.load(run)
    asked = text[-150:] + "hgf\n\nab dcb" + text[:30]
    tokens = list(model.encode_prompt(asked).tokens)
    (found,) = there({"kind": "mixed", "tokens": tokens, **packed(run)})
    expected, state = [], Cursor(model.runtime)
    for token in tokens:
        state.read([token])
        expected.append(state.logits.copy())
    assert np.array(found) == pytest.approx(np.array(expected), abs=2e-3)  # float16
    lean = packed(run)
    del lean["data"]["companion"]
    (alone,) = there({"kind": "mixed", "tokens": tokens, **lean})
    assert np.abs(np.array(alone) - expected).max() > 0.5


@pytest.mark.parametrize("seed", [0, 1, 2**40 + 5, 2**63 - 1])
def test_a_seed_gives_the_same_numbers(there: Jobs, seed: int) -> None:
    """53 bits of each word of NumPy's Philox."""
    (numbers,) = there({"kind": "uniforms", "seed": str(seed), "count": 50})
    assert numbers == [(word >> 11) * 2.0**-53 for word in raw(seed, 50)]


def raw(seed: int, count: int) -> list[int]:
    words: list[int] = np.random.Philox(key=seed).random_raw(count).tolist()
    return words


def draws(there: Jobs, logits: np.ndarray, **changes: Any) -> tuple[list[int], list[int]]:
    """The tokens drawn from rows of logits, (T, V), there and here."""
    seed, suppressed = changes.pop("seed", 1), changes.pop("suppressed", ())
    read = changes.pop("read", ())
    settings = USUAL | changes
    sampler = Sampler(
        SamplingSettings(**settings), seed, suppress_tokens=suppressed, prompt_tokens=read
    )
    asked = {THERE.get(name, name): value for name, value in settings.items()}
    (drawn,) = there({"kind": "draws", "settings": asked, "seed": seed, "suppressed": suppressed,
                      "read": read, "logits": logits.tolist()})  # fmt: skip
    return drawn, [sampler.draw(row) for row in logits]


@pytest.mark.parametrize(
    "changes",
    [{}, {"temperature": 0.0}, {"temperature": 0.6}, {"top_k": 5}, {"top_p": 0.8}, {"min_p": 0.2},
     {"repetition_penalty": 1.5}, {"suppressed": (0, 7)},
     {"temperature": 0.9, "top_k": 9, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.2}],
    ids=lambda changes: "-".join(changes) or "usual",
)  # fmt: skip
def test_a_setting_does_what_it_does_in_python(there: Jobs, changes: dict[str, Any]) -> None:
    logits = np.random.default_rng(2).normal(0, 2, (400, 30)).astype(np.float32)
    logits[200:] = np.rint(logits[200:])  # many are equal: then the lowest ids stay
    drawn, expected = draws(there, logits, read=(1, 2, 3), seed=2**40 + 5, **changes)
    assert drawn == expected


CUT = [
    (["b", "abc"], ["xa", "bc", "d"]),  # complete first counts, not the one that begins first
    (["bc", "abc"], ["x", "ab", "cd"]),  # of several at once the longest
    (["abc", "bc"], ["xabcd"]),
    (["\n\n", "END"], ["one\n", "two\nE", "ND", "more"]),
    (["aab"], ["a", "a", "a", "b"]),
    (["never"], ["nev", "er", "y"]),
    (["held"], ["is he"]),
    ([], ["any", "thing"]),
]


def test_a_text_stops_where_it_does_in_python(there: Jobs) -> None:
    chance = random.Random(3)
    cases = CUT + [
        (
            ["".join(chance.choices("ab", k=chance.randint(1, 4))) for _ in range(3)],
            ["".join(chance.choices("abc", k=chance.randint(1, 3))) for _ in range(6)],
        )
        for _ in range(200)
    ]
    given = there(*({"kind": "stops", "stops": stops, "pieces": parts} for stops, parts in cases))
    for (stops, parts), found in zip(cases, given, strict=True):
        here = StopFilter(stops)
        shown = [here.push(part) for part in parts if not here.stopped]
        expected = {"shown": shown, "stopped": here.stopped, "rest": here.flush()}
        assert found == expected, (stops, parts)


ODD = [
    "", " ", "\n\n", "plain words, and more.", "It’s “quoted” – naïve café…", "ＦＵＬＬ ①②³",
    "tabs\tand\u00a0spaces\u2003here", "\r\nline\rends", "1984 ١٢٣ 42%", "Ünïcödé ÆØÅ ß ﬁ",
    "don't won't O'Neil's", "日本語のテキスト 한국어 ไทย", "emoji 🙂🙂 👩‍👩‍👧", "<eos> <unk> <pad>",
    "a\u0301e\u0323\u0302", "\x85\u2028x\u200b\ufeff", "HELLO Hello hElLo", "ΣΑΣ ς",
    "==- -- --- ''' ``` \"\"", "word,another;third", "   indented\n\tcode()",
]  # fmt: skip


def test_prompts_are_read_as_in_python(there: Jobs, text_file: Path, tmp_path: Path) -> None:
    prose = text_file.read_text(encoding="utf-8") + " It’s “quoted” café, don't. " * 3
    texts = [*ODD, prose[:3000], prose[:2000].upper()]
    readers, jobs = [], []
    for kind, size, form, lowercase in (
        ("char", None, "text", False), ("char", None, "text", True),
        ("word", 800, "text", False), ("word", 800, "text", True),
        ("word", 800, "whitespace", False), ("bpe", 500, "text", False), ("bpe", 500, "text", True),
    ):  # fmt: skip
        run = Run(tmp_path / str(len(jobs)))
        run.path.mkdir()
        reader = train_tokenizer(
            kind, lambda: pieces(prose, 1000), vocab_size=size, lowercase=lowercase, word_form=form
        )
        reader.save(run)
        readers.append((reader, reader.encode(prose[:500] + " é🙂")))
        jobs.append({"kind": "prompts", "data": tokenizer_data(reader, run), "texts": texts,
                     "ids": readers[-1][1]})  # fmt: skip
    for (reader, ids), found in zip(readers, there(*jobs), strict=True):
        for text, read in zip(texts, found["read"], strict=True):
            expected, warnings = reader.encode_prompt(text)
            assert read["ids"] == expected, (reader.kind, text)
            assert bool(read["warnings"]) == bool(warnings), (reader.kind, text)
        assert found["text"] == reader.decode(ids)


TALK = ("", " ", "Hello", "\n Do you <user> like\x1f music? \x85", "<eos><eos>")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frankenstein", "wikitext-2", "chat"])
def test_it_writes_what_python_writes(there: Jobs, name: str) -> None:
    """Greedily, 200 tokens to the first near-tie; and with the same seed, the same text."""
    model, prompt = textwright.load(name), "The night was"
    plain = {"maxTokens": 200, "topK": 0, "topP": 1, "minP": 0, "repetitionPenalty": 1,
             "temperature": 0, "seed": 1, "prompt": prompt}  # fmt: skip
    drawing = {"temperature": 0.8, "topK": 30, "topP": 0.95, "minP": 0.01, "repetitionPenalty": 1.1}
    seeds = (1, 2**40 + 5)
    asked = [plain, *({**plain, **drawing, "maxTokens": 150, "seed": seed} for seed in seeds)]
    (found,) = there({"kind": "texts", "prompts": TALK, "asked": asked, **packed(find(name))})
    assert found["read"] == [list(model.encode_prompt(text).tokens) for text in TALK]
    greedy = model.generate(prompt, max_tokens=200, temperature=0.0, logprobs=2)
    written = found["written"][0]["tokens"]
    assert greedy.logprobs is not None
    margins = [one.top[0][1] - one.top[1][1] for one in greedy.logprobs]
    tie = next((place for place, margin in enumerate(margins) if margin < 1e-3), len(margins))
    assert [one["id"] for one in written][:tie] == list(greedy.tokens[:tie])
    assert tie > (2 if name == "chat" else 20)
    np.testing.assert_allclose(
        [one["logprob"] for one in written[:tie]],
        [one.logprob for one in greedy.logprobs[:tie]], atol=1e-3,
    )  # fmt: skip
    for seed, text in zip(seeds, found["written"][1:], strict=True):
        drawn = model.generate(
            prompt, max_tokens=150, temperature=0.8, top_k=30, top_p=0.95, min_p=0.01,
            repetition_penalty=1.1, seed=seed,
        )  # fmt: skip
        assert text["text"] == drawn.text


@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_what_was_kept_of_one_text_serves_no_other(there: Jobs, name: str) -> None:
    """Of a text that is changed at its end the beginning isn't read again; of another all is."""
    begins = "It was the best of times, it was the worst of times, it was the age of wisdom, "
    other = "She said that nobody had seen him since the evening of the second day of March, "
    texts = [begins * 2, begins * 2 + "and so on", begins + other, other * 2, begins * 2]
    (found,) = there({"kind": "reads", "texts": texts, "start": 100, **packed(Run(GOLDEN / name))})
    assert all(len(read) > 30 for read in found["anew"])
    assert found["kept"] == found["anew"]


def test_what_is_inside_is_what_the_server_tells(there: Jobs) -> None:
    """NumPy and JavaScript: the same neurons, the same attention."""
    text = 'I said to her, "What a day!"\nAnd she was gone.'
    jobs, expected = [], []
    for name in MODELS:
        run = Run(GOLDEN / name)
        told = inspect_activations(run, textwright.load(run), text)
        expected.append(told)
        jobs.append({"kind": "inside", "text": text, "told": told, **packed(run)})
    for name, told, found in zip(MODELS, expected, there(*jobs), strict=True):
        assert found["tokens"] == [one["text"] for one in told["tokens"]]
        attends = name in ("gpt", "transformer")
        for part in ("units", *(["attention", "peaks"] if attends else [])):
            here, server = (np.array(list(flat(found[side][part]))) for side in ("here", "told"))
            assert here.size > (10 if part == "peaks" else 100), (name, part)
            np.testing.assert_allclose(here, server, atol=0.02, err_msg=f"{name}, {part}")


def test_a_unit_that_is_held_writes_what_python_writes(there: Jobs) -> None:
    """In every family, the first letters: what is drawn greedily may tie later."""
    settings = {"maxTokens": 12, "topK": 0, "topP": 1, "minP": 0, "repetitionPenalty": 1,
                "temperature": 0, "seed": 1, "prompt": "The night"}  # fmt: skip
    jobs, expected = [], []
    for name in MODELS:
        run = Run(GOLDEN / name)
        value = 3.0 if name in ("gpt", "transformer") else -0.9
        holds = [Hold(0, 1, value), Hold(0, 2, -value)]
        runtime = RUNTIMES[type(run.config())](run.config(), read_weights(run.weights_file))
        held = textwright.load(run).on(steered(runtime, holds))
        expected.append(held.generate("The night", max_tokens=12, temperature=0.0, logprobs=0))
        steer = [one._asdict() for one in holds]
        asked = [settings, {**settings, "steer": steer}]
        jobs.append({"kind": "texts", "prompts": [], "asked": asked, **packed(run)})
    for name, generation, found in zip(MODELS, expected, there(*jobs), strict=True):
        plain, held = found["written"]
        assert generation.logprobs is not None
        assert held["tokens"][0]["id"] == generation.tokens[0], name
        assert held["tokens"][0]["logprob"] == pytest.approx(
            generation.logprobs[0].logprob, abs=0.02
        )
        assert held["tokens"][0]["logprob"] != pytest.approx(
            plain["tokens"][0]["logprob"], abs=1e-4
        )


def flat(values: Any) -> Iterator[float]:
    if isinstance(values, int | float):
        yield values
    else:
        for each in values:
            yield from flat(each)
