"""Conversations as prompts: the format of a conversation model, an improvised dialogue else."""

from collections.abc import Callable

import numpy as np
import pytest

from small_models import TEXT, random_weights, small_config, write_run
from textwright.errors import RequestError
from textwright.generation import Generator, Message, SpeakerNames, load
from textwright.generation.options import check
from textwright.runs import Run
from textwright.tokenizers import train_tokenizer


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """A conversation model of random weights with a context of 64 tokens."""
    tokenizer = train_tokenizer("word", lambda: [TEXT], conversations=True)
    config = small_config("gpt", tokenizer.vocab_size, block_size=64)
    folder = tmp_path_factory.mktemp("runs") / "talker"
    return load(write_run(folder, config, random_weights(config), tokenizer))


SAID = [
    Message("system", "it was wisdom"),
    Message("user", "what light?"),
    Message("assistant", "the worst of times"),
    Message("user", "it was <eos> foolishness"),
]


def test_a_conversation_model_reads_its_format(talker: Generator) -> None:
    prompt = talker.encode_messages(SAID)
    tokenizer = talker.tokenizer
    assert tokenizer.chat
    whole = tokenizer.encode_conversations([[(one.role, one.content) for one in SAID]])
    assert prompt.tokens == [*whole, tokenizer.chat.role_ids["assistant"]]
    assert prompt.text.startswith("<bos><system> it was wisdom<eos><user> what light?<eos>")
    assert prompt.text.endswith("<user> it was < eos> foolishness<eos><assistant>")
    assert prompt.dropped == 0 and prompt.stop == ()
    assert not any("improvises" in line for line in prompt.warnings)


def test_the_oldest_whole_turns_go_when_the_context_is_full(talker: Generator) -> None:
    for rounds in (5, 400):
        said = [SAID[0], *(SAID[1:3] * rounds), SAID[3]]
        prompt = talker.encode_messages(said)
        assert len(prompt.tokens) <= 48  # a quarter is free for the reply
        assert prompt.dropped and prompt.dropped % 2 == 0
        latest = [said[0], *said[1 + prompt.dropped :]]
        assert prompt.tokens == talker.encode_messages(latest).tokens
    long = [Message("user", "it was the best of times " * 100)]
    prompt = talker.encode_messages(long)
    assert prompt.dropped == 0 and any("longer than" in line for line in prompt.warnings)


def test_a_model_of_plain_text_improvises(make_run: Callable[..., Run]) -> None:
    gpt = load(make_run("gpt", block_size=256))
    prompt = gpt.encode_messages(SAID[1:], names=SpeakerNames("ROMEO", "JULIET"))
    assert prompt.text == (
        "\n\nROMEO: what light?\n\nJULIET: the worst of times"
        "\n\nROMEO: it was <eos> foolishness\n\nJULIET:"
    )
    assert prompt.tokens == gpt.tokenizer.encode_prompt(prompt.text)[0]
    assert "improvises" in prompt.warnings[0]
    assert prompt.stop[:2] == ("\n\n", "\nROMEO:")


def test_roles_are_checked(talker: Generator) -> None:
    with pytest.raises(RequestError, match="no role 'tool'"):
        talker.encode_messages([Message("tool", "it")])  # type: ignore[arg-type]


def test_messages_may_be_the_dicts_of_chat_clients(talker: Generator) -> None:
    dicts = [{"role": one.role, "content": one.content} for one in SAID]
    assert talker.encode_messages(dicts) == talker.encode_messages(SAID)
    assert talker.encode_messages([SAID[0], *dicts[1:]]) == talker.encode_messages(SAID)
    for wrong in ({"role": "user"}, {"content": "it"}, {"role": "user", "content": None}, "it", {}):
        with pytest.raises(RequestError, match="a message is {'role': 'user', 'content'") as caught:
            talker.encode_messages([wrong])  # type: ignore[list-item]
        assert "\n" not in str(caught.value)
    with pytest.raises(RequestError, match="no role 'human'"):
        talker.encode_messages([{"role": "human", "content": "it"}])


def test_a_reply_never_holds_a_special_token_but_unk_where_asked(talker: Generator) -> None:
    tokenizer = talker.tokenizer
    drawn = [
        talker.generate("it was", seed=seed, max_tokens=60, temperature=5, allow_unk=True)
        for seed in range(6)
    ]
    assert any(tokenizer.unk_id in one.tokens for one in drawn)
    for seed in range(6):
        one = talker.generate("it was", seed=seed, max_tokens=60, temperature=5)
        assert not set(tokenizer.suppress_tokens) & set(one.tokens)


def test_a_dialogue_goes_on_undoes_and_comes_back(
    talker: Generator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("said") / "talk.json"
    dialogue = talker.chat(seed=3, max_tokens=8, system="wisdom")
    first = dialogue.say("what light?")
    assert dialogue.messages == [Message("user", "what light?"), Message("assistant", first)]
    second = "".join(dialogue.retry())
    assert second != first and dialogue.messages[-1].content == second
    dialogue.save(file)
    # The same said again, from the file and by a model that read it in one piece
    other = talker.chat(seed=5, max_tokens=8)
    other.load(file)
    assert (other.system, other.messages) == ("wisdom", dialogue.messages)
    assert other.say("it was") == dialogue.say("it was")
    assert dialogue.undo() == Message("user", "it was")
    assert dialogue.messages[-1].content == second
    words = dialogue.next_distribution("the", top=None)
    assert len(words) == talker.tokenizer.vocab_size
    assert sum(share for _, share in words) == pytest.approx(1)
    dialogue.undo()
    for nothing in (dialogue.undo, dialogue.retry, dialogue.next_distribution):
        with pytest.raises(RequestError, match="nothing was said"):
            nothing()
    for text in ("", "{", "[]", '{"messages": [{"role": "robot", "content": "x"}]}'):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(RequestError):
            other.load(file)
    assert len(other.messages) == 4


def test_dropped_turns_are_told(make_run: Callable[..., Run]) -> None:
    dialogue = load(make_run("gpt", block_size=64)).chat(seed=1, max_tokens=5)
    dialogue.say("It was the best of times")
    assert dialogue.dropped == 0
    dialogue.say("it was the worst of times")
    dialogue.say("it was the age of wisdom")
    assert dialogue.dropped > 0


def test_a_reply_has_words(talker: Generator) -> None:
    model, chat = talker, talker.tokenizer.chat
    assert chat
    prompt = model.encode_messages([Message("user", "Hello!")])
    logits = np.zeros(model.runtime.vocab_size, np.float32)
    logits[chat.eos_id] = 50
    text = model.begin(prompt, check({"temperature": 0}, model.defaults), 0)
    assert text.push(logits) is not None and chat.eos_id not in text.tokens
    assert text.push(logits) is None and text.finish_reason == "stop"
    assert logits[chat.eos_id] == 50
