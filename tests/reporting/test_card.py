"""The model card, checked by the classes of huggingface_hub that read it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from made_runs import MakeRun

from textwright.configs import RecurrentConfig
from textwright.reporting import RunSummary, card_text, write_card
from textwright.runs import Run


def card_of(run: Run) -> ModelCard:
    write_card(run)
    return ModelCard.load(run.card_file)


def front_matter(run: Run) -> dict[str, object]:
    found = yaml.safe_load(card_text(RunSummary.read(run)).split("---\n")[1])
    assert isinstance(found, dict)
    return found


def test_the_hub_reads_it(make_run: MakeRun) -> None:
    run = make_run()
    card = card_of(run)
    assert isinstance(card.data, ModelCardData)
    assert card.data.pipeline_tag == "text-generation"
    assert card.data.library_name == "transformers"
    assert {"textwright", "gpt", "char"} <= set(card.data.tags or [])
    assert card.data.to_dict()["license"] == "other"
    assert card.data.to_dict()["license_name"] == "public-domain"
    results = {result.metric_type: result for result in card.data.eval_results or []}
    best = run.metrics()[-1]
    assert results["loss"].metric_value == pytest.approx(best["val_loss"])
    assert results["bits_per_char"].metric_value == pytest.approx(best["val_bits_per_char"])
    assert results["loss"].dataset_name == "shakespeare"
    assert results["loss"].dataset_split == "validation"
    assert "windows of 128 tokens" in str(results["loss"].metric_args)


def test_the_body_has_what_a_reader_needs(make_run: MakeRun) -> None:
    run = make_run()
    text = card_of(run).text
    for expected in (
        "820,864", "textwright generate path/to/shakespeare ROMEO:", "tw.load(",
        "AutoModelForCausalLM", "## Limits", "last 128 tokens", "1,003,854",
        "textwright train shakespeare --model gpt --minutes 3", "--steps 3000",
        "--set model.num_layers=4", "`training.learning_rate` | `0.003`",
    ):  # fmt: skip
        assert expected in text
    assert run.samples()[0]["text"].strip() in text
    assert run.samples()[-1]["text"].strip() in text


def test_a_recurrent_model_promises_no_stock_class(make_run: MakeRun) -> None:
    run = make_run(config=RecurrentConfig(vocab_size=65, block_size=64, num_layers=2))
    card = card_of(run)
    assert card.data.library_name == "textwright"
    assert "AutoModel" not in card.text
    assert "at most the last" not in card.text


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC BY-SA 4.0", {"license": "cc-by-sa-4.0"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("PSF-2.0", {"license": "other", "license_name": "psf-2.0"}),
        (None, {}),
    ],
)
def test_a_licence_is_named_as_the_hub_does(
    make_run: MakeRun, licence: str | None, expected: dict[str, str]
) -> None:
    found = front_matter(make_run(changes={"data": {"licence": licence}}))
    assert {key: found[key] for key in ("license", "license_name") if key in found} == expected


def test_the_split_is_told_as_it_was_made(make_run: MakeRun) -> None:
    assert "| validation | the last 10% |" in card_of(make_run("cut")).text
    counts = {"train_characters": 10_780_437, "validation_characters": 1_120_192}
    published = make_run("published", changes={"data": counts})
    assert "| validation | its published split |" in card_of(published).text


def test_data_sets_of_the_hub_and_a_known_language(make_run: MakeRun) -> None:
    sources = [{"address": "hf:someone/poems"}, {"address": "poems.txt"}]
    found = front_matter(make_run(changes={"data": {"sources": sources, "language": "de"}}))
    assert found["datasets"] == ["someone/poems"]
    assert found["language"] == "de"


def test_a_folder_of_the_author_stays_private(make_run: MakeRun) -> None:
    novel = "/home/someone/secret plans/novel.txt"
    run = make_run(
        changes={"corpus": {"sources": [novel]}, "data": {"sources": [{"address": novel}]}}
    )
    text = card_text(RunSummary.read(run))
    assert "secret" not in text
    assert "novel.txt" in text


def test_markdown_in_samples_and_names_has_no_effect(make_run: MakeRun) -> None:
    fence = "```\n# not a heading\n````\n| a | b |"
    run = make_run(
        samples=[{"step": 0, "prompt": "it's ", "text": fence}],
        changes={"data": {"name": "a|b\n---\n<script>", "licence": "x: [y"}},
    )
    card = card_of(run)
    assert f"`````text\nit's {fence}\n`````" in card.text
    body = card.text.replace("\\<script\\>", "")
    assert "<script>" not in body
    assert card.data.to_dict()["model-index"][0]["results"][0]["dataset"]["name"].startswith("a|b")


def test_a_bare_model_folder(make_run: MakeRun) -> None:
    run = make_run()
    for file in (run.settings_file, run.metrics_file, run.samples_file):
        file.unlink()
    card = card_of(run)
    assert card.data.eval_results is None
    assert "## Numbers" not in card.text


def test_an_interrupted_run_has_a_card(make_run: MakeRun, tmp_path: Path) -> None:
    assert card_of(make_run(records=[], samples=[], status="interrupted")).data.tags
