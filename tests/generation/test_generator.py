"""Text from models: every family, every tokenizer, every way of asking."""

import itertools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from small_models import TEXT
from textwright.errors import RequestError, TokenizerError
from textwright.generation import Generation, Generator, load
from textwright.runs import Run

FAMILIES = ["lstm", "gru", "rnn", "gpt", "transformer"]
KINDS = ["char", "word", "bpe"]


@pytest.mark.parametrize(("family", "kind"), list(itertools.product(FAMILIES, KINDS)))
def test_a_text_is_the_same_whole_in_pieces_and_in_steps(
    make_run: Callable[..., Run], family: str, kind: str
) -> None:
    model = load(make_run(family, kind))
    whole = model.generate("It was", max_tokens=60, seed=5)
    if kind == "word":  # which may draw its end of text
        assert whole.finish_reason == ("length" if len(whole.tokens) == 60 else "stop")
    else:
        assert len(whole.tokens) == 60 and whole.finish_reason == "length"
    assert whole.text == model.tokenizer.decode(whole.tokens)
    assert str(whole) == "It was" + whole.text
    assert whole.prompt == "It was" and whole.seed == 5 and whole.warnings == []
    assert model.generate("It was", max_tokens=60, seed=5) == whole
    stream = model.stream("It was", max_tokens=60, seed=5)
    assert "".join(stream) == whole.text and stream.generation == whole
    steps = list(model.steps("It was", max_tokens=60, seed=5))
    assert [step.token for step in steps] == whole.tokens
    for step in steps[:5]:
        assert step.distribution.shape == (model.runtime.vocab_size,)
        assert step.distribution.sum() == pytest.approx(1)
        assert step.probability == step.distribution[step.token]
    assert not set(whole.tokens) & set(model.tokenizer.suppress_tokens)


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_each_of_several_samples_is_as_if_alone(make_run: Callable[..., Run], family: str) -> None:
    model = load(make_run(family))
    prompt = TEXT[:50]  # longer than the context
    many = model.generate_many(prompt, 3, max_tokens=40, seed=9, repetition_penalty=1.2)
    alone = [
        model.generate(prompt, max_tokens=40, seed=seed, repetition_penalty=1.2)
        for seed in (9, 10, 11)
    ]
    assert many == alone and len({sample.text for sample in many}) == 3


def test_streams_may_be_read_in_turn(gpt: Generator) -> None:
    expected = [sample.text for sample in gpt.generate_many("It", 2, max_tokens=30, seed=1)]
    first, second = gpt.streams("It", 2, max_tokens=30, seed=1)
    pieces: tuple[list[str], list[str]] = ([], [])
    for one, other in itertools.zip_longest(first, second, fillvalue=""):
        pieces[0].append(one)
        pieces[1].append(other)
    assert ["".join(part) for part in pieces] == expected


def test_without_a_seed_texts_differ_but_can_be_repeated(gpt: Generator) -> None:
    one, other = gpt.generate("It", max_tokens=40), gpt.generate("It", max_tokens=40)
    assert one.text != other.text
    assert gpt.generate("It", max_tokens=40, seed=one.seed) == one


def test_settings_have_their_effect(gpt: Generator) -> None:
    greedy = gpt.generate("It", max_tokens=20, temperature=0)
    assert greedy.tokens == gpt.generate("It", max_tokens=20, top_k=1, temperature=2).tokens
    assert greedy.tokens == gpt.generate("It", max_tokens=20, top_p=1e-6).tokens
    assert greedy.tokens == gpt.generate("It", max_tokens=20, min_p=0.999).tokens
    spread = gpt.generate("It", max_tokens=25, repetition_penalty=100, temperature=0)
    assert len(set(spread.tokens)) > len(set(greedy.tokens))
    assert gpt.generate("It", seed=1, temperature=5) != gpt.generate("It", seed=1, temperature=0.5)


# Stop strings, on a model known by heart: b e s t o f w i h d r , b e s t …


@pytest.mark.parametrize(
    ("stop", "text"),
    [("w", "of"), ("wihd", "of"), (["d", "hd"], "ofwi"), (["zz", "o"], ""), ("dr,b", "ofwih")],
)
def test_a_stop_string_ends_the_text(chain: Generator, stop: str | list[str], text: str) -> None:
    stream = chain.stream("best", stop=stop, temperature=0)
    assert "".join(list(stream)) == text
    assert stream.generation.text == text and stream.generation.finish_reason == "stop"
    assert chain.generate("best", stop=stop, temperature=0).text == text


def test_pieces_never_show_a_part_of_a_stop_string(chain: Generator) -> None:
    shown = ""
    for piece in chain.stream("best", stop=["dr,best", "wix"], temperature=0):
        shown += piece
        assert "d" not in shown
    assert shown == "ofwih"


def test_what_was_held_back_for_nothing_is_given_at_the_end(chain: Generator) -> None:
    stream = chain.stream("best", stop="fwihdr,bestX", max_tokens=4, temperature=0)
    assert list(stream) == ["o", "fwi"] and stream.generation.finish_reason == "length"


