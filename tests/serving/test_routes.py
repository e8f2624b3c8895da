"""Every route, its shapes and its errors, over a real socket."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import select
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from servers import SECONDS, Served, events, post

from small_models import TEXT, random_weights, small_config, write_run
from textwright.errors import BusyError
from textwright.runs import Run
from textwright.serving import ServerSettings
from textwright.serving.errors import to_http_error
from textwright.tokenizers import train_tokenizer


def test_status_and_health(served: Served) -> None:
    served.until(lambda: len(served.pool.names()) == 2)
    for path in ("/", "/health"):
        status = served.client.get(path).json()["status"]
        assert set(status) == {"my-gpt", "lstm"}
    served.until(
        lambda: (
            served.client.get("/").json()
            == {"status": {"my-gpt": {"status": "Loaded"}, "lstm": {"status": "Loaded"}}}
        )
    )


def test_gen_text_has_exactly_its_shape(served: Served) -> None:
    request = {"model_name": "my_gpt", "start_phrase": "It was", "generation_length": 12,
             "temperature": 0.5}  # fmt: skip
    result = post(served, "/gen_text", request)
    text = result.pop("res_text")
    assert text.startswith("It was")
    assert result == {"model_name": "my_gpt", "generation_length": 12, "temperature": 0.5,
                      "tokens": 12, "characters": len(text) - len("It was")}  # fmt: skip
    defaults = post(served, "/gen_text", {"model_name": "lstm"})
    assert (defaults["generation_length"], defaults["temperature"]) == (100, 1.0)
    assert len(defaults["res_text"]) > 20


def test_gen_text_draws_as_it_is_asked_to(served: Served) -> None:
    request = {"model_name": "my-gpt", "start_phrase": "It was", "generation_length": 30}
    seeded = {**request, "seed": 7}
    text = post(served, "/gen_text", seeded)["res_text"]
    several = [seeded, seeded, {**seeded, "seed": 8}, {**seeded, "top_k": 1}]
    texts = [one["res_text"] for one in
             post(served, "/gen_text_bulk", {"inputs": several})["results"]]  # fmt: skip
    assert texts[:2] == [text, text] and text not in texts[2:]
    greedy = post(served, "/gen_text", {**request, "temperature": 0})["res_text"]
    for likeliest in ({"top_k": 1}, {"top_p": 0}, {"top_p": 1e-9}):
        assert post(served, "/gen_text", {**request, **likeliest})["res_text"] == greedy
    drawn = [
        post(served, "/gen_text", {**request, "seed": seed})["res_text"] for seed in (None, -1)
    ]
    assert drawn[0] != drawn[1]
    for wrong in ({"top_p": 1.5}, {"seed": "x"}, {"top_k": 0.5}, {"stream": True}):
        assert next(iter(wrong)) in post(served, "/gen_text", {**request, **wrong}, 400)["error"]


def test_names_of_other_programs_are_those_of_the_native_fields(served: Served) -> None:
    ours = {"model_name": "lstm", "start_phrase": "It", "generation_length": 5, "seed": 3}
    text = post(served, "/gen_text", ours)["res_text"]
    for theirs in (
        {"model": "lstm", "prompt": "It", "max_tokens": 5, "seed": 3},
        {"model_name": "lstm", "start_string": "It", "max_new_tokens": 5, "seed": 3},
    ):
        assert post(served, "/gen_text", theirs)["res_text"] == text
        post(served, "/gen_text", {**theirs, "start_phrase": "another"}, 400)
    other = {"model_name": "lstm", "start_string": "It", "generation_length": 5, "seed": 3,
             "temperature": 1.0}  # fmt: skip
    assert "It" + post(served, "/v1/completions", other)["choices"][0]["text"] == text


def test_bulk_answers_in_order_and_errors_in_their_places(served: Served) -> None:
    good = {"model_name": "my-gpt", "start_phrase": "It", "generation_length": 3}
    bad = [
        {"model_name": "none"},
        {"model_name": "my-gpt", "temperature": -1},
        {"start_phrase": "It"},
        "nothing",
    ]
    answer = post(served, "/gen_text_bulk", {"inputs": [good, *bad, good], "ignore_errors": True})
    assert answer["ignore_errors"] is True
    results = answer["results"]
    assert len(results) == 6
    assert set(results[0]) == {"model_name", "res_text", "generation_length", "temperature",
                               "tokens", "characters"}  # fmt: skip
    assert [result["res_text"] is None for result in results] == [False, *[True] * 4, False]
    assert "temperature" in results[2]["error"]
    assert results[1]["model_name"] == "none"
    refused = post(served, "/gen_text_bulk", {"inputs": [good, bad[0]]}, 404)
    assert refused["error"].startswith("inputs[1]: no model 'none'")


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"temperature": "NaN"}, 400, "temperature"),
        ({"temperature": 1e9}, 400, "temperature"),
        ({"generation_length": 0}, 400, "generation_length"),
        ({"generation_length": 10**9}, 400, "generation_length"),
        ({"generation_length": 10**30}, 400, "generation_length"),
        ({"start_phrase": "x" * 70_000}, 400, "prompt is longer"),
        ({"start_phrase": 3}, 400, "start_phrase"),
        ({"model_name": "../../etc"}, 404, "no model"),
        ({"start_frase": ""}, 400, "start_frase: not a field"),
    ],
)
def test_what_makes_no_sense_is_refused(
    served: Served, change: dict[str, Any], status: int, says: str
) -> None:
    request = {"model_name": "my-gpt", "generation_length": 3} | change
    text = json.dumps(request).replace('"NaN"', "NaN")
    answer = served.client.post(
        "/gen_text", content=text, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    assert says in answer.json()["error"]


def test_bodies_that_are_no_json(served: Served) -> None:
    post_raw = served.client.post
    assert post_raw("/gen_text", content=b"{}").status_code == 415
    json_type = {"content-type": "application/json"}
    for body in (b"", b"{", b"[" * 100_000, b'"\\ud800"', b"\xff\xfe", b"9" * 5000):
        answer = post_raw("/gen_text", content=body, headers=json_type)
        assert answer.status_code == 400, body[:20]
        assert answer.json()["error"]
    for _ in range(3):  # who still sends reads the answer all the same
        too_long = post_raw("/gen_text", content=b" " * (20 << 20), headers=json_type)
        assert too_long.status_code == 413
    with socket.create_connection(served.socket.getsockname()) as slow:
        head = [
            "POST /gen_text HTTP/1.1",
            "host: x",
            "content-type: text/plain",
            "content-length: 2",
        ]
        slow.sendall("\r\n".join([*head, "", ""]).encode())
        for _ in range(20):  # others are answered meanwhile
            assert served.client.get("/health").status_code == 200
        there, _, _ = select.select([slow], [], [], 0)
        assert not there  # a connection closed by now would be reset by what is sent now
        slow.settimeout(SECONDS)
        slow.sendall(b"{}")
        assert slow.recv(100).startswith(b"HTTP/1.1 415")


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


def test_metrics_and_request_ids(served: Served) -> None:
    post(served, "/v1/completions", {"model": "lstm", "prompt": "It", "max_tokens": 3})
    page = served.client.get("/metrics").text
    for name in ("num_requests_running", "num_requests_waiting", "prompt_tokens_total",
                 "generation_tokens_total", "time_to_first_token_seconds_count"):  # fmt: skip
        assert f"textwright:{name}" in page
    assert 'request_success_total{finished_reason="length",model_name="lstm"}' in page
    echoed = served.client.get("/health", headers={"x-request-id": "abc-1"})
    assert echoed.headers["x-request-id"] == "abc-1"
    made = served.client.get("/health", headers={"x-request-id": "a b"})
    assert len(made.headers["x-request-id"]) == 32


def test_latencies_are_differences(served: Served) -> None:
    names = [
        f"textwright:{name}_seconds" for name in ("time_to_first_token", "e2e_request_latency")
    ]

    def totals() -> dict[str, float]:
        page = served.client.get("/metrics").text
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if family.name in names and sample.labels.get("model_name") == "my-gpt"
        }

    served.until(lambda: served.engine.running == 0)  # other tests' texts have been counted
    before, began = totals(), time.monotonic()
    for _ in range(3):
        post(served, "/gen_text", {"model_name": "my-gpt", "generation_length": 2})
    expected = before.get(f"{names[1]}_count", 0) + 3
    served.until(lambda: totals().get(f"{names[1]}_count") == expected)
    duration = time.monotonic() - began
    after = totals()
    for name in names:
        assert after[f"{name}_count"] - before.get(f"{name}_count", 0) == 3
        assert 0 < after[f"{name}_sum"] - before.get(f"{name}_sum", 0) < duration


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1.0, "1"), (1.2, "2")])
def test_retry_after_is_rounded_up(seconds: float, header: str) -> None:
    """It is in whole seconds: rounded down, a client would come back too early."""
    headers = to_http_error(BusyError("busy", seconds)).response("/v1/completions").headers
    assert headers["retry-after"] == header
    assert headers["retry-after-ms"] == str(round(1000 * seconds))


def test_models_are_listed_and_found(served: Served) -> None:
    listed = served.client.get("/v1/models").json()
    assert {card["id"] for card in listed["data"]} == {"my-gpt", "lstm"}
    assert served.client.get("/v1/models/my-gpt").json()["object"] == "model"
    assert served.client.get("/v1/models/none").status_code == 404
    assert served.client.get("/docs").status_code == 200


@pytest.fixture
def guarded(tmp_path: Path, make_model: Callable[..., Run]) -> Iterator[Served]:
    keys = (SecretStr("sesame"), SecretStr("other"))
    settings = ServerSettings(
        api_keys=keys,
        root_path="/tw",
        cors_origins=("https://a.example",),
        max_length=1_000_000_000,
    )
    server = Served([make_model(tmp_path / "one")], settings=settings, slots=1, waiting=1)
    yield server
    server.close()


def test_every_route_but_the_open_ones_needs_a_key(guarded: Served) -> None:
    paths = guarded.client.get("/openapi.json").json()["paths"]
    assert {"/gen_text", "/gen_text_bulk", "/v1/completions", "/v1/chat/completions"} <= set(paths)
    for path, operations in paths.items():
        for method in operations:
            wrong = {"authorization": "Bearer sesam"}
            answers = [
                guarded.client.request(method, prefix + path, headers=headers)
                for prefix in ("", "/tw")
                for headers in ({}, wrong)
            ]
            expected = {200} if path in ("/", "/health") else {401}
            assert {answer.status_code for answer in answers} == expected, path
    right = {"authorization": "Bearer other"}
    assert guarded.client.get("/tw/v1/models", headers=right).status_code == 200
    assert guarded.client.get("/v1/models", headers=right).status_code == 200
    origin = {"origin": "https://a.example"}
    allowed = guarded.client.get("/health", headers=origin).headers
    assert allowed["access-control-allow-origin"] == "https://a.example"


KEY = {"authorization": "Bearer sesame"}
ENDLESS = {"model": "one", "prompt": "It", "max_tokens": 1_000_000_000}


def test_a_full_queue_is_429(guarded: Served) -> None:
    engine, model = guarded.engine, guarded.pool.get("one")
    jobs = [engine.stream(model, "It", max_tokens=1_000_000_000) for _ in range(2)]
    for path, body in (
        ("/v1/completions", ENDLESS),
        ("/v1/completions", {**ENDLESS, "stream": True}),
        ("/gen_text", {"model_name": "one"}),
    ):
        refused = guarded.client.post(path, json=body, headers=KEY)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "busy" in refused.text
    for job in jobs:
        job.cancel()


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_is_not_written_for(guarded: Served, stream: bool) -> None:
    body = json.dumps({**ENDLESS, "stream": stream})
    with socket.create_connection(guarded.socket.getsockname()) as raw:
        head = ["POST /v1/completions HTTP/1.1", "Host: x", "Authorization: Bearer sesame",
                "Content-Type: application/json", f"Content-Length: {len(body)}"]  # fmt: skip
        raw.sendall("\r\n".join([*head, "", body]).encode())
        guarded.until(lambda: guarded.engine.running == 1)
        if stream:
            raw.settimeout(SECONDS)
            assert raw.recv(12) == b"HTTP/1.1 200"
    guarded.until(lambda: guarded.engine.running == 0)
    page = guarded.client.get("/metrics", headers=KEY).text
    assert 'request_success_total{finished_reason="cancelled",model_name="one"} 1.0' in page


def test_a_body_that_never_ends_is_given_up(tmp_path: Path, make_model: Callable[..., Run]) -> None:
    impatient = Served([make_model(tmp_path / "one")], settings=ServerSettings(body_timeout=0.1))
    with socket.create_connection(impatient.socket.getsockname()) as raw:
        raw.sendall(
            b"POST /gen_text HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
        )
        raw.settimeout(SECONDS)
        assert raw.recv(1000).startswith(b"HTTP/1.1 408")
    impatient.close()


def test_numbers_that_no_float_holds(served: Served) -> None:
    huge = 10**400
    bad = [{"model_name": "lstm", "generation_length": huge},
           {"model_name": "lstm", "temperature": huge}]  # fmt: skip
    answer = post(served, "/gen_text_bulk", {"inputs": bad, "ignore_errors": True})
    assert all(result["error"] for result in answer["results"])
    post(served, "/gen_text", bad[1], 400)


def test_an_empty_stop_string_stops_nothing(served: Served) -> None:
    body = {"model": "lstm", "prompt": "It", "max_tokens": 9, "seed": 1, "ignore_eos": True}
    plain = post(served, "/v1/completions", body)["choices"]
    for stop in ("", [""], []):
        assert post(served, "/v1/completions", {**body, "stop": stop})["choices"] == plain
    post(served, "/v1/completions", {**body, "stop": "x" * 1001}, 400)


def test_docs_ask_nobody_else(guarded: Served) -> None:
    page = guarded.client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src data:;") and "script" not in policy
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    addresses = re.findall(r"""(?:src|href)="([^"]+)""", page.text)
    places = re.findall(r'id="([^"]+)"', page.text)
    outside = {address for address in addresses if address.removeprefix("#") not in places}
    assert outside == {"openapi.json", "data:,"}
    for prefix in ("/", "/tw/"):
        assert guarded.client.get(f"{prefix}openapi.json").status_code == 200
    assert "<script" not in page.text


def test_docs_tell_of_every_route_and_field(served: Served) -> None:
    page = html.unescape(served.client.get("/docs").text)
    document = served.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in page
    for name, shape in document["components"]["schemas"].items():
        table = page.partition(f'<h2 id="{name}">')[2].partition("<h2")[0]
        for field in shape["properties"]:
            assert f"<th><code>{field}</code></th>" in table, (name, field)
    fields = re.findall("<th><code>generation_length</code></th>(.*)</tr>", page)
    facts = "integer, ≥ 1, < 2147483648, default <code>100</code>"
    assert f"<td>{facts}</td><td>Tokens.</td>" in fields


def test_commands_in_the_docs_are_answered(guarded: Served) -> None:
    page = html.unescape(guarded.client.get("/docs").text)
    asked = 0
    for there, here in (("KEY", "sesame"), ("shakespeare", "one"), ("{name}", "one")):
        page = page.replace(there, here)
    for command in re.findall("<pre>(.*)</pre>", page):
        curl, url, *options = shlex.split(command)
        flags = list(zip(options[::2], options[1::2], strict=True))
        headers = dict(value.split(": ") for flag, value in flags if flag == "-H")
        bodies = [value for flag, value in flags if flag == "-d"]
        assert curl == "curl" and url.startswith(f"{guarded.url}/tw/")
        method = "POST" if bodies else "GET"
        answer = guarded.client.request(method, url, headers=headers, content="".join(bodies))
        assert answer.status_code == 200, answer.text
        asked += 1
    assert asked == len(guarded.client.get("/openapi.json").json()["paths"])
