"""The model card: `README.md` of a run, for people and for the Hugging Face Hub.

The front matter is made by `huggingface_hub`'s own classes; the body says what the model was
trained on, its metrics and their protocol, samples, limits, and the commands that use and reproduce
it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from textwright import atomic
from textwright.reporting import numbers
from textwright.reporting.facts import as_list, commands, text_facts
from textwright.reporting.summary import RunSummary, number
from textwright.runs import Run

_HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-3.0", "cc-by-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gpl-3.0", "lgpl-3.0",
    "agpl-3.0", "mpl-2.0", "unlicense", "odc-by", "pddl", "gfdl", "wtfpl", "isc", "zlib",
}  # fmt: skip
"""Licence identifiers of the Hub; any other licence is `other` with a `license_name`."""

_STOCK_CLASSES = {"gpt": "Qwen3ForCausalLM", "transformer": "GPT2LMHeadModel"}
"""Family → the stock `transformers` class that loads it."""

_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}

CARD_SAMPLES = 3
"""Samples in the card: the first, a middle one and that of the best step."""


def write_card(run: Run) -> None:
    """Write the run's `README.md`. Raises `TextwrightError` where the folder can't be written."""
    atomic.write_text(run.card_file, card_text(RunSummary.read(run)))


def card_text(summary: RunSummary, *, name: str | None = None) -> str:
    """The card: YAML front matter and Markdown.

    Args:
        summary: of the run.
        name: under which any installation finds the model, `hf:owner/name` for one of the Hub,
            `./folder` for a folder that others are given; None for a path.
    """
    parts = [
        f"# {_plain(summary.name)}",
        _introduction(summary),
        *_section("Numbers", _numbers(summary)),
        *_section("Use it", _usage(summary, name)),
        *_section("What it writes", _samples(summary, name)),
        *_section("Text it learned from", _table(text_facts(summary))),
        *_section("Settings", _settings(summary)),
        *_section("Limits", _limits(summary)),
        *_section("Where it comes from", _origin(summary)),
        *_section("Make it again", _reproduce(summary)),
    ]
    text = f"---\n{_front_matter(summary)}\n---\n\n" + "\n\n".join(parts) + "\n"
    return _without_folders(summary, text).encode("utf-8", "replace").decode("utf-8")


def _without_folders(summary: RunSummary, text: str) -> str:
    """`text` with local paths reduced to file names: cards are published, folders are private."""
    corpus, data = summary.section("corpus"), summary.section("data")
    paths = [*as_list(corpus.get("sources")), corpus.get("validation")]
    paths += [one.get("address") for one in as_list(data.get("sources")) if isinstance(one, dict)]
    paths += [path for text in summary.parent_texts for path in as_list(text.get("sources"))]
    paths.append(summary.section("training").get("parent"))
    for path in sorted({str(path) for path in paths if path}, key=len, reverse=True):
        if PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute():
            text = text.replace(path, PureWindowsPath(path).name)  # splits at both kinds of slash
    return text


def _front_matter(summary: RunSummary) -> str:
    from huggingface_hub import ModelCardData

    data = summary.section("data")
    is_stock = summary.family in _STOCK_CLASSES
    texts = [data, *(summary.parent_texts or [{}] if summary.parent else [])]
    licence, licence_name = _licence([text.get("licence") for text in texts])
    results = _results(summary)
    prompt = _prompt(summary)
    card = ModelCardData(
        language=data.get("language"),
        library_name="transformers" if is_stock else "textwright",
        pipeline_tag="text-generation",
        tags=[
            "textwright", "text-generation",
            *(tag for tag in (summary.family, summary.tokenizer) if tag),
        ],
        base_model=summary.parent if "/" in (summary.parent or "") else None,  # one of the Hub
        datasets=_datasets(texts) or None,
        metrics=["perplexity"] if results else None,
        eval_results=results or None,
        # required by the class if there are results
        model_name=summary.name if results else None,
        widget=[{"text": prompt}] if is_stock and prompt and not _is_chat(summary) else None,
        license=licence,
        license_name=licence_name,
    )  # fmt: skip
    return card.to_yaml().strip()


def _results(summary: RunSummary) -> list[Any]:
    from huggingface_hub import EvalResult

    protocol = summary.protocol
    metrics = (
        ("validation", "loss", "Loss (nats a token)", summary.val_loss),
        ("validation", "bits_per_char", "Bits a character", summary.val_bits_per_char),
        ("validation", "perplexity", "Perplexity a token", summary.perplexity),
        ("test", "loss", "Loss (nats a token)", number(summary.section("result"), "test_loss")),
    )
    corpus = " ".join((summary.corpus or "unnamed text").split())
    return [
        EvalResult(
            task_type="text-generation", task_name="Text generation", dataset_type=corpus,
            dataset_name=corpus, dataset_split=split, metric_type=metric, metric_name=name,
            metric_value=round(value, 6),
            metric_args={"protocol": protocol} if protocol else None,
        )
        for split, metric, name, value in metrics
        if value is not None
    ]  # fmt: skip


def _licence(licences: Sequence[Any]) -> tuple[str | None, str | None]:
    """(license, license_name) of all texts together; None for both if one is unknown."""
    if not all(licences):
        return None, None
    names = [re.sub(r"[^a-z0-9.]+", "-", str(one).lower()).strip("-.") for one in licences]
    name = "-and-".join(dict.fromkeys(names))
    if name in _HUB_LICENCES:
        return name, None
    return "other", name or "other"


def _datasets(texts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the sources that are datasets of the Hub."""
    names = []
    for source in (source for text in texts for source in as_list(text.get("sources"))):
        address = str(source.get("address", "") if isinstance(source, dict) else source)
        if re.fullmatch(r"hf:[\w.-]+/[\w.-]+", address):
            names.append(address.removeprefix("hf:"))
    return list(dict.fromkeys(names))


