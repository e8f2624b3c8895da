"""Opening models: by path and name, with every kind of damage, and a folder of them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import textwright
from textwright.configs import SamplingSettings
from textwright.engine import ModelPool
from textwright.errors import RequestError, RunError
from textwright.generation import Models, load, read_generation_config, write_generation_config
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.tokenizers import Tokenizer


@pytest.fixture
def run(make_run: Callable[..., Run], tmp_path: Path) -> Run:
    """A run of its own for a test to damage."""
    return Run(Path(shutil.copytree(make_run("gpt").path, tmp_path / "runs" / "my-model")))


def test_by_path_by_name_and_as_a_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(run).generate("It", seed=1)
    assert load(str(run.path)).generate("It", seed=1) == expected
    assert load(run.path).generate("It", seed=1) == expected
    assert load("my_model", run.path.parent).name == "my-model"
    monkeypatch.setenv("TEXTWRIGHT_RUNS", str(run.path.parent))
    assert textwright.load("my-model").generate("It", seed=1) == expected


def test_half_precision_files_load(run: Run) -> None:
    weights = load_file(run.weights_file)
    expected = load(run).next_distribution("It was", top=5)
    save_file({name: array.astype(np.float16) for name, array in weights.items()}, run.weights_file)
    half = load(run).next_distribution("It was", top=5)
    assert [p for _, p in half] == pytest.approx([p for _, p in expected], rel=0.05)


def test_bfloat16_files_load(run: Run) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    weights = {name: torch.tensor(array) for name, array in load_file(run.weights_file).items()}
    halves = {name: tensor.bfloat16() for name, tensor in weights.items()}
    save_torch(halves, run.weights_file)
    read = read_weights(run.weights_file)
    for name, tensor in halves.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], tensor.float().numpy())


def spoil_truncate(run: Run) -> None:
    data = run.weights_file.read_bytes()
    run.weights_file.write_bytes(data[: len(data) // 2])


def spoil_empty(run: Run) -> None:
    run.weights_file.write_bytes(b"")


def spoil_garbage(run: Run) -> None:
    run.weights_file.write_bytes(b"\xff" * 5000)


def spoil_missing(run: Run) -> None:
    weights = load_file(run.weights_file)
    del weights["model.norm.weight"]
    save_file(weights, run.weights_file)


def spoil_shape(run: Run) -> None:
    config = run.read_json(run.config_file)
    run.write_json(run.config_file, config | {"intermediate_size": 224})


def spoil_nan(run: Run) -> None:
    weights = load_file(run.weights_file)
    weights["model.norm.weight"][3] = np.nan
    save_file(weights, run.weights_file)


@pytest.mark.parametrize(
    "spoil",
    [spoil_truncate, spoil_empty, spoil_garbage, spoil_missing, spoil_shape, spoil_nan],
)
def test_damaged_weights_are_named_in_one_line(run: Run, spoil: Callable[[Run], None]) -> None:
    spoil(run)
    with pytest.raises(RunError) as error:
        load(run)
    message = str(error.value)
    assert message.startswith("run 'my-model'") and "model.safetensors" in message
    assert "\n" not in message and ("copy" in message or "train" in message)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "generation_config.json"])
def test_a_damaged_file_is_named(run: Run, file: str) -> None:
    (run.path / file).write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=file):
        load(run)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("attention_bias", True, "attention_bias is True, which"),
        ("use_sliding_window", True, "use_sliding_window is True, which"),
        ("hidden_act", "gelu", "hidden_act is 'gelu', which"),
        (
            "rope_scaling",
            {"rope_type": "yarn", "factor": 4.0},
            "rope_scaling is of the type 'yarn'",
        ),
        ("rope_parameters", {"type": "linear"}, "rope_parameters is of the type 'linear', which"),
        ("rope_scaling", 3, "rope_scaling is 3"),
    ],
)
def test_a_shape_that_textwright_has_not_is_refused(
    run: Run, field: str, value: object, says: str
) -> None:
    """Its weights would load, and be another model than `transformers` makes of them."""
    config = run.read_json(run.config_file)
    load(run)
    for accepted in (None, False, {"rope_type": "default"}):
        run.write_json(run.config_file, config | {"rope_scaling": accepted})
        load(run)
    run.write_json(run.config_file, config | {field: value})
    with pytest.raises(RunError, match=f"run 'my-model': config.json.*{says}") as refused:
        load(run.path)
    assert "\n" not in str(refused.value)
    if value != 3:
        assert str(refused.value).endswith("; run this model with transformers")


def test_a_tokenizer_of_another_model_is_refused(
    run: Run, tokenizers: dict[str, Tokenizer]
) -> None:
    tokenizers["word"].save(run)
    with pytest.raises(RunError, match=r"tokenizer\.json has .* tokens and the model"):
        load(run)


def test_a_run_still_in_training_says_so(run: Run) -> None:
    run.weights_file.unlink()
    with pytest.raises(RunError, match="never got to an evaluation"):
        load(run)
    run.lock_file.touch()
    with pytest.raises(RunError, match="yet: it comes with the first evaluation"):
        load(run)


def test_an_unknown_run_offers_the_nearest(run: Run) -> None:
    with pytest.raises(RunError, match="my-model"):
        load("my-modle", run.path.parent)


# The run's defaults


def test_generation_config_goes_there_and_back(run: Run, tokenizers: dict[str, Tokenizer]) -> None:
    sampling = SamplingSettings(
        temperature=0.6, top_k=7, top_p=0.9, min_p=0.1, repetition_penalty=1.1, stop=["\n\n"]
    )
    write_generation_config(run, sampling, tokenizers["word"], max_tokens=33)
    defaults = read_generation_config(run)
    assert defaults.sampling == sampling and defaults.max_tokens == 33
    assert defaults.eos_ids == {tokenizers["word"].eos_id}
    assert defaults.suppress_tokens == set(tokenizers["word"].suppress_tokens)


def test_greedy_and_a_missing_file(run: Run, tokenizers: dict[str, Tokenizer]) -> None:
    write_generation_config(run, SamplingSettings(temperature=0), tokenizers["char"])
    assert read_generation_config(run).sampling.temperature == 0
    run.generation_config_file.unlink()
    assert read_generation_config(run).sampling == SamplingSettings()


def test_the_runs_defaults_are_in_force(run: Run) -> None:
    config = run.read_json(run.generation_config_file)
    letters = load(run).tokenizer.encode("abcdefghijklmnopqrstuvwxyz")
    changed = {"do_sample": False, "max_new_tokens": 12, "suppress_tokens": letters}
    run.write_json(run.generation_config_file, config | changed)
    model = load(run)
    made = model.generate("It")
    assert len(made.tokens) == 12 and not set(made.tokens) & set(letters)
    assert made.tokens == model.generate("It").tokens  # greedy: no seed needed
    run.write_json(run.generation_config_file, config | {"eos_token_id": [made.tokens[0], 10**6]})
    ended = load(run).generate("It", temperature=0)
    assert made.tokens[0] not in ended.tokens


@pytest.mark.parametrize(
    "bad",
    [{"temperature": "hot"}, {"top_p": 7}, {"max_new_tokens": -4}, {"eos_token_id": "end"}],
    ids=str,
)
def test_a_wrong_default_is_named(run: Run, bad: dict[str, object]) -> None:
    config = run.read_json(run.generation_config_file)
    run.write_json(run.generation_config_file, config | bad)
    with pytest.raises(RunError, match=r"generation_config\.json.*" + next(iter(bad))) as error:
        load(run)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("default")  # of transformers
def test_transformers_reads_the_defaults(run: Run, tokenizers: dict[str, Tokenizer]) -> None:
    from transformers import GenerationConfig

    for temperature in (0.7, 0.0):
        sampling = SamplingSettings(temperature=temperature, top_k=-1, min_p=0.05)
        write_generation_config(run, sampling, tokenizers["word"])
        config = GenerationConfig.from_pretrained(run.path)
        config.validate(strict=True)
        assert config.do_sample is (temperature > 0)
        assert config.max_new_tokens == 200
        assert config.eos_token_id == tokenizers["word"].eos_id
        assert config.suppress_tokens == list(tokenizers["word"].suppress_tokens)
        if temperature:
            assert config.temperature == temperature and config.top_k == 0


# A folder of models


def test_models_of_a_folder(run: Run, make_run: Callable[..., Run]) -> None:
    folder = run.path.parent
    shutil.copytree(make_run("lstm").path, folder / "other_one")
    (folder / "notes").mkdir()
    shutil.copytree(run.path, folder / "unfinished").joinpath("model.safetensors").unlink()
    models = Models(folder)
    assert models.available_models == ["my-model", "other_one"]
    assert models.load_model("my_model") is models.load_model("my-model")
    assert models.load_model("other-one").generate("It", seed=1).text
    with pytest.raises(RunError, match="did you mean 'other_one'"):
        models.load_model("other_noe")
    with pytest.raises(RunError):
        models.load_model("../runs/my-model")
    with pytest.raises(RunError, match="no folder"):
        Models(folder / "nowhere")


def test_a_broken_model_of_a_folder_is_named_with_its_reason(run: Run) -> None:
    """The server's words for it, whichever file is damaged or gone."""
    folder = run.path.parent
    for name, file, content in (
        ("no-weights", "model.safetensors", None), ("bad-weights", "model.safetensors", b"half"),
        ("no-config", "config.json", None), ("bad-tokenizer", "tokenizer.json", b"{"),
    ):  # fmt: skip
        shutil.copytree(run.path, folder / name)
        (folder / name / file).unlink()
        if content is not None:
            (folder / name / file).write_bytes(content)
    shutil.copytree(folder / "no-weights", folder / "begun").joinpath(".training").touch()
    models = Models(folder)
    broken = models.broken_models
    assert list(broken) == ["bad-tokenizer", "bad-weights", "no-config", "no-weights"]
    pool = ModelPool(folder=folder)
    pool.load_all()
    served = {name: one.reason for name, one in pool.statuses.items() if one.status == "Failed"}
    assert served == broken
    with pytest.raises(RunError, match="'no-config' has no config.json"):
        models.load_model("no_config")