def test_a_stop_string_may_straddle_long_tokens(make_chain: Callable[..., Run]) -> None:
    model = load(make_chain(" the best of times", "word"))
    assert [step.text for step in model.steps("the", max_tokens=3)] == [" best", " of", " times"]
    stream = model.stream("the", stop="t of t", temperature=0)
    assert list(stream) == [" bes"]
    assert stream.generation.tokens == model.tokenizer.encode(" best of times")


def test_the_end_of_text_token_ends_it(
    make_chain: Callable[..., Run], tokenizers: dict[str, object]
) -> None:
    tokenizer = tokenizers["word"]
    ids = [*tokenizer.encode(" the best of"), tokenizer.eos_id]
    model = load(make_chain(ids, "word"))
    ended = model.generate("the", temperature=0)
    assert ended.text == " best of" and ended.finish_reason == "stop"
    assert ended.tokens == ids[1:3]
    assert "<eos>" not in "".join(model.stream("the", temperature=0))


def test_a_text_may_be_left_before_its_end(chain: Generator) -> None:
    stream = chain.stream("best", temperature=0)
    assert next(stream) + next(stream) == "of"
    left = stream.generation
    assert isinstance(left, Generation) and left.text == "of" and left.finish_reason == "length"


# Characters


def test_half_a_character_is_never_given(make_chain: Callable[..., Run]) -> None:
    text = "x¿Ω界"  # never seen: a token a byte
    model = load(make_chain(text, "bpe"))
    assert len(model.tokenizer.encode(text)) == 1 + 2 + 2 + 3
    stream = model.stream("x", max_tokens=16, temperature=0)
    assert list(stream) == ["¿", "Ω", "界", "x", "¿", "Ω", "界", "x"]
    steps = [step.text for step in model.steps("x", max_tokens=7, temperature=0)]
    assert steps == ["", "¿", "", "Ω", "", "", "界"]
    # Cut in the middle of a character, there is nothing better to give than its replacement
    assert list(model.stream("x", max_tokens=6, temperature=0)) == ["¿", "Ω", "\ufffd"]
    assert model.generate("x", max_tokens=6, temperature=0).text == "¿Ω\ufffd"


def test_characters_never_seen_are_folded_or_left_out_and_named(chain: Generator) -> None:
    found = chain.generate("b\u00e9\u4e16st", max_tokens=2, temperature=0)
    assert found.text == "of" and found.prompt == "b\u00e9\u4e16st"
    assert len(found.warnings) == 1 and "é" in found.warnings[0] and "世" in found.warnings[0]
    with pytest.raises(TokenizerError, match="世"):
        chain.generate("b\u00e9\u4e16st", strict=True)


def test_a_prompt_of_unseen_characters_alone_is_an_empty_one(gpt: Generator) -> None:
    empty = gpt.generate("", seed=1, max_tokens=20)
    unseen = gpt.generate("\u0416", seed=1, max_tokens=20)
    assert unseen.text == empty.text and unseen.warnings and not empty.warnings


def test_an_empty_prompt_begins_at_a_line_start(make_chain: Callable[..., Run]) -> None:
    line = load(make_chain("\nIt wasRO"))
    assert str(line.generate("", max_tokens=3, temperature=0)) == "It "


def test_without_line_ends_an_empty_prompt_begins_after_a_space() -> None:
    from small_models import random_weights, small_config
    from textwright.runtimes import load_runtime
    from textwright.tokenizers import train_tokenizer

    tokenizer = train_tokenizer("char", lambda: ["no line ends here"])
    config = small_config("lstm", tokenizer.vocab_size)
    model = Generator(load_runtime(config, random_weights(config)), tokenizer)
    after_space = model.generate(" ", seed=1, max_tokens=10)
    assert model.generate("", seed=1, max_tokens=10).text == after_space.text


def test_where_eos_is_a_line_end_it_ends_nothing() -> None:
    from small_models import random_weights, small_config
    from textwright.runtimes import load_runtime
    from textwright.tokenizers import train_tokenizer

    text = " = Title = \n the <unk> sat \n"
    tokenizer = train_tokenizer("word", lambda: [text], word_form="whitespace")
    config = small_config("lstm", tokenizer.vocab_size)
    model = Generator(load_runtime(config, random_weights(config)), tokenizer)
    long = model.generate("", seed=1, max_tokens=60, temperature=3)
    assert tokenizer.eos_id in long.tokens and len(long.tokens) == 60


# Wrong requests


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 0},
        {"max_tokens": -1},
        {"max_tokens": 2.5},
        {"max_tokens": True},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": "warm"},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_p": float("nan")},
        {"min_p": 1},
        {"min_p": -0.5},
        {"top_k": 1.5},
        {"repetition_penalty": 0},
        {"repetition_penalty": float("nan")},
        {"stop": ""},
        {"stop": ["a", ""]},
        {"stop": [3]},
        {"seed": -1},
        {"seed": 2**63},
        {"logprobs": -1},
        {"temprature": 1},
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_refused_in_one_line(
    gpt: Generator, options: dict[str, object]
) -> None:
    with pytest.raises(RequestError) as error:
        gpt.stream("It", **options)
    message = str(error.value)
    assert "\n" not in message
    assert next(iter(options)) in message or "stop string" in message


