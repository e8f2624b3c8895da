"""The OpenAI routes, their shapes and their errors, over a real socket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from servers import Served, events, post

from small_models import TEXT, random_weights, small_config, write_run
from textwright.tokenizers import train_tokenizer


def test_completions_count_share_seeds_and_echo(served: Served) -> None:
    body = {"model": "my-gpt", "prompt": ["It", "was"], "n": 2, "max_tokens": 6, "seed": 5,
            "logprobs": 2, "user": None}  # fmt: skip
    answer = post(served, "/v1/completions", body)
    assert answer["object"] == "text_completion"
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 24, "total_tokens": 29}
    first = answer["choices"][0]
    assert "".join(first["logprobs"]["tokens"]) == first["text"]
    assert len(first["logprobs"]["top_logprobs"][0]) in (2, 3)
    assert first["finish_reason"] == "length"
    ids = served.pool.get("my-gpt").tokenizer.encode("It")
    same = post(served, "/v1/completions", {**body, "prompt": ids, "n": 1})
    assert same["choices"][0]["text"] == first["text"]
    echoed = post(served, "/v1/completions", {**body, "echo": True, "max_tokens": 0})
    assert echoed["choices"][2]["text"] == "was"
    assert echoed["choices"][2]["logprobs"]["token_logprobs"][0] is None
    best = post(served, "/v1/completions", {**body, "prompt": "It", "n": 1, "best_of": 4})
    assert len(best["choices"]) == 1


def test_a_stream_is_the_same_text(served: Served) -> None:
    body = {"model": "lstm", "prompt": "It was", "n": 3, "max_tokens": 40, "seed": 9, "logprobs": 0}
    whole = [choice["text"] for choice in post(served, "/v1/completions", body)["choices"]]
    options = {"stream_options": {"include_usage": True}}
    chunks = events(served, "/v1/completions", {**body, **options})
    texts, ends, tokens = ["", "", ""], {}, 0
    for chunk in chunks[:-1]:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
            tokens += len(choice["logprobs"]["tokens"])
            if choice["finish_reason"]:
                ends[choice["index"]] = choice["finish_reason"]
    assert texts == whole
    assert tokens == 120
    assert ends == {0: "length", 1: "length", 2: "length"}
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 120


def test_chat_streams_the_same_message_warns_and_refuses(served: Served) -> None:
    body = {
        "model": "my-gpt",
        "messages": [
            {"role": "system", "content": "A play."},
            {"role": "user", "content": [{"type": "text", "text": "Who art thou?"}]},
        ],
        "max_tokens": 12,
        "seed": 3,
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [],
    }
    answer = post(served, "/v1/chat/completions", body)
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert len(choice["logprobs"]["content"][0]["top_logprobs"]) == 2
    assert any("improvises" in warning for warning in answer["warnings"])
    chunks = events(served, "/v1/chat/completions", body)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == choice["message"]["content"]
    assert chunks[0]["warnings"] == answer["warnings"] and "warnings" not in chunks[1]
    unseen = {"model": "my-gpt", "prompt": "I ☃ it", "max_tokens": 3}
    (warning,) = post(served, "/v1/completions", unseen)["warnings"]
    assert "☃" in warning
    assert {tuple(one["warnings"]) for one in events(served, "/v1/completions", unseen)} == {
        (warning,)
    }
    refused = post(served, "/v1/chat/completions", {**body, "tools": [{"type": "function"}]}, 400)
    assert refused["error"]["param"] == "tools"
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    refused = post(served, "/v1/chat/completions", {**body, "messages": [image]}, 400)
    assert "type: Input should be 'text'" in refused["error"]["message"]
    many = [{"role": role, "content": "Ay."} for role in ("user", "assistant") * 200]
    for messages, warning in (
        ([*many, body["messages"][1]], "it doesn't see the oldest "),
        ([{"role": "system", "content": "Be so. " * 500}, *many[:1]], "the system message is"),
    ):
        answer = post(served, "/v1/chat/completions", {**body, "messages": messages})
        assert any(warning in one for one in answer["warnings"])


def test_unk_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    tokenizer = train_tokenizer("word", lambda: [TEXT], vocab_size=12, conversations=True)
    config = small_config("gpt", tokenizer.vocab_size)
    server = Served([write_run(tmp_path / "words", config, random_weights(config, 0), tokenizer)])
    body = {"model": "words", "max_tokens": 200, "temperature": 9, "seed": 1}
    request = {"messages": [{"role": "user", "content": "it"}], **body}
    for more, there in (({}, False), ({"logit_bias": {str(tokenizer.unk_id): 100}}, False),
                        ({"allow_unk": True}, True)):  # fmt: skip
        answers = [post(server, "/v1/chat/completions", {**request, "n": 3, **more})["choices"]]
        answers.append(post(server, "/v1/completions", {**body, "prompt": "it", **more})["choices"])
        assert ("<unk>" in str(answers)) is there, more
    server.close()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"max_tokens": 10**6}, "max_tokens"),
        ({"n": 99}, "n"),
        ({"stop": [str(n) for n in range(99)]}, "stop"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [10**6]}, "prompt"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"stream": True, "best_of": 2}, "best_of"),
        ({"top_p": -0.1}, "top_p"),
    ],
)
def test_openai_errors_name_their_field(served: Served, change: dict[str, Any], param: str) -> None:
    body = {"model": "my-gpt", "prompt": "It", "max_tokens": 2} | change
    error = post(served, "/v1/completions", body, 400)["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


def test_logits_can_be_steered(served: Served) -> None:
    tokenizer = served.pool.get("lstm").tokenizer
    (token,) = tokenizer.encode("t")
    body = {"model": "lstm", "prompt": "It", "max_tokens": 9}
    forced = {**body, "logit_bias": {str(token): 100}}
    assert post(served, "/v1/completions", forced)["choices"][0]["text"] == "t" * 9
    ended = post(served, "/v1/completions", {**forced, "stop_token_ids": [token]})
    assert ended["choices"][0] == {
        "index": 0,
        "text": "",
        "finish_reason": "stop",
        "logprobs": None,
    }


def test_one_seed_one_text_alone_and_among_64(served: Served) -> None:
    def ask(seed: int) -> str:
        body = {"model": "my-gpt", "prompt": "It was", "max_tokens": 20, "seed": seed}
        return str(post(served, "/v1/completions", body)["choices"][0]["text"])

    alone = [ask(seed) for seed in range(4)]
    with ThreadPoolExecutor(64) as pool:
        among = list(pool.map(ask, range(64)))
    assert among[:4] == alone
    assert len(set(among)) > 32


def test_models_are_listed_and_found(served: Served) -> None:
    listed = served.client.get("/v1/models").json()
    assert {card["id"] for card in listed["data"]} == {"my-gpt", "lstm"}
    assert served.client.get("/v1/models/my-gpt").json()["object"] == "model"
    assert served.client.get("/v1/models/none").status_code == 404
    assert served.client.get("/docs").status_code == 200


def test_an_empty_stop_string_stops_nothing(served: Served) -> None:
    body = {"model": "lstm", "prompt": "It", "max_tokens": 9, "seed": 1, "ignore_eos": True}
    plain = post(served, "/v1/completions", body)["choices"]
    for stop in ("", [""], []):
        assert post(served, "/v1/completions", {**body, "stop": stop})["choices"] == plain
    post(served, "/v1/completions", {**body, "stop": "x" * 1001}, 400)
