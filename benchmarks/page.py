"""The page as one file: what rounding costs, its size, and its speed beside onnxruntime-web.

    python benchmarks/page.py loss [RUN ...]
    python benchmarks/page.py speed [RUN ...] [--onnxruntime node_modules/onnxruntime-web/dist]

`loss` prints the loss in nats a token of the weights as they are, as float16 and as int8, on the
text that was held out of their training. `speed` opens the files in Chromium from the disk, one
thread, and prints for each: bytes, seconds from opening it to the model's first token, and greedy
tokens a second inside the context, the best of some rounds in turn, for a shared machine wastes
some. With the folder of `npm install onnxruntime-web` it also measures a page that has that runtime
and the exported graph inside.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from textwright.page import write_offline_page
from textwright.page.packing import DTYPES, Dtype, rounded
from textwright.runs import Run, find

RUNS = ["shakespeare", "frankenstein"]
TOKENS = 110
ROUNDS = 7

STEPS = """async count => {
  const step = await globalThis.begin();
  const begun = performance.now();
  for (let i = 0, token = 10; i < count; i++) {
    const logits = await step(token);
    let best = 0;
    for (let j = 1; j < logits.length; j++) if (logits[j] > logits[best]) best = j;
    token = best;
  }
  return count / (performance.now() - begun) * 1000;
}"""

OURS = """globalThis.begin = async () => {
  const cursor = textwright.writer.cursor();
  return (token) => cursor.read(token);
};"""

THEIRS = """<!doctype html><meta charset="utf-8">
<script type="text/plain" id="js">{js}</script>
<script type="text/plain" id="wasm">{wasm}</script>
<script type="text/plain" id="model">{model}</script>
<script>
const bytes = (id) =>
  Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
(async () => {{
  const address = URL.createObjectURL(new Blob([bytes("js")], {{ type: "text/javascript" }}));
  const ort = await import(address);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = bytes("wasm").buffer;
  const settings = {{ executionProviders: ["wasm"] }};
  const session = await ort.InferenceSession.create(bytes("model"), settings);
  const shapes = {shapes};
  globalThis.begin = async () => {{
    const zeros = (shape) => new Float32Array(shape.reduce((a, b) => a * b, 1));
    const state = Object.fromEntries(Object.entries(shapes).map(([name, shape]) =>
      [name, new ort.Tensor("float32", zeros(shape), shape)]));
    return async (token) => {{
      const tokens = new ort.Tensor("int64", BigInt64Array.of(BigInt(token)), [1, 1]);
      const found = await session.run({{ tokens, ...state }});
      for (const name of Object.keys(shapes)) state[name] = found["new." + name];
      return found.logits.data;
    }};
  }};
  await (await globalThis.begin())(10);
  document.body.append(Object.assign(document.createElement("p"), {{ id: "ready" }}));
}})();
</script><body>"""


def losses(name: str) -> str:
    import torch

    from textwright.data import prepare_tokens
    from textwright.data.training_corpus import find_training_corpus
    from textwright.models.base import load_model
    from textwright.tokenizers import Tokenizer
    from textwright.training.loop.evaluation import evaluate

    run = find(name)
    model = load_model(run, "cpu")
    weights = {name: tensor.clone() for name, tensor in model.weights().items()}
    tokens = prepare_tokens(find_training_corpus(run).validation, Tokenizer.load(run)).array()
    found = {"as they are": evaluate(model, tokens).loss}
    for dtype in DTYPES:
        model.load_weights(
            {name: torch.from_numpy(rounded(tensor.numpy(), dtype).copy())  # type: ignore[arg-type]
             for name, tensor in weights.items()}
        )  # fmt: skip
        found[dtype] = evaluate(model, tokens).loss
    base = found["as they are"]
    cells = " | ".join(f"{loss:.5f}" for loss in found.values())
    return f"| {name} ({run.config().family}) | {cells} | {found['int8'] - base:+.5f} |"


def with_onnxruntime(run: Run, dist: Path, folder: Path) -> Path:
    """A page that has onnxruntime-web and the graph of `run` inside."""
    import onnx

    from textwright.publishing.exports import export

    graph_folder = export(run, "onnx", folder / f"{run.name}-onnx")
    graph = (graph_folder / "model.onnx").read_bytes()
    shapes: dict[str, list[int]] = {}
    for one in onnx.load_from_string(graph).graph.input:
        if one.name != "tokens":
            sizes = [size.dim_value or {"batch": 1, "held": 0}[size.dim_param]
                     for size in one.type.tensor_type.shape.dim]  # fmt: skip
            shapes[one.name] = sizes

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    file = folder / f"{run.name}-onnxruntime.html"
    file.write_text(
        THEIRS.format(
            js=text((dist / "ort.wasm.bundle.min.mjs").read_bytes()),
            wasm=text((dist / "ort-wasm-simd-threaded.wasm").read_bytes()),
            model=text(graph),
            shapes=json.dumps(shapes),
        )
    )
    return file


def measure(browser: Any, files: dict[str, Path]) -> None:
    """Print a line for each file: bytes, start, tokens a second."""
    starts: dict[str, list[float]] = {name: [] for name in files}
    rates: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(ROUNDS):
        for name, file in files.items():
            tab = browser.new_page()
            tab.goto(file.as_uri())
            if "onnxruntime" in name:
                tab.wait_for_selector("#ready", state="attached", timeout=120_000)
            else:
                tab.wait_for_selector(".primary:not(:disabled)")
                tab.evaluate(OURS)
                tab.evaluate("async () => (await begin())(10)")
            starts[name].append(tab.evaluate("performance.now()") / 1000)
            tab.evaluate(STEPS, TOKENS)  # compiles what is hot
            rates[name] += [tab.evaluate(STEPS, TOKENS) for _ in range(5)]
            tab.close()
    for name, file in files.items():
        spread = f"{statistics.median(rates[name]):,.0f} in the middle"
        print(
            f"| {name} | {file.stat().st_size / 1e6:.2f} MB | {min(starts[name]):.2f} s "
            f"| {max(rates[name]):,.0f} ({spread}) |"
        )


def speeds(names: list[str], dist: Path | None, chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        folder = Path(temporary)
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        for name in names:
            run = find(name)
            dtypes: list[Dtype] = ["float16", "int8"]
            files = {
                f"{name}, {dtype}": write_offline_page(
                    run, folder / f"{name}-{dtype}.html", dtype=dtype
                )
                for dtype in dtypes
            }
            if dist is not None:
                files[f"{name}, onnxruntime-web"] = with_onnxruntime(run, dist, folder)
            measure(browser, files)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=["loss", "speed"])
    parser.add_argument("runs", nargs="*", default=RUNS)
    parser.add_argument("--onnxruntime", type=Path, metavar="DIST")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    asked = parser.parse_args()
    if asked.what == "loss":
        for name in asked.runs:
            print(losses(name))
    else:
        speeds(asked.runs, asked.onnxruntime, asked.chromium)


if __name__ == "__main__":
    main()