def test_a_count_out_of_range_is_refused(gpt: Generator) -> None:
    with pytest.raises(RequestError, match="count"):
        gpt.generate_many("It", 0)
    with pytest.raises(RequestError, match="seed"):
        gpt.generate_many("It", 2, seed=2**63 - 1)


def test_none_takes_the_default(gpt: Generator) -> None:
    assert gpt.generate("It", seed=1, temperature=None, stop=None) == gpt.generate("It", seed=1)


# Long texts


class Counting:
    """A runtime that counts the tokens it reads."""

    def __init__(self, runtime: Any) -> None:
        self.inner = runtime
        self.vocab_size, self.block_size = runtime.vocab_size, runtime.block_size
        self.read = 0

    def initial_state(self) -> Any:
        return self.inner.initial_state()

    def __call__(self, tokens: Any, state: Any, *, last_only: bool = False) -> Any:
        self.read += len(tokens)
        return self.inner(tokens, state, last_only=last_only)


def test_of_a_long_prompt_only_the_last_window_is_read(gpt: Generator) -> None:
    prompt = TEXT * (100_000 // len(TEXT))
    runtime: Any = Counting(gpt.runtime)
    found = Generator(runtime, gpt.tokenizer).generate(prompt, max_tokens=5, seed=1)
    # Windows begin at multiples of B − H = 8 and hold more than H tokens
    tokens = gpt.tokenizer.encode(prompt)
    begin = (len(tokens) - 1 - 8) // 8 * 8
    tail = gpt.tokenizer.decode(tokens[begin:])
    assert found.tokens == gpt.generate(tail, max_tokens=5, seed=1).tokens
    # The last token drawn is not read; where a window is full, its second half is read again
    assert len(tokens) - begin + 4 <= runtime.read <= len(tokens) - begin + 4 + 8


def test_a_recurrent_model_reads_each_token_of_a_long_prompt_once(
    make_run: Callable[..., Run],
) -> None:
    model = load(make_run("gru"))
    runtime: Any = Counting(model.runtime)
    prompt = TEXT * (50_000 // len(TEXT))
    Generator(runtime, model.tokenizer).generate(prompt, max_tokens=5, seed=1)
    assert runtime.read == len(model.tokenizer.encode(prompt)) + 4


# What the model thinks


@pytest.mark.parametrize("family", ["gru", "gpt"])
def test_explain_gives_each_token_its_probability(
    make_run: Callable[..., Run], family: str
) -> None:
    model = load(make_run(family))
    text = TEXT[:300]  # many times the context, more than a piece
    ids = model.tokenizer.encode(text)
    rows, _ = model.runtime(np.array(ids), model.runtime.initial_state())
    explained = model.explain(text, top=3)
    assert [item.token for item in explained] == list(text)
    for place in (1, 17, 255, 256, 257, 299):
        scores = np.exp(rows[place - 1].astype(float))
        _, probability, alternatives = explained[place]
        assert probability == pytest.approx((scores / scores.sum())[ids[place]], rel=1e-3)
        assert len(alternatives) == 3
        likeliest = model.tokenizer.token_text(int(scores.argmax()))
        assert alternatives[0][0] == likeliest
        assert alternatives[0][1] >= alternatives[1][1] >= alternatives[2][1]
    first = model.next_distribution("", top=None)
    assert dict(first)[text[0]] == pytest.approx(explained[0].probability, rel=1e-5)
    assert model.explain("") == []


def test_explain_agrees_with_what_was_generated(gpt: Generator) -> None:
    made = gpt.generate("It was", max_tokens=50, seed=1, temperature=0.5, logprobs=2)
    assert made.logprobs is not None and len(made.logprobs) == 50
    for noted, item in zip(made.logprobs, gpt.explain(str(made), top=2)[6:], strict=True):
        assert noted.token == item.token
        assert noted.probability == pytest.approx(item.probability, rel=1e-3)
        assert [text for text, _ in noted.likeliest] == [text for text, _ in item.alternatives]


def test_explain_warns_of_characters_never_seen(
    gpt: Generator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "textwright"):
        gpt.explain("It Ж was")
    assert "Ж" in caplog.text
    with pytest.raises(TokenizerError):
        gpt.explain("It Ж was", strict=True)


def test_the_next_distribution_is_ranked_and_sums_to_one(gpt: Generator, chain: Generator) -> None:
    ten = gpt.next_distribution("It was")
    assert len(ten) == 10 and ten == gpt.next_distribution("It was", top=None)[:10]
    assert sum(p for _, p in gpt.next_distribution("It was", top=None)) == pytest.approx(1)
    assert chain.next_distribution("bes", top=1) == [("t", pytest.approx(1))]


def test_step_tells_the_distribution_a_token_was_drawn_from(gpt: Generator) -> None:
    first = next(iter(gpt.steps("It was", seed=1)))
    top = gpt.next_distribution("It was", top=1)[0]
    assert first.distribution.max() == pytest.approx(top[1])
