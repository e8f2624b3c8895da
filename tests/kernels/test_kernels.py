"""The compiled kernels: the same bits in any company, and what serves where there are none."""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import platform
import runpy
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import textwright
from small_models import random_weights, small_config
from textwright import kernels
from textwright.configs import GPTConfig, ModelConfig
from textwright.errors import RequestError
from textwright.kernels import BUILDS, available
from textwright.runtimes import Runtime, load_runtime

CONFIGS = [
    small_config("lstm", hidden_size=[20, 12]),
    small_config("gru"),
    small_config("rnn"),
    small_config("gpt", intermediate_size=72),
    small_config("transformer", num_layers=1, block_size=70, activation="gelu"),
]
RUNTIMES: dict[tuple[str, str, str], Runtime] = {}


@pytest.fixture(scope="module", autouse=True)
def _there_are_kernels() -> None:
    if not available()[0]:
        pytest.skip("needs compiled kernels: install a C compiler, then `python hatch_build.py`")


def runtime(config: ModelConfig, build: str, precision: str) -> Runtime:
    key = config.family, build, precision
    if key not in RUNTIMES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TEXTWRIGHT_KERNELS", build)
            RUNTIMES[key] = load_runtime(config, random_weights(config), precision)
    return RUNTIMES[key]


def some_tokens(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 40, count)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.family)
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@given(data=st.data())
@settings(max_examples=12, derandomize=True)
def test_the_same_bits_in_any_company(
    config: ModelConfig, precision: str, data: st.DataObject
) -> None:
    """Texts read token by token alone, and together, cut at random, joining and leaving."""
    build = data.draw(st.sampled_from(available()[0]))
    model = runtime(config, build, precision)
    lengths = data.draw(st.lists(st.integers(1, 90), min_size=1, max_size=60))
    texts = [some_tokens(length, seed) for seed, length in enumerate(lengths)]
    alone = {}
    for number in sorted(data.draw(st.sets(st.integers(0, len(texts) - 1), max_size=3))):
        state, rows = model.initial_state(), []
        for token in texts[number]:
            row, state = model(np.array([token]), state)
            rows.append(row[0])
        alone[number] = np.array(rows)
        whole, _ = model(texts[number], model.initial_state())
        np.testing.assert_array_equal(whole, alone[number])
    states = [model.initial_state() for _ in texts]
    read = [0] * len(texts)
    random = data.draw(st.randoms(use_true_random=False))
    while unfinished := [n for n, text in enumerate(texts) if read[n] < len(text)]:
        some = random.sample(unfinished, random.randint(1, len(unfinished)))
        pieces = [texts[n][read[n] : read[n] + random.choice((1, 1, 5, 40))] for n in some]
        logits, after = model.batch(pieces, [states[n] for n in some])
        for row, n, piece, state in zip(logits, some, pieces, after, strict=True):
            read[n] += len(piece)
            states[n] = state
            if n in alone:
                np.testing.assert_array_equal(row, alone[n][read[n] - 1])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.family)
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_same_bits_of_every_build(config: ModelConfig, precision: str) -> None:
    """However wide their vectors are; x86's baseline, which rounds twice, only in int8."""
    builds = available()[0]
    if precision != "int8" and platform.machine() in ("x86_64", "AMD64"):
        builds = builds[:-1]
    tokens, first = some_tokens(150), None
    for build in builds:
        model = runtime(config, build, precision)
        logits, _ = model(tokens, model.initial_state())
        first = logits if first is None else first
        np.testing.assert_array_equal(logits, first)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.family)
