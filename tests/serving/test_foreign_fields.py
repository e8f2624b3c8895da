"""Fields of other servers' requests, at every depth: what asks for nothing passes, what would
change the text is refused by its name, what is ignored is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import Served, events, post

from textwright.runs import Run

COMPLETION: dict[str, Any] = {"model": "my-gpt", "prompt": "It", "max_tokens": 8, "seed": 3}
CHAT: dict[str, Any] = {
    "model": "my-gpt",
    "messages": [{"role": "user", "content": "It"}],
    "max_tokens": 8,
    "seed": 3,
}
ROUTES = {"/v1/completions": COMPLETION, "/v1/chat/completions": CHAT}

VLLM = {
    "min_tokens": 0, "skip_special_tokens": True, "spaces_between_special_tokens": True,
    "include_stop_str_in_output": False, "length_penalty": 1.0, "early_stopping": False,
    "use_beam_search": False, "ignore_eos": False, "truncate_prompt_tokens": -1, "top_k": -1,
    "stop_token_ids": [], "bad_words": [], "allowed_token_ids": None, "prompt_logprobs": None,
    "guided_json": None, "guided_regex": "", "guided_choice": [], "guided_grammar": "",
    "guided_decoding_backend": "outlines", "response_format": {"type": "text"}, "priority": 0,
    "return_tokens_as_token_ids": False, "repetition_penalty": 1.0, "min_p": 0.0,
}  # fmt: skip
LLAMA_CPP = {
    "cache_prompt": True, "id_slot": -1, "samplers": [], "dry_multiplier": 0.0, "dry_base": 1.75,
    "dry_allowed_length": 2, "dry_penalty_last_n": -1, "dry_sequence_breakers": ["\n", ":"],
    "xtc_probability": 0, "xtc_threshold": 0.1, "dynatemp_range": 0, "dynatemp_exponent": 1,
    "mirostat": 0, "mirostat_tau": 5, "mirostat_eta": 0.1, "typical_p": 1, "repeat_last_n": 64,
    "repeat_penalty": 1.0, "n_predict": 8, "grammar": "", "n_probs": 0, "min_keep": 0, "lora": [],
    "logit_bias": [], "timings_per_token": False, "return_progress": False, "n_keep": 0,
}  # fmt: skip
TGI = {
    "adapter_id": None, "do_sample": True, "return_full_text": False,
    "decoder_input_details": False, "details": False, "watermark": False, "top_n_tokens": 0,
    "truncate": None, "typical_p": 1.0, "max_new_tokens": 8,
}  # fmt: skip
OPENROUTER = {
    "transforms": [], "models": [], "provider": {}, "plugins": [], "top_a": 0.0,
    "include_reasoning": False, "reasoning": None, "structured_outputs": False,
    "usage": {"include": False},
}  # fmt: skip
OPENAI = {
    "store": False, "metadata": {}, "service_tier": "auto", "parallel_tool_calls": True,
    "tools": [], "tool_choice": "auto", "functions": [], "function_call": "none",
    "modalities": ["text"], "verbosity": "medium", "suffix": "", "user": "", "audio": None,
    "reasoning_effort": "none", "stream_options": {}, "logprobs": False, "stop": "",
}  # fmt: skip
WEB_UI = {
    "tfs": 1, "skew": 0, "smoothing_factor": 0, "smoothing_curve": 1, "top_a": 0, "typical": 1,
    "add_bos_token": True, "ban_eos_token": False, "guidance_scale": 1, "negative_prompt": "x",
    "rep_pen": 1, "rep_pen_range": 2048, "rep_pen_slope": 1, "mirostat_mode": 0, "num_beams": 1,
    "grammar_string": "", "custom_token_bans": "", "banned_strings": [], "num_predict": 8,
    "temperature_last": False, "stopping_strings": [], "max_tokens_second": 0,
}  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("fields", [VLLM, LLAMA_CPP, TGI, OPENROUTER, OPENAI, WEB_UI])
def test_what_asks_for_nothing_passes(served: Served, route: str, fields: dict[str, Any]) -> None:
    plain = post(served, route, ROUTES[route])
    asked = post(served, route, {**ROUTES[route], **fields})
    assert asked["choices"] == plain["choices"]
    assert asked.get("warnings") == plain.get("warnings")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_tokens", 5), ("skip_special_tokens", False), ("use_beam_search", True),
        ("include_stop_str_in_output", True), ("bad_words", ["it"]), ("guided_regex", "a*"),
        ("allowed_token_ids", [1]), ("truncate_prompt_tokens", 3), ("prompt_logprobs", 1),
        ("grammar", "root ::= 'a'"), ("dry_multiplier", 0.8), ("xtc_probability", 0.5),
        ("mirostat", 2), ("typical_p", 0.9), ("samplers", ["top_k"]), ("dynatemp_range", 0.5),
        ("response_format", {"type": "json_object"}), ("tools", [{"type": "function"}]),
        ("tool_choice", "required"), ("suffix", "x"), ("top_a", 0.2), ("num_beams", 4),
        ("do_sample", False), ("watermark", True), ("adapter_id", "a"), ("guidance_scale", 1.5),
        ("banned_strings", ["a"]), ("json_schema", {"type": "object"}),
        ("plugins", [{"id": "web"}]),
        ("modalities", ["text", "audio"]), ("nothing_of_the_kind", 0), ("min_tokens", False),
    ],
)  # fmt: skip
def test_what_would_change_the_text_is_refused(
    served: Served, route: str, name: str, value: Any
) -> None:
    error = post(served, route, {**ROUTES[route], name: value}, 400)["error"]
    assert error["param"] == name and error["message"].startswith(f"{name}: not a field that is")


def test_a_detail_is_refused_where_it_matters(served: Served) -> None:
    body = {**COMPLETION, "repetition_penalty": 1.3}
    assert "warnings" not in post(served, "/v1/completions", {**body, "repeat_last_n": -1})
    error = post(served, "/v1/completions", {**body, "repeat_last_n": 64}, 400)["error"]
    assert error["message"] == (
        "repeat_last_n: not a field that is supported here other than as -1"
    )
    also = post(served, "/v1/completions", {**COMPLETION, "repeat_penalty": 1.3})
    assert also["choices"] == post(served, "/v1/completions", body)["choices"]
    error = post(served, "/v1/completions", {**body, "repeat_penalty": 1.2}, 400)["error"]
    assert error["param"] == "repeat_penalty"


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_ignored_is_named(served: Served, route: str) -> None:
    plain = post(served, route, ROUTES[route])
    ignored = {"user": "me", "service_tier": "flex", "store": True, "metadata": {"a": "b"},
               "cache_prompt": False, "priority": 3, "provider": {"order": ["x"]},
               "stream_options": {"include_obfuscation": True}}  # fmt: skip
    body = {**ROUTES[route], **ignored}
    says = (
        "ignored, for nothing here goes by it: user, service_tier, store, metadata, cache_prompt, "
        "priority, provider, stream_options.include_obfuscation"
    )
    answer = post(served, route, body)
    assert answer["warnings"][-1] == says
    assert answer["choices"] == plain["choices"]
    assert events(served, route, body)[0]["warnings"][-1] == says


def test_a_reply_of_openai_can_be_sent_back(served: Served) -> None:
    reply = {"role": "assistant", "content": "Ay.", "annotations": [], "refusal": None,
             "audio": None, "function_call": None, "tool_calls": None}  # fmt: skip
    turns = [{"role": "user", "content": [{"type": "text", "text": "Who?", "annotations": []}]},
             reply, {"role": "user", "content": "Ay?"}]  # fmt: skip
    answer = post(served, "/v1/chat/completions", {**CHAT, "messages": turns})
    assert not any("ignored" in warning for warning in answer["warnings"])
    turns[0]["name"] = "Ann"
    turns[0]["content"][0]["cache_control"] = {"type": "ephemeral"}  # type: ignore[index,call-overload]
    reply |= {"reasoning_content": "Hm.", "tool_calls": []}
    answer = post(served, "/v1/chat/completions", {**CHAT, "messages": turns})
    assert answer["warnings"][-1].endswith(
        ": messages[0].name, messages[0].content[0].cache_control, messages[1].reasoning_content"
    )
    for name, value in (("tool_calls", [{"id": "1"}]), ("refusal", "No."), ("prefix", True)):
        turns[1] = {**reply, name: value}
        error = post(served, "/v1/chat/completions", {**CHAT, "messages": turns}, 400)["error"]
        assert error["message"].startswith(f"messages[1].{name}: not a field that is")


def test_values_mean_what_they_mean_elsewhere(served: Served) -> None:
    def text(**more: Any) -> str:
        return str(post(served, "/v1/completions", {**COMPLETION, **more})["choices"][0]["text"])

    assert text(top_p=0) == text(temperature=0) == text(top_p=0, seed=4, temperature=2)
    assert len({text(seed=-1, max_tokens=30) for _ in range(3)}) == 3
    assert text(seed=-7) == text(seed=-7) == text(seed=2**63 - 7)
    many = {"max_tokens": -1, "stop": "e", "ignore_eos": True}
    assert "e" not in text(**many) and len(text(**{**many, "stop": None})) > 1000
    said = post(served, "/v1/chat/completions", {**CHAT, "max_tokens": -1, "stop": "e"})
    assert said["choices"][0]["finish_reason"] == "stop"
    best = {**COMPLETION, "n": 2, "best_of": 2}
    assert {one["choices"][0]["index"] for one in events(served, "/v1/completions", best)} == {0, 1}


@pytest.mark.parametrize("route", ROUTES)
def test_usage_in_each_chunk(served: Served, route: str) -> None:
    options = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    chunks = events(served, route, {**ROUTES[route], **options})
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts) and counts[-1] > 1
    assert {chunk["usage"]["prompt_tokens"] for chunk in chunks} == {
        chunks[-1]["usage"]["prompt_tokens"]
    }
    assert chunks[-1]["choices"] == []


@pytest.mark.parametrize("route", ROUTES)
def test_the_model_may_be_left_out_where_there_is_one(
    served: Served, route: str, tmp_path: Path, make_model: Callable[..., Run]
) -> None:
    for unnamed in ({"model": None}, {"model": ""}):
        error = post(served, route, {**ROUTES[route], **unnamed}, 400)["error"]
        assert error["param"] == "model" and "lstm, my-gpt" in error["message"]
    alone = Served([make_model(tmp_path / "alone")])
    try:
        body = {name: value for name, value in ROUTES[route].items() if name != "model"}
        assert post(alone, route, body)["model"] == "alone"
        assert events(alone, route, body)[0]["model"] == "alone"
    finally:
        alone.close()


@pytest.mark.parametrize(
    ("route", "change", "says"),
    [
        ("/v1/completions", {"prompt": [1, None]}, "prompt[1]: Input should be a valid integer"),
        ("/v1/completions", {"prompt": ["a", 1]}, "prompt[1]: Input should be a valid string"),
        ("/v1/completions", {"prompt": [[1], [1, "a"]]}, "prompt[1][1]: Input should be a valid"),
        (
            "/v1/completions",
            {"prompt": 5},
            "prompt: Input should be a valid string or a valid list",
        ),
        ("/v1/completions", {"prompt": {"a": 1}}, "prompt: Input should be a valid string or a va"),
        ("/v1/completions", {"stop": ["a", 5]}, "stop[1]: Input should be a valid string"),
        ("/v1/completions", {"stop": 5}, "stop: Input should be a valid string or a valid list"),
        ("/v1/completions", {"stream_options": {"x": 1}}, "stream_options.x: not a field"),
        ("/v1/completions", {"logit_bias": {"5": "a"}}, "logit_bias.5: Input should be a valid nu"),
        ("/v1/chat/completions", {"messages": [{"content": "a"}]}, "messages[0].role: Field requ"),
        ("/v1/chat/completions", {"messages": [{"role": "user"}]}, "messages[0].content: Field r"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "assistant", "content": None}]},
            "messages[0].content: Field required",
        ),
        ("/v1/chat/completions", {"messages": 5}, "messages: Input should be a valid list"),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text: Field required",
        ),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": 5}]},
            "messages[0].content: Input should be a valid string",
        ),
    ],
)
def test_errors_speak_of_what_was_sent(
    served: Served, route: str, change: dict[str, Any], says: str
) -> None:
    error = post(served, route, {**ROUTES[route], **change}, 400)["error"]
    assert error["message"].startswith(says) and error["param"] == next(iter(change))
