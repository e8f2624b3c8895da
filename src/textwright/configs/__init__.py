"""Typed settings: of every model family (`families`), and of a training run (`settings`). No torch.

Those of a model are in the run folder's `config.json`, in the layout of the stock `transformers`
config where the family has one, written by `ModelConfig.to_json` and read by `model_config`. Those
of a run are in its `run.toml`; each can be set as `--set section.name=value`, where a section is a
field of `Settings`, or `model`. Nothing here reads a file or knows what a setting does.
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
from textwright.configs.names import hints, nearest
from textwright.configs.section import MAX_VOCAB_SIZE, Section, one_line
from textwright.configs.settings import (
    CompanionChoice,
    CorpusSettings,
    SamplingSettings,
    Settings,
    TokenizerSettings,
    TrainingSettings,
    check_companion,
)

__all__ = [
    "CONFIG_CLASSES",
    "MAX_VOCAB_SIZE",
    "AttentionConfig",
    "CompanionChoice",
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
    "check_companion",
    "config_class",
    "hints",
    "model_config",
    "nearest",
    "one_line",
]
