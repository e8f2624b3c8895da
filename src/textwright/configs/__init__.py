"""Typed settings: of every model family, and of a training run. Imports no torch.

A model's settings live in the run folder's `config.json`, in the shape of the stock
`transformers` config wherever the family has one; `ModelConfig.to_json` and `model_config` are
the two directions. A run's settings live in its `run.toml`; every one of them can be set as
`--set section.name=value`, where a section is a field of `Settings` and `model` is one more.
"""

from textwright.configs.families import (
    CONFIG_CLASSES,
    AttentionConfig,
    GPTConfig,
    ModelConfig,
    RecurrentConfig,
    TransformerConfig,
    config_class,
    model_config,
)
from textwright.configs.section import MAX_VOCAB_SIZE, Section, nearest, one_line
from textwright.configs.settings import (
    CorpusSettings,
    SamplingSettings,
    Settings,
    TokenizerSettings,
    TrainingSettings,
)

__all__ = [
    "CONFIG_CLASSES",
    "MAX_VOCAB_SIZE",
    "AttentionConfig",
    "CorpusSettings",
    "GPTConfig",
    "ModelConfig",
    "RecurrentConfig",
    "SamplingSettings",
    "Section",
    "Settings",
    "TokenizerSettings",
    "TrainingSettings",
    "TransformerConfig",
    "config_class",
    "model_config",
    "nearest",
    "one_line",
]
