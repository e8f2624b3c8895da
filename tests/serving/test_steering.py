"""Units that a request holds at a value: its own text is another, everybody else's is the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from servers import Served, events, post

from textwright.companion.counting import NGramModel
from textwright.companion.mixing import Companion, with_companion
from textwright.companion.table import make_table
from textwright.serving.steering import AT_ONCE, Steering

BODY = {"prompt": "It was", "max_tokens": 30, "seed": 3, "temperature": 0.8}


@pytest.mark.parametrize(("model", "value"), [("lstm", -1), ("my-gpt", 40)])
def test_a_text_that_is_steered_is_another(served: Served, model: str, value: float) -> None:
    body: dict[str, Any] = {**BODY, "model": model, "logprobs": 2}
    plain = post(served, "/v1/completions", body)["choices"][0]
    held = {**body, "steer": [{"layer": 0, "unit": unit, "value": value} for unit in range(4)]}
    whole = post(served, "/v1/completions", held)["choices"][0]
    assert whole["text"] != plain["text"]
    assert len(whole["logprobs"]["tokens"]) == len(plain["logprobs"]["tokens"])
    streamed = events(served, "/v1/completions", held)
    assert "".join(one["choices"][0]["text"] for one in streamed) == whole["text"]
    assert post(served, "/v1/completions", body)["choices"][0]["text"] == plain["text"]


def test_others_get_their_bits_meanwhile(served: Served) -> None:
    body = {**BODY, "model": "lstm"}
    held = {**body, "steer": [{"unit": 1, "value": 0.9}]}
    alone = [post(served, "/v1/completions", one)["choices"][0]["text"] for one in (body, held)]
    asked = [body, held, body, body, held, body]
    with ThreadPoolExecutor(len(asked)) as pool:
        told = list(pool.map(lambda one: post(served, "/v1/completions", one), asked))
    texts = [one["choices"][0]["text"] for one in told]
    assert texts == [alone["steer" in one] for one in asked]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"steer": [{"unit": 0, "value": 2}]}, "between -1 and 1"),
        ({"steer": [{"unit": 9_999, "value": 0}]}, "no unit 9999"),
        ({"steer": [{"layer": 7, "unit": 0, "value": 0}]}, "no layer 7"),
        ({"steer": [{"unit": 0}]}, "steer[0].value"),
        ({"steer": [{"unit": 0, "value": 0}] * 17}, "steer"),
        ({"steer": [{"unit": 0, "value": 0}], "n": 2}, "one prompt and one text"),
        ({"steer": [{"unit": 0, "value": 0}], "prompt": ["a", "b"]}, "one prompt and one text"),
    ],
)
def test_what_can_not_be_held_is_refused(served: Served, fields: Any, said: str) -> None:
    answer = served.client.post("/v1/completions", json={**BODY, "model": "lstm", **fields})
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_few_are_steered_at_once(served: Served) -> None:
    steering = served.app.state.service.steering
    model = steering.model(served.pool.get("lstm"), [])
    job = type("Held", (), {"generator": model})()
    places = [steering.place([job]) for _ in range(AT_ONCE)]
    try:
        held = {**BODY, "model": "lstm", "steer": [{"unit": 0, "value": 0}]}
        answer = served.client.post("/v1/completions", json=held)
        assert answer.status_code == 429
        assert "steered" in answer.json()["error"]["message"]
        assert "retry-after" in answer.headers
        assert post(served, "/v1/completions", {**BODY, "model": "lstm"})["choices"]
    finally:
        for place in places:
            place.close()
    assert post(served, "/v1/completions", held)["choices"]


@pytest.mark.parametrize("with_table", [True, False])
def test_what_a_model_counted_stays_beside_it(served: Served, with_table: bool) -> None:
    """Where nothing is held, a text is as likely as it was."""
    alone = served.pool.get("lstm")
    size = alone.tokenizer.vocab_size
    tokens = np.random.default_rng(1).integers(0, size, 500)
    table = make_table(NGramModel(tokens, np.zeros(1, np.int64), size, 3)) if with_table else None
    model = alone.on(with_companion(alone.runtime, Companion(0.5, 0.8, table)))
    expected = dict(model.next_distribution("It was", top=None))
    held = dict(Steering().model(model, []).next_distribution("It was", top=None))
    assert held == pytest.approx(expected, rel=1e-3)
    other = dict(Steering().model(alone, []).next_distribution("It was", top=None))
    assert other != pytest.approx(expected, rel=1e-3)


def test_a_chat_knows_nothing_of_it(served: Served) -> None:
    body = {"model": "lstm", "messages": [{"role": "user", "content": "Hi"}], "steer": []}
    held = {**body, "steer": [{"unit": 0, "value": 0}]}
    assert served.client.post("/v1/chat/completions", json=held).status_code == 400
