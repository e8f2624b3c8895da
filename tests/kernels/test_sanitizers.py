"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: no access out of bounds.

They are compiled anew with checks around every access to memory, and read what the other tests
read: prompts in pieces, texts together, past the context, in every precision.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from textwright import kernels

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHECKS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]

READ = """
import ctypes
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from small_models import random_weights, small_config
from textwright import kernels
from textwright.configs import SamplingSettings
from textwright.generation.sampling import CompiledSampler, LogitsProcessor
from textwright.kernels.sampling import Pending, log_softmax
from textwright.kernels.structures import Heads
from textwright.runtimes import load_runtime

kernels.FOLDER = Path(sys.argv[2])
configs = [
    small_config("lstm", hidden_size=[20, 12]), small_config("gru"), small_config("rnn"),
    small_config("lstm", vocab_size=1200),
    small_config("gpt", intermediate_size=72, block_size=70),
    small_config("transformer", num_layers=1, block_size=70, activation="gelu"),
    small_config("transformer", num_layers=1, block_size=33, activation="gelu_erf"),
]
random = np.random.default_rng(1)
for config in configs:
    for precision in ("float32", "float16", "int8"):
        model = load_runtime(config, random_weights(config), precision)
        assert type(model).__name__.startswith("Compiled")
        states = [model.initial_state() for _ in range(34)]
        for _ in range(4):
            pieces = [random.integers(0, 40, random.choice((1, 1, 5, 40))) for _ in states]
            _, states = model.batch(pieces, states)
        model(random.integers(0, 40, 150), states[0].copy())
        size, texts = model.vocab_size, []
        for number, state in enumerate(states):
            settings = SamplingSettings(
                temperature=number % 3, top_k=number % 4 * 11, top_p=(1, 0.8)[number % 2],
                min_p=number % 2 / 20, repetition_penalty=(1, 1.2)[number // 2 % 2],
            )
            sampler = CompiledSampler(
                kernels.kernels().library, size, settings, number, suppress_tokens=[0],
                prompt_tokens=[size - 1], end_tokens=[1],
                processor=LogitsProcessor({size - 1: 1.0}, number % 2, 0.1),
            )
            limit = min(1 + number % 9, getattr(model, "block_size") or 9)
            if model.block_size:
                limit = min(limit, model.block_size - state.length)
            logits = np.empty((limit, size), np.float32) if number % 2 else None
            if limit:
                texts.append((Pending(state, sampler.address, 2, limit, logits), sampler))
        model.write([text for text, _ in texts])
        log_softmax(kernels.kernels().library, random.normal(size=size).astype("f"), size)
        try:
            model(np.array([1 << 40]), states[1])
        except IndexError:
            continue
        raise SystemExit("a token that isn't there was read")

library = kernels.kernels().library


def numbers(*shape):
    return random.normal(size=shape).astype("f")


def call(name, *arguments):
    def handed(one):
        if isinstance(one, np.ndarray):
            return one.ctypes.data_as(ctypes.c_void_p)
        return ctypes.c_float(one) if isinstance(one, float) else one

    getattr(library, name)(*map(handed, arguments))


for narrow in (0, 1):
    def of(*shape):
        values = numbers(*shape)
        return (values.view(np.uint32) >> 16).astype(np.uint16) if narrow else values

    x, weight, keys = numbers(5, 48), numbers(48), np.arange(5, dtype=np.uint32)
    call("norm", 5, 48, x, weight, 1e-6, of(5, 48), narrow)
    call("norm_backward", 5, 48, x, weight, 1e-6, of(5, 48), numbers(5, 48), numbers(48), narrow)
    for mask in ((keys, 1 << 29, 1.25), (None, 0, 1.0)):
        call("add_dropped", 5, 48, x, of(5, 48), *mask, numbers(5, 48), narrow)
        call("add_dropped_backward", 5, 48, x, *mask, of(5, 48), narrow)
    call("gated", 5, 48, of(5, 96), of(5, 48), narrow)
    call("gated_backward", 5, 48, of(5, 96), of(5, 48), of(5, 96), narrow)
    for size in (32, 64, 128):
        tables = [numbers(size), numbers(size), numbers(7, size), numbers(7, size)]
        heads = Heads(2, 7, 3, size, 1e-6, *(one.ctypes.data for one in tables))
        qkv, *each = of(2, 7, 9 * size), *(of(2, 3, 7, size) for _ in range(3))
        call("split_heads", ctypes.byref(heads), qkv, *each, narrow)
        call(
            "split_heads_backward", ctypes.byref(heads), qkv, *each, of(2, 7, 9 * size),
            numbers(size), numbers(size), narrow,
        )
    for time in (16, 48, 256):
        weights = of(3, time, time)
        call("attention_weights", 3, time, 0.2, weights, narrow)
        call("attention_weights_backward", 3, time, 0.2, weights, of(3, time, time), narrow)
for n, m, most in ((1, 1, 1), (3, 70, 64), (64, 64, 64), (65, 67, 64), (66, 99, 66), (90, 99, 20)):
    for standing in (0, 1):
        lines, length = (m, n) if standing else (n, m)
        count = lines * (length + 1) - 1  # behind the last line there is nothing
        gradient, weights = numbers(count), numbers(count)
        call(
            "muon", n, m, most, standing, 0.9, 0.1, 1.0, 0.02, gradient, length + 1,
            numbers(lines, length), length, weights, np.empty(library.muon_room(n, m, most), "f"),
        )
        assert np.isfinite(weights).all()
print("read")
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every build that runs here, checks and all."""
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("needs gcc on Linux, for its sanitizers are loaded before Python")
    sys.path.insert(0, str(ROOT))
    try:
        import hatch_build
    finally:
        sys.path.remove(str(ROOT))
    folder = tmp_path_factory.mktemp("checked")
    sources = sorted((ROOT / hatch_build.KERNELS).glob("*.c"))
    for name in kernels.available()[0]:
        flags = [*hatch_build.builds()[name], "-DSOURCES=0u", "-O0", *CHECKS]
        problem = hatch_build._compile(["gcc"], flags, sources, folder / f"{name}.so")
        assert not problem, problem
    return folder


@pytest.mark.parametrize("build", kernels.BUILDS)
def test_no_access_is_out_of_bounds(build: str, compiled: Path) -> None:
    if not (compiled / f"{build}.so").exists():
        pytest.skip(f"this processor, or its kernels as they were compiled, can't run {build}")
    libraries = [
        subprocess.run(
            ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    checked = {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",  # Python itself keeps what it has
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        kernels.VARIABLE: build,
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", READ, str(ROOT / "tests"), str(compiled)],
        env=os.environ | checked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.strip() == "read", done.stderr[-3000:]
