"""How fast one text is generated, beside those who do the same, on one thread.

    python benchmarks/generation.py --nanogpt PATH/TO/nanoGPT [--models "GPT 4 × 128"] [--json]

A model of the 2017 shape, which loads as GPT-2 everywhere (a vocabulary of 64, a block of 256), and
an LSTM, both with random weights of float16 values, as the models that come with the package have
them, the same ones for all. Every text has a prompt of 16 tokens and
goes on for 240, inside the block, drawn at temperature 1; textwright's is the whole way of
`Generator.generate`, with sampling and spelling. Each contender is a process of its own with one
thread that waits while another works; they take turns, in changing order. A turn's speed is its
tokens by the CPU time of its process; the median counts, and the ratios are those of each round.

Then, of the shipped `shakespeare` model: what a token costs around the 1,000th and around the
100,000th, and the CPU time of a new process up to its first token.

Peers are what is installed: `pip install transformers ctranslate2 llama-cpp-python onnxruntime
numba`, and a checkout of nanoGPT (with biases, as the same weights have them). Who is missing is
named as left out. With `--cold` it tells the CPU time of a new process up to its first ten tokens,
of each contender, the second time it starts. `TEXTWRIGHT_KERNELS=avx2 ONEDNN_MAX_CPU_ISA=AVX2
ATEN_CPU_CAPABILITY=avx2 CT2_FORCE_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2` limits all to AVX2.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from generators import CONTENDERS, compete
from processes import report, run, spread
from textwright.configs import ModelConfig, RecurrentConfig, SamplingSettings, TransformerConfig

CHARACTERS = "".join(map(chr, range(0x30, 0x70)))  # 64
GPT = {"vocab_size": 64, "block_size": 256, "activation": "gelu", "tie_embeddings": True}
MODELS: dict[str, ModelConfig] = {
    "GPT 4 × 128": TransformerConfig(hidden_size=128, num_layers=4, num_heads=4, **GPT),
    "GPT 6 × 384": TransformerConfig(hidden_size=384, num_layers=6, num_heads=6, **GPT),
    "LSTM 2 × 128": RecurrentConfig(
        vocab_size=64, block_size=64, num_layers=2, hidden_size=128, embedding_size=128
    ),
}
TOKENS = {"GPT 4 × 128": 480, "GPT 6 × 384": 240, "LSTM 2 × 128": 2400}
"""That a turn generates."""

TEN_TOKENS = (
    "import sys; from pathlib import Path; from generators import CONTENDERS; "
    "CONTENDERS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3] and Path(sys.argv[3]))(10)"
)
FIRST_TOKEN = "import textwright as t; print(next(t.load('shakespeare').stream('ROMEO:', seed=1)))"


def write_model(folder: Path, config: ModelConfig) -> None:
    """A model folder with random weights that textwright and transformers load."""
    from safetensors.numpy import save_file

    from textwright.generation import write_generation_config
    from textwright.models import build
    from textwright.runs import Run
    from textwright.tokenizers import train_tokenizer

    tokenizer = train_tokenizer("char", lambda: [CHARACTERS])
    sized = type(config)(**{**config.model_dump(), "vocab_size": tokenizer.vocab_size})
    folder.mkdir()
    run = Run(folder)
    random = np.random.default_rng(1)
    weights = {}
    for name, tensor in build(sized).weights().items():
        values = 0.05 * random.standard_normal(tensor.shape, dtype=np.float32)
        values += 1 if ".ln_" in name and name.endswith("weight") else 0
        weights[name] = values.astype(np.float16).astype(np.float32)
    run.write_json(run.config_file, sized.to_json())
    save_file(weights, run.weights_file, metadata={"format": "pt"})
    tokenizer.save(run)
    write_generation_config(run, SamplingSettings(temperature=1.0), tokenizer)


def compare(
    name: str, folder: Path, nanogpt: Path | None, rounds: int, contenders: list[str]
) -> dict[str, Any]:
    """Let all take turns; tokens a second of each round, or why one is left out."""
    others = {"PyTorch loop"} if "GPT" in name else set(CONTENDERS) - {
        "PyTorch loop", *(who for who in CONTENDERS if who.startswith("textwright"))
    }  # fmt: skip
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    found: dict[str, Any] = {}
    for who in contenders:
        if who in others:
            continue
        pipes[who], theirs = context.Pipe()
        arguments = (theirs, who, folder, nanogpt)
        context.Process(target=compete, args=arguments, daemon=True).start()
        theirs.close()
        if isinstance(said := _answer(pipes[who]), str):
            report(f"{name}: {who} is left out: {said}")
            found[who] = {"left_out": said}
            del pipes[who]
    speeds: dict[str, list[float]] = {who: [] for who in pipes}
    for number in range(rounds):
        for who in list(pipes) if number % 2 == 0 else list(pipes)[::-1]:
            pipes[who].send(TOKENS[name])
            said = _answer(pipes[who])
            if isinstance(said, str):
                raise SystemExit(f"{name}: {who}: {said}")
            speeds[who].append(said)
    for pipe in pipes.values():
        pipe.send(0)
    return {**found, **{who: {"tokens_per_second": own} for who, own in speeds.items()}}


def cold_starts(folder: Path, nanogpt: Path | None, who: list[str]) -> dict[str, float]:
    """CPU seconds of a new process up to its first ten tokens, once everything was there before."""
    seconds = {}
    for name in who:
        words = [sys.executable, "-c", TEN_TOKENS, name, str(folder), str(nanogpt or "")]
        kernels = "off" if name == "textwright, NumPy" else "auto"
        for _ in range(2):
            finished = run(words, folder=Path(__file__).parent,
                           environment={"TEXTWRIGHT_KERNELS": kernels})  # fmt: skip
        seconds[name] = finished.cpu_seconds
    return seconds


def _answer(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        return "its process ended"


def token_costs(tokens: int = 100_000) -> dict[str, float]:
    """CPU seconds a token around the 1,000th and the last of a long text, and what memory grew."""
    import textwright

    model = textwright.load("shakespeare")
    stream = model.stream("ROMEO:", max_tokens=tokens, seed=1)

    def span(count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            stream.step()
        return (time.process_time() - began) / count

    span(500)
    first = [span(640) for _ in range(3)]  # ten windows of the model
    early = _resident()
    span(tokens - 500 - 6 * 640 - 10)
    last = [span(640) for _ in range(3)]
    return {
        "token_1000": min(first), "token_last": min(last), "tokens": tokens,
        "memory_grown_mb": round((_resident() - early) / 1e6, 1),
    }  # fmt: skip


def _resident() -> int:
    """Bytes of this process in memory (Linux)."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nanogpt", type=Path, metavar="DIR")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--cold", action="store_true", help="the first ten tokens of each, too")
    parser.add_argument("--only-speed", action="store_true", help="leave the second part out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for number, name in enumerate(options.models):
            folder = Path(place, f"model-{number}")
            write_model(folder, MODELS[name])
            results[name] = compare(
                name, folder, options.nanogpt, options.rounds, options.contenders
            )
            if options.cold:
                there = [who for who, own in results[name].items() if "left_out" not in own]
                for who, seconds in cold_starts(folder, options.nanogpt, there).items():
                    results[name][who]["cold_cpu_seconds"] = seconds
    if not options.only_speed:
        results["shakespeare"] = token_costs()
        cold = [run([sys.executable, "-c", FIRST_TOKEN]).cpu_seconds for _ in range(5)]
        results["shakespeare"]["first_token_cpu_seconds"] = cold
        words = ["-m", "textwright", "generate", "shakespeare", "ROMEO:", "-n", "1", "--seed", "1"]
        command = [run([sys.executable, *words]).cpu_seconds for _ in range(5)]
        results["shakespeare"]["command_cpu_seconds"] = command
    if options.json:
        print(json.dumps(results))
    else:
        show(results)


def show(results: dict[str, Any]) -> None:
    for name, contenders in results.items():
        if name == "shakespeare":
            continue
        print(f"{name}: tokens a second of CPU time (lowest to highest), ÷ each peer of its round")
        speeds = {w: c["tokens_per_second"] for w, c in contenders.items() if "left_out" not in c}
        peers = [who for who in speeds if not who.startswith("textwright")]
        for who, own in speeds.items():
            ratios = "  ".join(
                f"{statistics.median(a / b for a, b in zip(own, speeds[peer], strict=True)):.2f}"
                f" × {peer}" for peer in peers
            )  # fmt: skip
            cold = contenders[who].get("cold_cpu_seconds")
            ratios += "" if cold is None else f"  first ten tokens {cold:.2f} s"
            print(f"  {who:20} {statistics.median(own):9,.0f}  "
                  f"({min(own):,.0f} to {max(own):,.0f})  {ratios}")  # fmt: skip
    if costs := results.get("shakespeare"):
        ratio = costs["token_last"] / costs["token_1000"]
        print(f"shakespeare: a token around the 1,000th {1e6 * costs['token_1000']:.1f} µs, around "
              f"the {costs['tokens']:,}th {1e6 * costs['token_last']:.1f} µs ({ratio:.2f}), "
              f"memory grown by {costs['memory_grown_mb']} MB")  # fmt: skip
        print(f"first token of a new process: {spread(costs['first_token_cpu_seconds'], 2)} s of "
              f"CPU time; the command {spread(costs['command_cpu_seconds'], 2)} s")  # fmt: skip


if __name__ == "__main__":
    main()
