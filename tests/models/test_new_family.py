"""A family of one's own is one file: a config class and a torch module, registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

import textwright
from textwright import configs, models
from textwright.configs import ModelConfig
from textwright.models import LanguageModel, Matrices, State


class AverageConfig(ModelConfig):
    """`average`: predicts from the running mean of the embeddings."""

    families = ("average",)
    order = "streams"
    family: Literal["average"] = "average"
    width: int = 16

    def to_json(self) -> dict[str, Any]:
        return {"model_type": "average", **self.model_dump(exclude={"family"})}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AverageConfig | None:
        if data.get("model_type") != "average":
            return None
        return cls(**{name: data[name] for name in cls.model_fields if name in data})

    def parameter_count(self) -> int:
        return 2 * self.vocab_size * self.width + self.vocab_size


class Average(LanguageModel):
    config_class = AverageConfig
    config: AverageConfig

    def __init__(self, config: AverageConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.output = nn.Linear(config.width, config.vocab_size)

    def initial_state(self, batch_size: int) -> State:
        return {"sum": torch.zeros(batch_size, self.config.width)}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = state or self.initial_state(tokens.shape[0])
        sums = state["sum"][:, None] * 0.5 + self.embedding(tokens).cumsum(dim=1)
        return self.output(torch.tanh(sums)), {"sum": sums[:, -1]}

    def matrices(self) -> Iterable[Matrices]:
        return ()


@pytest.fixture
def registered() -> Iterator[None]:
    models.register(Average)
    yield
    models.FAMILIES.remove(Average)
    configs.CONFIG_CLASSES.remove(AverageConfig)


SETTINGS = ["model.num_layers=1", "model.block_size=16", "training.batch_size=8"]


def test_it_trains_and_generates(registered: None, text_file: Any) -> None:
    run = textwright.train(text_file, model="average", steps=60, changes=SETTINGS)
    losses = [record["val_loss"] for record in run.metrics()]
    assert losses[-1] < losses[0] - 0.3
    text = textwright.load(str(run.path)).generate("The ", max_tokens=30, seed=1)
    assert len(text.tokens) == 30
    assert text == textwright.load(str(run.path)).generate("The ", max_tokens=30, seed=1)


def test_it_is_continued_with_more_characters(registered: None, text_file: Any) -> None:
    alone: dict[str, Any] = {"companion": "off"}
    parent = textwright.train(text_file, model="average", steps=60, changes=SETTINGS, **alone)
    text_file.write_text(text_file.read_text().replace("e", "é"))
    run = textwright.train(text_file, parent=parent, steps=20, name="more", **alone)
    assert run.config() == parent.config().model_copy(
        update={"vocab_size": parent.config().vocab_size + 1}
    )
    losses = [record["val_loss"] for record in run.metrics()]
    assert losses[-1] < losses[0] < parent.metrics()[0]["val_loss"] - 0.2