@pytest.mark.parametrize("build", BUILDS)
def test_weights_of_16_bits_are_held_in_16_bits(
    config: ModelConfig, build: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """… and give the bits that they give in 32; so do the smallest numbers, without exponent."""
    if build not in available()[0]:
        pytest.skip(f"this processor, or its kernels as they were compiled, can't run {build}")
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", build)
    rounded = {}
    for name, values in random_weights(config).items():
        tiny = np.arange(values.size).reshape(values.shape) % 5 == 0
        rounded[name] = np.where(tiny, values * np.float32(1e-5), values).astype(np.float16)
    weights = {name: values.astype(np.float32) for name, values in rounded.items()}
    assert any((np.abs(values[values != 0]) < 2**-15).any() for values in rounded.values())
    models = {kind: load_runtime(config, weights, kind) for kind in ("float32", "float16", "auto")}
    tokens = some_tokens(100)
    expected, _ = models["float32"](tokens, models["float32"].initial_state())
    for kind in ("float16", "auto"):
        logits, _ = models[kind](tokens, models[kind].initial_state())
        np.testing.assert_array_equal(logits, expected)
    # `auto` rounds nothing: other weights stay as they are.
    wide = random_weights(config)
    exact, auto, half = (load_runtime(config, wide, k) for k in ("float32", "auto", "float16"))
    expected, _ = exact(tokens, exact.initial_state())
    np.testing.assert_array_equal(auto(tokens, auto.initial_state())[0], expected)
    difference = np.abs(half(tokens, half.initial_state())[0] - expected).max()
    assert 0 < difference < 0.01 * np.abs(expected).max()


def test_too_large_for_16_bits() -> None:
    config = CONFIGS[3]
    weights = random_weights(config)
    weights["model.layers.0.mlp.down_proj.weight"][0, 0] = 1e6
    load_runtime(config, weights)
    with pytest.raises(RequestError, match="65,504"):
        load_runtime(config, weights, "float16")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.family)
def test_threads_read_batches_at_once(config: ModelConfig) -> None:
    model = runtime(config, "auto", "float32")
    pieces = [some_tokens(30, seed) for seed in range(8)]
    expected, _ = model.batch(pieces, [model.initial_state() for _ in pieces])
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        for _ in range(20):
            states = [model.initial_state() for _ in pieces]
            found[number], _ = model.batch(pieces, states)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_array_equal(found[number], expected)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.family)
def test_nothing_is_read_out_of_bounds(config: ModelConfig) -> None:
    model = runtime(config, "auto", "float32")
    _, state = model(some_tokens(5), model.initial_state())
    before = state.copy()
    for bad in ([40], [3, -1], [1, 2, 1 << 40]):
        with pytest.raises(IndexError, match="vocabulary's 40"):
            model(np.array(bad), state)
        with pytest.raises(IndexError):
            model.batch([np.array([1]), np.array(bad)], [model.initial_state(), state])
    for nothing in (model.__call__, lambda t, s: model.batch([t], [s])):
        with pytest.raises(IndexError):
            nothing(np.array([], np.int64), state)
    with pytest.raises(ValueError):
        model.batch([np.array([1])], [])
    # … and nothing was changed by what was refused.
    np.testing.assert_array_equal(model(some_tokens(9), state)[0], model(some_tokens(9), before)[0])


def test_other_integers_and_strides_are_fine() -> None:
    model = runtime(CONFIGS[3], "auto", "float32")
    tokens = some_tokens(20)
    expected, _ = model(tokens[::2], model.initial_state())
    for kind in (np.int32, np.uint8):
        logits, _ = model(tokens.astype(kind)[::2], model.initial_state())
        np.testing.assert_array_equal(logits, expected)


# --- which kernels serve -------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in the place of the one with the libraries."""
    monkeypatch.delenv("TEXTWRIGHT_KERNELS", raising=False)  # whoever runs the tests may set it
    monkeypatch.setattr(kernels, "FOLDER", tmp_path)
    kernels._choose.cache_clear()
    yield tmp_path
    kernels._choose.cache_clear()


