"""The native routes, their shapes and their errors, over a real socket."""

from __future__ import annotations

import json
import select
import socket
from typing import Any

import pytest
from servers import SECONDS, Served, post


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


def test_numbers_that_no_float_holds(served: Served) -> None:
    huge = 10**400
    bad = [{"model_name": "lstm", "generation_length": huge},
           {"model_name": "lstm", "temperature": huge}]  # fmt: skip
    answer = post(served, "/gen_text_bulk", {"inputs": bad, "ignore_errors": True})
    assert all(result["error"] for result in answer["results"])
    post(served, "/gen_text", bad[1], 400)