def _introduction(summary: RunSummary) -> str:
    kind = f"{summary.family} " if summary.family else ""
    size = (
        f" of {numbers.short(summary.parameters)} parameters ({summary.parameters:,})"
        if summary.parameters
        else ""
    )
    corpus = f", trained from scratch on {_plain(summary.corpus)}" if summary.corpus else ""
    if summary.parent:
        corpus = f" that began as {_plain(summary.parent)}{_parent_corpora(summary)}"
        corpus += f" and was trained further on {_plain(summary.corpus)}" if summary.corpus else ""
    tokens = {"char": "characters", "word": "words", "bpe": "byte-level BPE tokens"}
    unit = tokens.get(summary.tokenizer or "")
    reads = f" It reads and writes {unit}." if unit else ""
    does = "It continues text in the style of what it read"
    if _is_chat(summary):
        does = "It takes turns in conversations like those it read"
    return f"A small {kind}language model{size}{corpus}. {does}.{reads} Made with textwright."


def _parent_corpora(summary: RunSummary) -> str:
    """What its parent was trained on, in brackets."""
    names = dict.fromkeys(str(text.get("name") or "a text") for text in summary.parent_texts)
    return f" (trained on {_plain(' and '.join(names))})" if names else ""


def _numbers(summary: RunSummary) -> str:
    rows = [
        ("validation loss (nats a token)", numbers.loss(summary.val_loss)),
        ("bits a character", numbers.loss(summary.val_bits_per_char)),
        ("not in the vocabulary, and counted in bits a character alone",
         numbers.share(summary.val_unknown or None)),
        ("perplexity a token", numbers.perplexity(summary.perplexity)),
        ("bits a character, network alone → with what it counted beside it", _companion(summary)),
        ("test loss (nats a token)",
         numbers.loss(number(summary.section("result"), "test_loss"))),
        ("tokens read in training", numbers.whole(summary.tokens)),
        ("steps, kept step",
         f"{numbers.whole(summary.steps)}; {numbers.whole(summary.best_step)}"
         if summary.steps else numbers.NONE),
        ("training time", numbers.duration(summary.seconds)),
    ]  # fmt: skip
    known = [(label, value) for label, value in rows if value != numbers.NONE]
    if not known:
        return ""
    table = _table([*known, ("weights", _weights(summary.run))])
    protocol = summary.protocol
    how = f"\n\nMeasured on {_plain(protocol)}." if protocol else ""
    verdict = f"\n\nThe training: {_plain(summary.verdict.text)}." if summary.metrics else ""
    return table + how + verdict


def _companion(summary: RunSummary) -> str:
    """What mixing in n-grams, or a temperature, gained where neither was fitted."""
    gained = summary.section("companion")
    before, after = (number(gained, name) for name in ("network_bits_per_char", "bits_per_char"))
    if before is None or after is None:
        return numbers.NONE
    return f"{before:.4f} → {after:.4f} (second half of the validation text)"