def test_where_no_library_is_numpy_serves(elsewhere: Path) -> None:
    found = kernels.kernels()
    assert found.name == "numpy" and "without a C compiler" in found.reason
    config = CONFIGS[3]
    assert type(load_runtime(config, random_weights(config))).__name__ == "GPTRuntime"
    with pytest.raises(RequestError, match=r"int8 needs the compiled kernels \(.*compiler\)"):
        load_runtime(config, random_weights(config), "int8")


def test_where_the_library_is_damaged_numpy_serves(elsewhere: Path) -> None:
    (elsewhere / "baseline.so").write_bytes(b"\x7fELF, but cut short")
    found = kernels.kernels()
    assert found.name == "numpy" and found.reason.startswith("baseline.so doesn't load")


def test_where_the_library_was_made_of_other_sources_numpy_serves(elsewhere: Path) -> None:
    for file in Path(kernels.__file__).parent.iterdir():
        if file.suffix in (".c", ".h", ".so", ".dylib", ".dll"):
            shutil.copy(file, elsewhere)
    if not kernels.available()[0]:
        pytest.skip("no kernels are here: install a C compiler")
    with (elsewhere / "gpt.c").open("a") as changed:
        changed.write("/* another day */\n")
    found = kernels.kernels()
    assert found.name == "numpy" and "python hatch_build.py" in found.reason


def test_off_and_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", "off")
    config = CONFIGS[0]
    assert type(load_runtime(config, random_weights(config))).__name__ == "RecurrentRuntime"
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", "avx521")
    with pytest.raises(RequestError, match="did you mean 'avx512'"):
        load_runtime(config, random_weights(config))
    monkeypatch.delenv("TEXTWRIGHT_KERNELS")
    with pytest.raises(RequestError, match="float16 or int8, not 'int4'"):
        load_runtime(config, random_weights(config), "int4")


def test_a_family_of_ones_own_has_no_int8() -> None:
    class OwnConfig(GPTConfig):
        families = ("own",)

    own = OwnConfig(**small_config("gpt").model_dump())
    with pytest.raises(RequestError, match="has none"):
        load_runtime(own, random_weights(own), "int8")


