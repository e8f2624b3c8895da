"""Fields of other servers' requests: OpenAI's, vLLM's, llama.cpp's, TGI's, OpenRouter's.

Each asks for nothing, and is dropped; or can't change the text, and is ignored with a warning; or
would change the text or the answer, and is left in place, so that it is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Values: TypeAlias = tuple[Any, ...]
Table: TypeAlias = Mapping[str, Values]


@dataclass(frozen=True)
class ForeignFields:
    """The fields of one kind of object, by name, with values of each that ask for nothing; null, an
    empty text, an empty list and an empty object do in all of them."""

    refused: Table = field(default_factory=dict)
    """Left in place otherwise. Fields of ours may be here, too: theirs to refuse."""
    ignored: Table = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of our fields."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Fields that mean something only where another is set, which is named."""
    idle: frozenset[str] = frozenset()
    """Fields that ask for nothing, whatever they are."""

    def sort(self, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """`data` without what asks for nothing, and the names of what is ignored."""
        kept = {
            name: value
            for name, value in data.items()
            if value is not None and name not in self.idle
        }
        for alias in self.aliases.keys() & kept.keys():
            value = kept.pop(alias)
            if kept.setdefault(self.aliases[alias], value) != value:
                kept[alias] = value  # the two contradict each other
        for name in self.refused.keys() & kept.keys():
            if _is_among(kept[name], self.refused[name]):
                del kept[name]
        ignored = [name for name in data if name in self.ignored and name in kept]
        for name in ignored.copy():
            if _is_among(kept.pop(name), self.ignored[name]):
                ignored.remove(name)
        for name, master in self.details.items():
            if kept.get(master) in (None, 1):
                kept.pop(name, None)
        return kept, ignored


def accepted(name: str) -> Values:
    """The values, if any, of a field that ask for nothing, where others are refused."""
    kinds = (NATIVE, COMPLETION, CHAT, RESPONSE, OLLAMA_OPTIONS, OLLAMA, MESSAGE)
    return next((one.refused[name] for one in kinds if name in one.refused), ())


def _is_among(value: Any, values: Values) -> bool:
    """Whether a value asks for nothing; `false` is not 0 here, as in JSON."""
    return value in ("", [], {}) or any(
        value == one and isinstance(value, bool) == isinstance(one, bool) for one in values
    )


_REFUSED: Table = {
    # OpenAI
    "suffix": (), "tools": (), "tool_choice": ("none", "auto"), "functions": (),
    "function_call": ("none", "auto"), "response_format": ({"type": "text"},), "audio": (),
    "modalities": (["text"],), "web_search_options": (), "verbosity": ("medium",),
    "moderation": (), "logit_bias": (),
    # vLLM
    "use_beam_search": (False,), "min_tokens": (0,), "include_stop_str_in_output": (False,),
    "skip_special_tokens": (True,), "truncate_prompt_tokens": (-1,), "allowed_token_ids": (),
    "bad_words": (), "prompt_logprobs": (), "logprob_token_ids": (), "prompt_embeds": (),
    "watermarking": (False,), "structured_outputs": (False,), "guided_json": (), "guided_regex": (),
    "guided_choice": (), "guided_grammar": (), "logits_processors": (), "vllm_xargs": (),
    "repetition_detection": (), "return_tokens_as_token_ids": (False,),
    "return_token_ids": (False,), "return_prompt_text": (False,), "documents": (),
    "chat_template": (), "continue_final_message": (False,), "add_generation_prompt": (True,),
    # llama.cpp
    "n_indent": (0,), "n_keep": (0, -1), "n_discard": (0,), "t_max_predict_ms": (0, -1),
    "t_max_prompt_ms": (0, -1), "response_fields": (), "return_tokens": (False,),
    "top_n_sigma": (0, -1), "xtc_probability": (0,), "typical_p": (1,), "dynatemp_range": (0,),
    "dry_multiplier": (0,), "mirostat": (0,), "adaptive_target": (-1,), "min_keep": (0, 1),
    "n_probs": (0,), "post_sampling_probs": (False,), "lora": (), "grammar": (),
    "json_schema": (), "thinking_forced_open": (False,), "samplers": (), "penalize_nl": (False,),
    "image_data": (), "multimodal_data": (), "input_prefix": (), "input_suffix": (),
    "repeat_last_n": (-1,),
    # TGI
    "adapter_id": (), "guideline": (), "do_sample": (True,), "watermark": (False,),
    "decoder_input_details": (False,), "details": (False,), "return_full_text": (False,),
    "top_n_tokens": (0,), "truncate": (),
    # OpenRouter
    "top_a": (0,), "plugins": (), "preset": (),
    # web pages that speak to several of them
    "typical": (1,), "tfs": (1,), "tfs_z": (1,), "skew": (0,), "smoothing_factor": (0,),
    "epsilon_cutoff": (0,), "eta_cutoff": (0,), "encoder_repetition_penalty": (1,),
    "no_repeat_ngram_size": (0,), "penalty_alpha": (0,), "num_beams": (1,), "min_length": (0,),
    "add_bos_token": (True,), "guidance_scale": (1,), "dynamic_temperature": (False,),
    "temperature_last": (False,), "max_tokens_second": (0,), "mirostat_mode": (0,),
    "grammar_string": (), "custom_token_bans": (), "banned_tokens": (), "banned_strings": (),
    "sampler_order": (), "sampler_priority": (), "rep_pen_range": (0, -1),
    "repetition_penalty_range": (0, -1),
}  # fmt: skip

_IGNORED: Table = {
    # OpenAI
    "user": (), "metadata": (), "store": (False,), "service_tier": ("auto", "default"),
    "safety_identifier": (), "prompt_cache_key": (), "prompt_cache_retention": (),
    "prompt_cache_options": (), "prediction": (),
    "reasoning_effort": ("none",),
    # vLLM
    "priority": (0,), "request_id": (), "session_id": (), "cache_salt": (),
    "kv_transfer_params": (), "ec_transfer_params": (), "stream_interval": (1,),
    "return_token_offsets": (False,), "routed_experts_prompt_start": (0,),
    "thinking_token_budget": (-1,), "chat_template_kwargs": (), "media_io_kwargs": (),
    "mm_processor_kwargs": (),
    # llama.cpp
    "cache_prompt": (True,), "id_slot": (-1,), "slot_id": (-1,), "n_cache_reuse": (0,),
    "timings_per_token": (False,), "return_progress": (False,), "backend_sampling": (False,),
    "reasoning_format": ("none", "auto"), "speculative.n_min": (), "speculative.n_max": (),
    "speculative.p_min": (), "speculative.type": (), "speculative.ngram_size_n": (),
    "speculative.ngram_size_m": (), "speculative.ngram_m_hits": (),
    # OpenRouter
    "models": (), "route": (), "provider": (), "transforms": (), "reasoning": (),
    "usage": ({"include": False},), "trace": (), "cache_control": (),
    "image_config": (), "debug": (),
    # web pages that speak to several of them
    "truncation_length": (), "num_ctx": (), "api_type": (), "api_server": (),
    "legacy_api": (False,),
}  # fmt: skip

_ALIASES = {
    "repeat_penalty": "repetition_penalty", "rep_pen": "repetition_penalty",
    "n_predict": "max_tokens", "num_predict": "max_tokens", "max_new_tokens": "max_tokens",
    "n_cmpl": "n", "stopping_strings": "stop", "sampler_seed": "seed",
    "ban_eos_token": "ignore_eos", "generation_length": "max_tokens", "model_name": "model",
}  # fmt: skip

_DETAILS = {
    "length_penalty": "use_beam_search", "early_stopping": "use_beam_search",
    "spaces_between_special_tokens": "skip_special_tokens",
    "truncation_side": "truncate_prompt_tokens", "guided_decoding_backend": "structured_outputs",
    "guided_whitespace_pattern": "guided_json", "tool_prompt": "tools",
    "xtc_threshold": "xtc_probability", "dynatemp_exponent": "dynatemp_range",
    "dynatemp_low": "dynamic_temperature", "dynatemp_high": "dynamic_temperature",
    "dynatemp_min": "dynamic_temperature", "dynatemp_max": "dynamic_temperature",
    "dynatemp_mode": "dynamic_temperature", "dry_base": "dry_multiplier",
    "dry_allowed_length": "dry_multiplier", "dry_penalty_last_n": "dry_multiplier",
    "dry_sequence_breakers": "dry_multiplier", "mirostat_tau": "mirostat",
    "mirostat_eta": "mirostat", "adaptive_decay": "adaptive_target", "grammar_lazy": "grammar",
    "grammar_triggers": "grammar", "preserved_tokens": "grammar",
    "smoothing_curve": "smoothing_factor", "negative_prompt": "guidance_scale",
    "repeat_last_n": "repetition_penalty", "rep_pen_range": "repetition_penalty",
    "repetition_penalty_range": "repetition_penalty", "rep_pen_slope": "rep_pen_range",
    "repetition_decay": "repetition_penalty",
}  # fmt: skip

_IDLE = frozenset((
    "parallel_tool_calls", "return_mm_kwargs", "include_reasoning", "reasoning_in_content",
    "parse_tool_calls", "allow_fallbacks", "speculative_ngram",
))  # fmt: skip

_PROMPTS = ("start_string", "start_phrase")

COMPLETION = ForeignFields(
    {**_REFUSED, "logprobs": (False,), "add_special_tokens": (True,)},
    _IGNORED, {**_ALIASES, **dict.fromkeys(_PROMPTS, "prompt")}, _DETAILS, _IDLE,
)  # fmt: skip
CHAT = ForeignFields(
    {**_REFUSED, "echo": (False,), "best_of": (1,), "add_special_tokens": (False,)},
    _IGNORED, _ALIASES, _DETAILS, _IDLE,
)  # fmt: skip

NATIVE = ForeignFields(
    {"stream": (False,), "n": (1,)},
    {},
    {
        "model": "model_name", "prompt": "start_phrase", "start_string": "start_phrase",
        **dict.fromkeys(("max_tokens", "max_new_tokens", "length"), "generation_length"),
    },
)  # fmt: skip

MESSAGE = ForeignFields(
    {
        "refusal": (), "tool_calls": (), "function_call": (), "audio": (), "images": (),
        "prefix": (False,), "tool_call_id": (), "partial": (False,),
    },
    {
        "name": (), "annotations": (), "reasoning": (), "reasoning_content": (),
        "reasoning_details": (), "thinking": (), "cache_control": (), "phase": (), "id": (),
        "metadata": (),
    },
)  # fmt: skip
PART = ForeignFields({}, {"annotations": (), "cache_control": (), "prompt_cache_breakpoint": ()})
STREAM_OPTIONS = ForeignFields({}, {"include_obfuscation": (False,)})

RESPONSE = ForeignFields(
    {
        **_REFUSED, "n": (1,), "background": (False,), "conversation": (),
        "previous_response_id": (), "prompt": (), "context_management": (), "image": (),
        "text": (
            {"format": {"type": "text"}}, {"verbosity": "medium"},
            {"format": {"type": "text"}, "verbosity": "medium"},
        ),
    },
    {**_IGNORED, "access_programs": (), "background_options": (), "truncation": ("disabled",)},
    _ALIASES,
    {**_DETAILS, "max_tool_calls": "tools"},
    _IDLE,
)  # fmt: skip
RESPONSE_ITEM = ForeignFields({}, {}, idle=frozenset(("id", "status", "phase")))
RESPONSE_PART = ForeignFields(
    {}, {"annotations": (), "prompt_cache_breakpoint": ()}, idle=frozenset(("logprobs",))
)

OLLAMA = ForeignFields(
    {
        "suffix": (), "template": (), "context": (), "images": (), "format": (), "think": (False,),
        "tools": (), "width": (0,), "height": (0,), "steps": (0,), "dimensions": (0,),
        "truncate": (True,), "shift": (True,),
    },
    {"keep_alive": ()},
)  # fmt: skip
OLLAMA_OPTIONS = ForeignFields(
    {
        "repeat_last_n": (-1,), "tfs_z": (1,), "typical_p": (1,), "mirostat": (0,),
        "num_keep": (0, -1, 4), "logit_bias": (), "grammar": (), "dynamic_temperature": (False,),
    },
    dict.fromkeys((
        "num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "numa", "low_vram", "f16_kv",
        "use_mmap", "use_mlock", "draft_num_predict",
    ), ()) | dict.fromkeys(("vocab_only", "logits_all", "embedding_only"), (False,)),
    {},
    {
        "repeat_last_n": "repeat_penalty", "penalize_newline": "repeat_penalty",
        "mirostat_tau": "mirostat", "mirostat_eta": "mirostat",
    },
)  # fmt: skip
