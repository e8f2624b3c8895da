"""Training in a browser's tab: tokens a second, beside torch on the same cores; and the loss.

    python benchmarks/tab.py speed [--rounds 3] [--seconds 8]
    python benchmarks/tab.py loss TEXT [--steps 300]

`speed` opens a page from the disk in headless Chromium and trains there with one worker and with
two, and beside it the same recipe with torch on two threads: in float32 with AVX2 alone, and in
what torch takes by itself; all in turn, some rounds. For each it prints the best tokens a second,
and, since others may have the machine too, tokens a second of processor time, which is what one
core does.

`loss` trains the two models of size nano on a text with `textwright train`, in float32, then with
the same settings in the tab, and prints the loss of the text that was held out.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

from textwright.configs import ModelConfig, TrainingSettings
from textwright.kernels import learning_engine
from textwright.page import WEB
from textwright.page.bundling import bundle
from textwright.page.packing import page_config
from textwright.training.planning.presets import model_settings, preset

TYPES, TOKENS, STEPS = 65, 200_000, 100_000
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm 1 × 256": ("lstm", {"num_layers": 1}),
    "lstm nano": ("lstm", {}),
    "gpt nano": ("gpt", {}),
}
TORCH: dict[str, tuple[str, dict[str, str]]] = {
    "torch, AVX2, float32": (
        "float32",
        {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
         "ONEDNN_MAX_CPU_ISA": "AVX2", "TEXTWRIGHT_KERNELS": "avx2"},
    ),
    "torch": ("auto", {}),
}  # fmt: skip

PAGE = """<!doctype html><meta charset="utf-8"><title>tab</title>
<script type="text/plain" id="worker">{worker}</script>
<script>{script}
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const wasm = bytes("{wasm}");
const source = document.getElementById("worker").textContent;
const address = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
const text = Int32Array.from({{ length: {tokens} }}, (_, i) => ((i * 2654435761) >>> 8) % {types});
globalThis.opened = null;
globalThis.begin = async (recipe, workers) => {{
  opened?.close();
  const begun = performance.now();
  const makeWorker = () => new Worker(address);
  opened = await {learner}.Learner.open({{ recipe, tokens: text, makeWorker, wasm, workers }});
  await opened.steps({{ most: 2 }});
  return (performance.now() - begun) / 1000;
}};
globalThis.go = async (milliseconds) => {{
  const begun = performance.now();
  const {{ losses }} = await opened.steps({{ milliseconds }});
  return [losses.length, (performance.now() - begun) / 1000, opened.bytes];
}};
globalThis.learn = async (recipe, steps, tokens, heldOut) => {{
  opened?.close();
  const makeWorker = () => new Worker(address);
  const asked = {{ recipe, tokens: Int32Array.from(tokens), makeWorker, wasm, workers: 2 }};
  opened = await {learner}.Learner.open(asked);
  await opened.steps({{ most: steps }});
  return (await opened.evaluate(Int32Array.from(heldOut))).loss;
}};
</script>"""


def recipe(name: str, precision: str = "float32") -> tuple[ModelConfig, TrainingSettings]:
    family, fields = MODELS[name]
    settings = TrainingSettings(
        **preset(family, "nano").training, steps=STEPS, precision=precision, device="cpu"
    )
    return model_settings(family, "nano", TYPES, fields), settings


def page_of_trainings() -> str:
    engine, reason = learning_engine()
    if engine is None:
        sys.exit(f"{reason}: pip install ziglang, then python hatch_build.py")
    script = bundle(WEB / "learning" / "learner.js")
    (*_, learner) = re.findall(r"^const (m\d+_learner) =", script, re.MULTILINE)
    worker = bundle(WEB / "learning" / "worker.js")
    print(f"engine {engine.stat().st_size:,} bytes, worker {len(worker.encode()):,}, "
          f"page's part {len(script.encode()):,}")  # fmt: skip
    wasm = base64.b64encode(engine.read_bytes()).decode()
    return PAGE.format(
        worker=worker, script=script, wasm=wasm, learner=learner, tokens=TOKENS, types=TYPES
    )


def processor_seconds(parent: psutil.Process) -> float:
    """Of all processes that render pages."""
    total = 0.0
    for child in parent.children(recursive=True):
        try:
            if "--type=renderer" in child.cmdline():
                total += sum(child.cpu_times()[:2])
        except psutil.Error:
            continue
    return total


def in_the_tab(page: Page, name: str, workers: int, seconds: float) -> dict[str, float]:
    config, settings = recipe(name)
    asked = {"model": page_config(config), "training": settings.model_dump(),
             "course": [[0, STEPS]]}  # fmt: skip
    opened = page.evaluate("asked => begin(...asked)", [asked, workers])
    me = psutil.Process()
    before = processor_seconds(me)
    steps, wall, memory = page.evaluate("milliseconds => go(milliseconds)", seconds * 1000)
    spent = processor_seconds(me) - before
    tokens = steps * settings.batch_size * config.block_size
    return {"wall": tokens / wall, "core": tokens / spent, "opened": opened, "memory": memory}


def with_torch(name: str, kind: str, seconds: float) -> dict[str, float]:
    precision, variables = TORCH[kind]
    call = [sys.executable, __file__, "torch", name, precision, str(seconds)]
    done = subprocess.run(
        call, env=os.environ | variables, check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def learn_with_torch(name: str, precision: str, seconds: float) -> None:
    """In a process of its own: prints what it measured."""
    from textwright.training.loop.learner import Learner

    config, settings = recipe(name, precision)
    tokens = np.random.default_rng(0).integers(0, TYPES, TOKENS).astype(np.int32)
    learner = Learner(config, settings, tokens, [(0, STEPS)])
    learner.use_threads(2)
    for step in range(3):
        learner.step(step)
    step, wall, core = 3, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        learner.step(step)
        step += 1
    wall, core = time.perf_counter() - wall, time.process_time() - core
    read = (step - 3) * settings.batch_size * config.block_size
    print(json.dumps({"wall": read / wall, "core": read / core}))


def compare_losses(page: Page, text: str, steps: int) -> None:
    """Print both losses of each family."""
    from textwright.models.base import load_model
    from textwright.training import train
    from textwright.training.loop.evaluation import evaluate
    from textwright.training.record import load_recipe, open_dataset

    print("| model | steps | textwright train | in the tab | difference |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for family in ("lstm", "gpt"):
        with tempfile.TemporaryDirectory() as folder:
            run = train(
                text, runs_folder=folder, model=family, size="nano", steps=steps, device="cpu",
                companion="off", eval_every=steps, changes=["training.precision=float32"],
            )  # fmt: skip
            recipe = load_recipe(run)
            dataset = open_dataset(run, recipe, [])
            held_out = np.array(dataset.validation.array(), np.int32)
            told = evaluate(load_model(run, "cpu"), held_out).loss
            asked = {"model": page_config(recipe.model), "course": recipe.plan.course,
                     "training": recipe.training.model_dump()}  # fmt: skip
            learned = np.array(dataset.train.array(), np.int32).tolist()
            found = page.evaluate("asked => learn(...asked)",
                                  [asked, steps, learned, held_out.tolist()])  # fmt: skip
        print(f"| {family} nano | {steps} | {told:.4f} | {found:.4f} | {found - told:+.4f} |",
              flush=True)  # fmt: skip


def compare_speeds(page: Page, rounds: int, seconds: float) -> None:
    """Print the table of all models, in the tab and with torch."""
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for _ in range(rounds):
        for name in MODELS:
            for workers in (1, 2):
                measured = in_the_tab(page, name, workers, seconds)
                found[name, f"tab, workers: {workers}"].append(measured)
            page.evaluate("opened.close()")
            for kind in TORCH:
                found[name, kind].append(with_torch(name, kind, seconds))
    print(f"load {', '.join(f'{one:.0f}' for one in os.getloadavg())}")
    print("| model | on | tokens/s | tokens a second of one core | begun in | memory |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (name, kind), measured in found.items():
        best = {key: max(one[key] for one in measured) for key in ("wall", "core")}
        begun = min((one["opened"] for one in measured if "opened" in one), default=0.0)
        memory = measured[0].get("memory", 0) / 1e6
        more = f"{begun:.1f} s | {memory:.0f} MB" if begun else "|"
        print(f"| {name} | {kind} | {best['wall']:,.0f} | {best['core']:,.0f} | {more} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed")
    speed.add_argument("--rounds", type=int, default=3)
    speed.add_argument("--seconds", type=float, default=8)
    loss = commands.add_parser("loss")
    loss.add_argument("text")
    loss.add_argument("--steps", type=int, default=300)
    torch = commands.add_parser("torch")  # what `speed` calls
    for name in ("name", "precision", "seconds"):
        torch.add_argument(name, type=float if name == "seconds" else str)
    chosen = parser.parse_args()
    if chosen.command == "torch":
        learn_with_torch(chosen.name, chosen.precision, chosen.seconds)
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "tab.html")
        file.write_text(page_of_trainings(), encoding="utf-8")
        switches = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=switches)
        page = browser.new_page()
        page.set_default_timeout(0)
        page.goto(file.as_uri())
        if chosen.command == "speed":
            compare_speeds(page, chosen.rounds, chosen.seconds)
        else:
            compare_losses(page, chosen.text, chosen.steps)
        browser.close()


if __name__ == "__main__":
    main()