def test_a_build_that_the_processor_cannot_run_is_refused(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(Path(kernels.__file__).parent / "baseline.so", elsewhere)
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", "avx512")
    with pytest.raises(RequestError, match="doesn't run here; what does: baseline"):
        kernels.kernels()


def test_processors_are_asked() -> None:
    library = ctypes.CDLL(str(Path(kernels.__file__).parent / "baseline.so"))
    assert library.can_run(b"baseline") == 1 and library.can_run(b"avx1024") == 0
    flags = Path("/proc/cpuinfo")
    if flags.exists() and "flags" in (text := flags.read_text()):
        words = set(text.split())
        assert library.can_run(b"avx2") == ({"avx2", "fma"} <= words)
        assert library.can_run(b"avx512") == ({"avx512f", "avx512bw", "avx512_vnni"} <= words)
        assert library.can_run(b"avxvnni") == ("avx_vnni" in words)
    elif flags.exists() and "Features" in text:  # an ARM processor, on Linux
        assert library.can_run(b"dotprod") == ("asimddp" in text.split())


def builds_made(machine: str = platform.machine(), system: str = sys.platform) -> set[str]:
    """The names of the builds that `hatch_build.py` makes for a processor and a system."""
    script = Path(__file__).resolve().parents[2] / "hatch_build.py"
    return set(runpy.run_path(str(script))["builds"](machine, system))


def test_the_builds_are_those_that_are_made() -> None:
    assert builds_made("x86_64", "linux") == {"baseline", "avx2", "avxvnni", "avx512"}
    assert builds_made("AMD64", "win32") == {"baseline", "avx2", "avxvnni", "avx512"}
    assert builds_made("aarch64", "linux") == builds_made("ARM64", "win32")
    assert builds_made("aarch64", "linux") == {"baseline", "dotprod"}
    assert builds_made("arm64", "darwin") == builds_made("riscv64", "linux") == {"baseline"}
    assert builds_made("x86_64", "linux") | builds_made("aarch64", "linux") == set(BUILDS)


# --- building ------------------------------------------------------------------------------------


def names_in(wheel: Path) -> list[str]:
    """The name of a wheel, and those of its files."""
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        return [wheel.name, *archive.namelist()]


@pytest.mark.slow
def test_a_wheel_has_kernels_of_its_own_platform(built_wheel: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler: install gcc or clang")
    name, *files = names_in(built_wheel)
    assert "-py3-none-" in name and not name.endswith("-any.whl")
    made = {file.rpartition("/")[2] for file in files if file.endswith((".so", ".dylib", ".dll"))}
    assert {Path(file).stem for file in made} >= {"baseline"}
    assert "textwright/kernels/gpt.c" in files
    source = Path(textwright.__file__).parent
    ours = {f"textwright/{file.relative_to(source).as_posix()}" for file in source.rglob("*.py")}
    assert ours <= set(files)


def test_where_the_system_has_no_compiler_one_is_brought(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pip installs it for the build; what it makes, `tests/release` runs."""
    pytest.importorskip("hatchling", reason="needs the package hatchling")
    script = runpy.run_path(str(Path(__file__).resolve().parents[2] / "hatch_build.py"))
    asked = script["KernelsBuildHook"].dependencies
    for variable in ("CC", script["WHEEL"]):
        monkeypatch.delenv(variable, raising=False)
    if shutil.which("cc") and importlib.util.find_spec("ziglang"):
        assert asked(None) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/cc" if name == "cc" else None)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert asked(None) == [script["ZIG"]]  # for the engine of the tab
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert asked(None) == [script["ZIG"]]
    monkeypatch.setattr(platform, "machine", lambda: "loongarch64")
    assert asked(None) == []  # pip would find none
    monkeypatch.setenv("CC", "ones-own")
    assert asked(None) == []
    for tag in script["WHEELS"]:
        monkeypatch.setenv(script["WHEEL"], tag)
        assert asked(None) == [script["ZIG"]]


def test_the_engine_of_the_tab_says_what_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to a package that can't run it."""
    here = Path(kernels.__file__).parent
    if kernels.learning_engine()[0] is None:
        pytest.skip("needs the engine: pip install ziglang, then `python hatch_build.py`")
    shared = (here / "learning" / "shared.txt").read_text(encoding="utf-8").split()
    for name in ("learning.wasm", *shared):
        shutil.copy(here / name, tmp_path)
    shutil.copytree(here / "learning", tmp_path / "learning")
    monkeypatch.setattr(kernels, "FOLDER", tmp_path)
    assert kernels.learning_engine() == (tmp_path / "learning.wasm", "")
    with (tmp_path / "learning" / "lstm.c").open("a") as changed:
        changed.write("/* another day */\n")
    assert "python hatch_build.py" in kernels.learning_engine()[1]
    (tmp_path / "learning.wasm").unlink()
    assert "without a compiler for WebAssembly" in kernels.learning_engine()[1]


@pytest.mark.slow
def test_without_a_compiler_it_still_installs(
    make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    """A pure wheel, which serves on NumPy."""
    pytest.importorskip("hatchling", reason="needs the package hatchling")
    name, *files = names_in(
        make_wheel(tmp_path, "--no-build-isolation", CC=str(tmp_path / "nothing"))
    )
    assert name.endswith("-py3-none-any.whl")
    assert not any(file.endswith((".so", ".dylib", ".dll")) for file in files)


def test_a_system_without_large_pages_serves_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux refuses to be asked for them where it is built without."""
    asked = []

    class Plain(mmap.mmap):
        def madvise(self, *option: int) -> None:
            asked.append(option)
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Plain)
    config = small_config("gpt")
    model = load_runtime(config, random_weights(config))
    logits, _ = model(some_tokens(5), model.initial_state())
    assert np.isfinite(logits).all()
    assert bool(asked) == (sys.platform == "linux")