def test_what_other_programs_call_an_argument_is_hinted_at(run: Run) -> None:
    for call, said in (
        (lambda: Models(models_folder="x"), "Models.* has no argument 'models_folder'.*'folder'"),
        (lambda: load(model_name="x"), "load.* no argument 'model_name'; did you mean 'reference'"),
        (lambda: Models(run.path.parent).load_model(model_name="x"), "did you mean 'name'"),
        (lambda: textwright.train(max_iters=5), "train.* 'max_iters'; did you mean 'steps'"),
        (lambda: textwright.train(corpus="x"), "train.* 'corpus'"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=said):
            call()  # type: ignore[no-untyped-call]
    model = load(run)
    for theirs, ours in (
        ("generation_length", "max_tokens"), ("max_new_tokens", "max_tokens"),
        ("start_string", "prompt"), ("temprature", "temperature"), ("random_seed", "seed"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=f"no setting '{theirs}'.* did you mean '{ours}'"):
            model.generate(**{theirs: 5})  # type: ignore[arg-type]


# The package


def script(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_importing_the_package_costs_nothing() -> None:
    heavy = "{'numpy', 'torch', 'pydantic', 'tokenizers', 'typer'} & set(sys.modules)"
    assert script(f"import sys, textwright; print({heavy} or 'light')") == "light"


def test_generating_needs_no_torch(run: Run) -> None:
    code = f"""
import sys, textwright as tw
text = tw.load({str(run.path)!r}).generate("It was", seed=1, max_tokens=5).text
heavy = {{"torch", "transformers", "fastapi"}} & set(sys.modules)
print(heavy or "light")
"""
    assert script(code) == "light"


def test_the_public_names() -> None:
    for name in textwright.__all__:
        if name != "train":  # needs torch; its own tests have it
            assert getattr(textwright, name) is not None
    assert set(textwright.__all__) <= set(dir(textwright))
    with pytest.raises(AttributeError, match="nothing_here"):
        textwright.nothing_here  # noqa: B018


def test_json_of_the_config_is_stock(run: Run) -> None:
    config = json.loads(run.generation_config_file.read_text(encoding="utf-8"))
    stock = {"do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty",
             "max_new_tokens", "stop_strings", "bos_token_id", "eos_token_id", "pad_token_id",
             "suppress_tokens"}  # fmt: skip
    assert set(config) <= stock
