"""Options, TOML and `--set` become settings; what makes no sense is named with the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from textwright.configs import RecurrentConfig
from textwright.errors import RequestError
from textwright.training.planning.presets import SIZES, dropout_for, model_settings
from textwright.training.planning.request import DEFAULT_MINUTES, Budget, make_request


def test_later_layers_win_and_presets_fill_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[training]\nlearning_rate = 0.5\nseed = 7\nbatch_size = 5\n[model]\nfamily = "gpt"\n'
        '[run]\nname = "recorded"\n'
    )
    request = make_request(
        config=file,
        size="micro",
        seed=8,
        tokenizer="bpe",
        changes=["training.learning_rate=0.25", "model.num_layers = 3", "model.dropout=0.1"],
    )
    settings = request.settings("micro")
    assert request.family == "gpt"
    assert (settings.training.seed, settings.training.learning_rate) == (8, 0.25)
    assert settings.training.batch_size == 5
    assert settings.training.minutes == DEFAULT_MINUTES
    assert settings.tokenizer.kind == "bpe"
    assert request.section("model") == {"num_layers": 3, "dropout": 0.1}
    recipe = SIZES["gpt"]["micro"].training
    assert settings.training.matrix_learning_rate == recipe["matrix_learning_rate"]


def test_what_is_set_by_its_name_comes_after_options() -> None:
    assert make_request(seed=8, changes=["training.seed=9"]).settings().training.seed == 9


def test_a_budget_may_be_on_top_of_what_is_done() -> None:
    for written in ("+2", " +2"):
        assert make_request(minutes=written, resume=True).budget == Budget("minutes", 2, more=True)
    assert make_request(minutes="2", resume=True).budget == Budget("minutes", 2, more=False)


def test_the_prompt_of_the_samples_is_an_option() -> None:
    assert (
        make_request(sample_prompt="KING 5 = [").settings().training.sample_prompt == "KING 5 = ["
    )


def test_a_budget_on_the_command_line_replaces_the_files(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    mark = "\ufeff"  # as Windows' editors begin a file
    file.write_text(f"{mark}[training]\nsteps = 500\nminutes = 3.0\n", encoding="utf-8")
    training = make_request(config=file).settings().training
    assert (training.steps, training.minutes) == (500, 3.0)
    training = make_request(config=file, epochs=2.0).settings().training
    assert (training.steps, training.minutes, training.epochs) == (None, None, 2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "gtp"}, r"unknown model 'gtp'; did you mean 'gpt'\?"),
        ({"size": "mirco"}, r"unknown size 'mirco'; did you mean 'micro'\?"),
        ({"size": "huge"}, "there are pico, nano, micro, small, medium, large"),
        ({"changes": ["training.learnin_rate=1"]}, r"did you mean 'training.learning_rate'\?"),
        (
            {"model": "gpt", "changes": ["model.hidden_sizes=1"]},
            "did you mean 'model.hidden_size'",
        ),
        ({"changes": ["model.rnn_units=9"]}, r"did you mean 'model.hidden_size'\?"),
        ({"changes": ["model.seq_length=9"]}, r"did you mean 'model.block_size'\?"),
        ({"model": "gpt", "changes": ["model.n_embd=9"]}, "did you mean 'model.hidden_size'"),
        ({"changes": ["learning_rate=1"]}, r"did you mean 'training.learning_rate'\?"),
        ({"changes": ["training.lr=1"]}, r"did you mean 'training.learning_rate'\?"),
        ({"model": "lstm", "changes": ["model.num_heads=2"]}, "is a setting of gpt, not of lstm"),
        ({"changes": ["training.learning_rate"]}, "write name=value"),
        ({"changes": ["training.learning_rate=-1"]}, "learning_rate: must be above 0"),
        ({"changes": ["training.learning_rate=nan"]}, "learning_rate.*finite"),
        ({"steps": 5, "minutes": 1.0}, "--steps and --minutes"),
        ({"minutes": 0.0}, "training.minutes.*above 0"),
        ({"tokenizer": "chars"}, "'char', 'word' or 'bpe'"),
        ({"validation_fraction": 1.5}, "below 1"),
        ({"config": Path("nowhere.toml")}, "nowhere.toml: there is no such file"),
    ],
)
def test_mistakes_are_one_line_with_the_remedy(arguments: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        make_request(**arguments)
    assert "\n" not in str(caught.value)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(RequestError) as caught:
        make_request(changes=["training.momentum=2", "training.batch_size=0"])
    assert "training.momentum" in str(caught.value)
    assert "training.batch_size" in str(caught.value)


def test_a_broken_config_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[training\n")
    with pytest.raises(RequestError, match=r"broken\.toml"):
        make_request(config=file)


def test_own_settings_of_a_model_are_taken_or_refused() -> None:
    config = model_settings("lstm", "nano", 65, {"hidden_size": [128, 64], "num_layers": 2})
    assert isinstance(config, RecurrentConfig)
    assert config.layer_sizes == [128, 64]
    with pytest.raises(RequestError, match="3 widths for 2 layers"):
        model_settings("lstm", "nano", 65, {"hidden_size": [128, 64, 3], "num_layers": 2})
    with pytest.raises(RequestError, match="heads of 32, 64 or 128"):
        model_settings("gpt", "nano", 65, {"num_heads": 3})
    with pytest.raises(RequestError, match="vocab_size"):
        model_settings("gpt", "nano", 1 << 21)


@pytest.mark.parametrize(
    "written", ["128,64", "128, 64", "(128, 64)", "(128,64,)", "[128, 64]", "128,64,"]
)
def test_unequal_layers_are_taken_as_people_write_them(written: str) -> None:
    request = make_request(model="lstm", changes=[f"model.hidden_size={written}"])
    for size in ("nano", "large"):
        config = model_settings("lstm", size, 65, request.section("model"))
        assert isinstance(config, RecurrentConfig)
        assert config.layer_sizes == [128, 64] and config.num_layers == 2
    widths = RecurrentConfig(vocab_size=9, block_size=8, hidden_size=[128, 64, 32])
    assert widths.num_layers == 3
    for wrong in ("128,,64", "128,x", "(128 64)"):
        changes = [f"model.hidden_size={wrong}"]
        with pytest.raises(RequestError, match="hidden_size"):
            model_settings("lstm", "nano", 65, make_request(changes=changes).section("model"))


LESSONS = Path(__file__).parents[3] / "recipes" / "lessons"


@pytest.mark.parametrize("name", ["mini-gpt", "unequal-lstm"])
def test_the_recipes_of_lessons_are_models_of_their_shape(name: str) -> None:
    file = LESSONS / f"{name}.toml"
    assert f"--config recipes/lessons/{name}.toml --name {name}\n" in file.read_text()
    request = make_request(config=file)
    settings = request.settings()
    config = model_settings(request.family, None, 65, request.section("model"))
    if name == "mini-gpt":
        assert config.parameter_count() == pytest.approx(10.8e6, rel=0.02)
        assert (settings.training.steps, settings.training.optimizer) == (5000, "adamw")
    else:
        assert isinstance(config, RecurrentConfig)
        assert config.layer_sizes == [128, 64] and config.dropout == 0.4


def test_a_large_vocabulary_shares_one_table() -> None:
    for family in ("lstm", "gpt", "transformer"):
        assert model_settings(family, "nano", 5000).tie_embeddings
        assert not model_settings(family, "nano", 65).tie_embeddings
        assert not model_settings(family, "nano", 5000, {"tie_embeddings": False}).tie_embeddings
    config = model_settings("lstm", "nano", 5000, {"hidden_size": [128, 96]})
    assert config.tie_embeddings and config.embedding_size == 96
    assert not model_settings("lstm", "nano", 5000, {"embedding_size": 32}).tie_embeddings


@pytest.mark.parametrize("family", SIZES)
def test_every_size_is_larger_than_the_one_before(family: str) -> None:
    counts = [model_settings(family, size, 65).parameter_count() for size in SIZES[family]]
    assert list(SIZES[family]) == ["nano", "micro", "small", "medium", "large"]
    assert counts == sorted(counts)
    assert 5e4 < counts[0] < 1.2e6 and counts[-1] > 8e6


def test_dropout_follows_how_often_and_how_crowded() -> None:
    lstm, gpt = (model_settings(family, "nano", 66, {}) for family in ("lstm", "gpt"))
    large, small = 10 * lstm.parameter_count(), lstm.parameter_count() // 10
    assert [dropout_for(lstm, large, epochs) for epochs in (2, 10, 25, 60)] == [0, 0.1, 0.2, 0.3]
    assert [dropout_for(lstm, small, epochs) for epochs in (2, 10, 25, 60)] == [0, 0.1, 0.4, 0.4]
    assert dropout_for(gpt, small, 25) == 0.2
