"""`/v1/responses` and Ollama's API: the same engine, so the same texts as the other routes give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from servers import Served, post

from small_models import TEXT, random_weights, small_config, write_run
from textwright.tokenizers import train_tokenizer


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of conversations, and one of plain text."""
    folder = tmp_path_factory.mktemp("adapters")
    runs = []
    for name in ("chat", "plain"):
        tokenizer = train_tokenizer("bpe", lambda: [TEXT], conversations=name == "chat")
        config = small_config("gpt", tokenizer.vocab_size, block_size=64)
        runs.append(write_run(folder / name, config, random_weights(config), tokenizer))
    server = Served(runs)
    yield server
    server.close()


def reply(two: Served, model: str, messages: list[dict[str, str]], **more: Any) -> Any:
    """What the chat route says, to compare with."""
    body = {"model": model, "messages": messages, "seed": 1, "max_tokens": 12, **more}
    return post(two, "/v1/chat/completions", body)["choices"][0]


def sent_events(two: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    with two.client.stream("POST", "/v1/responses", json={**body, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        parts = "".join(answer.iter_text()).split("\n\n")
    assert parts.pop() == ""
    found = []
    for part in parts:
        first, second = part.split("\n")
        found.append(json.loads(second.removeprefix("data: ")))
        assert first == f"event: {found[-1]['type']}"
    return found


def lines(two: Served, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with two.client.stream("POST", path, json=body) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.iter_lines()]


HELLO = [{"role": "user", "content": "It was"}]


@pytest.mark.parametrize("model", ["chat", "plain"])
def test_a_response_is_the_reply_of_the_chat_route(two: Served, model: str) -> None:
    body = {"model": model, "input": "It was", "seed": 1, "max_output_tokens": 12,
            "include": ["message.output_text.logprobs"], "top_logprobs": 2}  # fmt: skip
    chat = reply(two, model, HELLO, logprobs=True, top_logprobs=2)
    answer = post(two, "/v1/responses", body)
    (item,) = answer["output"]
    (part,) = item["content"]
    assert part["text"] == chat["message"]["content"]
    assert part["logprobs"] == chat["logprobs"]["content"]
    assert answer["object"] == "response" and item["type"] == "message"
    ended = {"stop": "completed", "length": "incomplete"}[chat["finish_reason"]]
    assert answer["status"] == item["status"] == ended
    assert answer["usage"]["output_tokens"] == len(part["logprobs"])
    assert ("warnings" in answer) is (model == "plain")
    found = sent_events(two, body)
    assert [one["sequence_number"] for one in found] == list(range(len(found)))
    kinds = [one["type"].removeprefix("response.") for one in found]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", ended]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert "".join(one["delta"] for one in found[4:-4]) == part["text"] == found[-4]["text"]
    whole = found[-1]["response"]
    assert whole["output"][0]["content"] == item["content"] and whole["usage"] == answer["usage"]
    assert {one["item_id"] for one in found if "item_id" in one} == {whole["output"][0]["id"]}


def test_a_response_can_be_sent_back_with_instructions(two: Served) -> None:
    first = post(two, "/v1/responses", {"model": "chat", "input": "It was", "seed": 1,
                                        "max_output_tokens": 12})  # fmt: skip
    said = first["output"][0]["content"][0]["text"]
    body = {"model": "chat", "instructions": "Be brief.", "seed": 1, "max_output_tokens": 12,
            "input": [*HELLO, *first["output"],
                      {"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}],
    }  # fmt: skip
    turns = [
        {"role": "system", "content": "Be brief."},
        *HELLO,
        {"role": "assistant", "content": said},
        {"role": "user", "content": "Why?"},
    ]
    answer = post(two, "/v1/responses", body)
    assert (
        answer["output"][0]["content"][0]["text"]
        == (reply(two, "chat", turns)["message"]["content"])
    )
    assert "warnings" not in answer


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"text": {"format": {"type": "json_object"}}}, "text"),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input"),
        ({"input": []}, "input"),
        ({"n": 2}, "n"),
        ({"max_output_tokens": 10**6}, "max_output_tokens"),
        ({"include": ["file_search_call.results"]}, "include"),
    ],
)
def test_what_a_response_cannot_be_is_refused(
    two: Served, change: dict[str, Any], param: str
) -> None:
    body = {"model": "chat", "input": "It", "max_output_tokens": 3}
    assert post(two, "/v1/responses", {**body, **change}, 400)["error"]["param"] == param


def test_what_asks_a_response_for_nothing_passes(two: Served) -> None:
    body = {
        "model": "chat", "input": "It", "max_output_tokens": 3, "store": False, "tools": [],
        "text": {"format": {"type": "text"}, "verbosity": "medium"}, "metadata": {},
        "tool_choice": "auto", "truncation": "disabled", "background": False, "reasoning": None,
        "parallel_tool_calls": True, "previous_response_id": None, "include": [],
    }  # fmt: skip
    assert "warnings" not in post(two, "/v1/responses", body)
    asked = {**body, "store": True, "user": "me", "reasoning": {"effort": "low"}}
    (warning,) = post(two, "/v1/responses", asked)["warnings"]
    assert warning.endswith(": store, reasoning, user")


OPTIONS = {"seed": 1, "num_predict": 12}


@pytest.mark.parametrize("model", ["chat", "plain", "chat:latest"])
def test_ollamas_chat_is_the_reply_of_the_chat_route(two: Served, model: str) -> None:
    body = {"model": model, "messages": HELLO, "options": OPTIONS, "logprobs": True,
            "top_logprobs": 1}  # fmt: skip
    chat = reply(two, model.removesuffix(":latest"), HELLO, logprobs=True, top_logprobs=1)
    answer = post(two, "/api/chat", {**body, "stream": False})
    assert answer["model"] == model and answer["done"] is True
    assert answer["message"] == chat["message"]
    assert answer["done_reason"] == chat["finish_reason"]
    assert answer["logprobs"] == chat["logprobs"]["content"]
    assert answer["eval_count"] == len(answer["logprobs"])
    *parts, last = lines(two, "/api/chat", body)
    assert not any(part["done"] for part in parts) and last["done"]
    assert "".join(one["message"]["content"] for one in parts) == chat["message"]["content"]
    together = [token for one in (*parts, last) for token in one["logprobs"]]
    assert together == answer["logprobs"]
    assert {last[name] for name in ("eval_count", "done_reason")} == {
        answer[name] for name in ("eval_count", "done_reason")
    }
    for told in (answer, last):
        parts_of_it = told["prompt_eval_duration"] + told["eval_duration"]  # load: 0
        assert told["total_duration"] == pytest.approx(parts_of_it, abs=2)  # rounded nanoseconds


def test_ollamas_generate_continues_plain_text_and_replies_otherwise(two: Served) -> None:
    def text(model: str, **more: Any) -> str:
        body = {"model": model, "prompt": "It was", "options": OPTIONS, **more}
        whole = post(two, "/api/generate", {**body, "stream": False})["response"]
        assert "".join(one["response"] for one in lines(two, "/api/generate", body)) == whole
        return str(whole)

    def continued(model: str) -> str:
        body = {"model": model, "prompt": "It was", "seed": 1, "max_tokens": 12}
        return str(post(two, "/v1/completions", body)["choices"][0]["text"])

    assert text("plain") == text("plain", raw=True) == continued("plain")
    assert text("chat", raw=True) == continued("chat")
    assert text("chat") == reply(two, "chat", HELLO)["message"]["content"]
    said = [{"role": "system", "content": "Be brief."}, *HELLO]
    for model in ("chat", "plain"):
        expected = reply(two, model, said)["message"]["content"]
        assert text(model, system="Be brief.") == expected
    empty = {"model": "plain", "keep_alive": 5}
    assert post(two, "/api/generate", empty)["done_reason"] == "load"
    assert post(two, "/api/chat", {**empty, "messages": []})["done_reason"] == "load"


def test_ollamas_settings_mean_what_they_mean_there(two: Served) -> None:
    def answer(options: dict[str, Any], status: int = 200, **more: Any) -> Any:
        body = {"model": "plain", "prompt": "It", "stream": False, "options": options, **more}
        return post(two, "/api/generate", body, status)

    neutral = {"num_keep": 4, "typical_p": 1, "tfs_z": 1, "mirostat": 0, "mirostat_tau": 5,
               "repeat_last_n": 64, "penalize_newline": True, "stop": [], "min_p": 0}  # fmt: skip
    plain = answer(OPTIONS)
    assert (
        answer({**OPTIONS, **neutral}, format="", think=False, context=[])["response"]
        == (plain["response"])
    )
    greedy = answer({**OPTIONS, "temperature": 0})["response"]
    assert greedy == answer({**OPTIONS, "top_k": 1})["response"]
    penalised = answer({**OPTIONS, "temperature": 0, "repeat_penalty": 50})["response"]
    assert penalised != greedy
    long = answer({"num_predict": -1, "seed": 1})
    assert long["eval_count"] == two.settings.max_length
    ignored = answer({**OPTIONS, "num_ctx": 2048, "num_gpu": 1}, keep_alive="5m")
    assert ignored["warnings"][0].endswith(": keep_alive, options.num_ctx, options.num_gpu")
    for options, more, why in (
        ({"mirostat": 2}, {}, "options.mirostat: not a field"),
        ({"temperature": -1}, {}, "options.temperature: "),
        ({"num_predict": 10**6}, {}, "num_predict must be at most"),
        ({"repeat_penalty": 1.1, "repeat_last_n": 64}, {}, "options.repeat_last_n: not a field"),
        ({}, {"format": "json"}, "format: not a field"),
        ({}, {"images": ["x"]}, "images: not a field"),
        ({}, {"think": True}, "think: not a field"),
    ):
        assert why in answer(options, 400, **more)["error"]
    assert answer({}, 404, model="none:latest")["error"].startswith("no model 'none'")


def test_ollamas_lists_tell_of_the_models(two: Served) -> None:
    tags = two.client.get("/api/tags").json()["models"]
    assert {one["name"] for one in tags} == {"chat:latest", "plain:latest"}
    for one in tags:
        assert one["size"] > 1000 and len(one["digest"]) == 64
        assert one["details"]["family"] == "gpt"
        changed = two.pool.run(one["name"].removesuffix(":latest")).weights_file.stat().st_mtime
        assert datetime.fromisoformat(one["modified_at"]).timestamp() == pytest.approx(
            changed, rel=0, abs=1e-5
        )
        shown = post(two, "/api/show", {"model": one["name"]})
        assert shown["model_info"]["gpt.context_length"] == 64
        assert shown["capabilities"] == ["completion"]
    assert post(two, "/api/show", {"name": "chat"})["details"] == tags[0]["details"]
    newer = post(two, "/api/show", {"model": "plain", "name": "chat"})
    assert newer == post(two, "/api/show", {"model": "plain"}), "`name` is the older field"
    assert post(two, "/api/show", {"model": "none"}, 404)["error"].startswith("no model")
    assert post(two, "/api/show", {}, 400)["error"] == "model: say which"
    assert two.client.get("/api/version").json()["version"].count(".") == 2


def test_ollamas_clients_need_not_say_that_it_is_json(two: Served) -> None:
    """`curl -d` sends another media type; a page in a browser could do that unasked."""
    body = json.dumps({"model": "plain", "prompt": "It", "stream": False, "options": OPTIONS})
    form = {"content-type": "application/x-www-form-urlencoded"}
    for headers in (form, {}, {"content-type": "application/json"}):
        answer = two.client.post("/api/generate", content=body, headers=headers)
        assert answer.status_code == 200 and answer.json()["done"]
    page = {**form, "origin": "https://b.example"}
    assert two.client.post("/api/generate", content=body, headers=page).status_code == 415
    assert two.client.post("/v1/completions", content=body, headers=form).status_code == 415