def _weights(run: Run) -> str:
    """Dtype and size of the weights file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(run.weights_file, "numpy") as file:
            dtypes = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        stored = " and ".join(sorted(_DTYPES.get(dtype, dtype) for dtype in dtypes))
        return f"{stored}, {numbers.size(run.weights_file.stat().st_size)}"
    except (SafetensorError, OSError):  # missing yet, or damaged
        return numbers.NONE


def _usage(summary: RunSummary, name: str | None) -> str:
    prompt = _prompt(summary) or "Once"
    path = name or f"path/to/{summary.name}"
    # Shipped weights are float16, and transformers would compute in that, less precisely
    is_place = path.startswith(("hf:", "./"))
    dtype = ', dtype="float32"' if name and not is_place else ""
    where = f"\npath = {path.removeprefix('hf:')!r}"
    if name and not is_place:
        where = f"from textwright import runs\n\npath = runs.find({name!r}).path"
    use = f"print(model.generate({prompt!r}, max_tokens=200))"
    read = f'inputs = tokenizer({prompt!r}, return_tensors="pt")\n'
    command = ["textwright", "generate", path, prompt]
    if _is_chat(summary):
        words = prompt.removeprefix("YOU:").strip()
        use = f"chat = model.chat()\nprint(chat.say({words!r}))"
        read = (
            f"messages = [{{'role': 'user', 'content': {words!r}}}]\n"
            "inputs = tokenizer.apply_chat_template(\n"
            '    messages, add_generation_prompt=True, return_tensors="pt"\n)\n'
        )
        command = ["textwright", "chat", path]
    parts = [
        _fenced(shlex.join(command), "sh"),
        _fenced(f"import textwright as tw\n\nmodel = tw.load({path!r})\n{use}", "python"),
    ]
    if is_place and summary.family in ("lstm", "gru", "rnn"):
        model = path.removeprefix("hf:")
        parts += [
            "In torch, as a `PyTorchModelHubMixin`:",
            _fenced(
                f"import textwright as tw\n\nmodel = tw.RecurrentModel.from_pretrained({model!r})",
                "python",
            ),
        ]
    if summary.family in _STOCK_CLASSES:
        parts += [
            f"Stock `transformers` loads it too, as `{_STOCK_CLASSES[summary.family]}`:",
            _fenced(
                "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
                f"{where}\n"
                "tokenizer = AutoTokenizer.from_pretrained(path)\n"
                f"model = AutoModelForCausalLM.from_pretrained(path{dtype})\n"
                f"{read}"
                "output = model.generate(**inputs, max_new_tokens=100, do_sample=True)\n"
                "print(tokenizer.decode(output[0]))",
                "python",
            ),
        ]
    return "\n\n".join(parts)


def _is_chat(summary: RunSummary) -> bool:
    """Whether it was trained on conversations."""
    return bool(summary.section("data").get("train_conversations"))


def _samples(summary: RunSummary, name: str | None) -> str:
    samples = summary.samples
    if not samples:
        return ""
    best = next(
        (index for index, one in enumerate(samples) if one["step"] == summary.best_step),
        len(samples) - 1,
    )
    shown = sorted({0, best // 2, best})[:CARD_SAMPLES]
    parts = ["As they came, none chosen: the same prompt and seed as training went on."]
    first = "Before the first step" if summary.parent else "Untrained"
    for index in shown:
        sample = samples[index]
        text = f"{sample.get('prompt') or ''}{sample.get('text') or ''}".strip("\n")
        label = f"Step {numbers.whole(sample['step'])}" if sample["step"] else first
        if name and not name.startswith(("hf:", "./")) and index == best and not _is_chat(summary):
            command = ["textwright", "generate", name, str(sample.get("prompt") or "")]
            label += f", as `{shlex.join([*command, '--seed', '1'])}` prints it"
        parts += [f"{label}:", _fenced(text, "text")]
    return "\n\n".join(parts)


def _settings(summary: RunSummary) -> str:
    return _table([
        (f"`{name}`", f"`{_cell(str(value))}`")
        for name, value in summary.settings().items()
        if name.startswith(("model.", "training.", "tokenizer.")) and value not in (None, "", [])
    ])  # fmt: skip


def _limits(summary: RunSummary) -> str:
    context = getattr(summary.config, "block_size", None)
    sees = (
        f" It sees at most the last {context:,} tokens."
        if context and summary.family in _STOCK_CLASSES
        else ""
    )
    texts = "its texts" if summary.parent else "one text"
    return (
        f"It knows {texts} and nothing of the world: it imitates, it doesn't answer, and what it "
        "writes is invented. It may repeat passages of what it read word for word, so the rights "
        f"in that matter for what it writes.{sees}"
    )


def _reproduce(summary: RunSummary) -> str:
    shown = [(note.split(" One click")[0], text) for note, text in commands(summary)]
    if not shown:
        return ""
    parts = [f"{note}\n\n{_fenced(text, 'sh')}" for note, text in shown]
    sha256 = summary.section("data").get("sha256")
    if sha256:
        parts.append(f"The prepared text has the sha256 `{_cell(str(sha256))}`.")
    return "\n\n".join(parts)


def _origin(summary: RunSummary) -> str:
    """Where an imported model comes from."""
    imported = summary.section("imported")
    if not imported:
        return ""
    file, sha256 = (_cell(str(imported.get(name))) for name in ("file", "sha256"))
    return f"Trained with {_plain(imported.get('from'))} and imported: `{file}`, sha256 `{sha256}`."


def _prompt(summary: RunSummary) -> str:
    return str(summary.samples[-1].get("prompt") or "").strip() if summary.samples else ""


def _section(title: str, body: str) -> list[str]:
    return [f"## {title}", body] if body else []


def _table(rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = [f"| {label} | {_cell(value)} |" for label, value in rows]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def _cell(text: str) -> str:
    """`text` escaped for a table cell, which a bar or a line end would end."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


def _plain(text: Any) -> str:
    """`text` with Markdown escaped."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", re.sub(r"\s+", " ", str(text)))


def _fenced(text: str, language: str) -> str:
    """A code block, its fence longer than any run of backticks in `text`."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
