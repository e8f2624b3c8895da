"""What the page computes, run in Node: the same as Python, and no browser is needed to see it."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import GOLDEN

from textwright.configs import SamplingSettings
from textwright.generation import Sampler
from textwright.generation.continuation import StopFilter
from textwright.page import WEB
from textwright.page.packing import pack
from textwright.runs import Run

NODE = shutil.which("node")
MODELS = sorted(folder.parent.name for folder in GOLDEN.glob("*/vectors.json"))
USUAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
THERE = {
    "top_k": "topK",
    "top_p": "topP",
    "min_p": "minP",
    "repetition_penalty": "repetitionPenalty",
}

Jobs = Callable[..., list[Any]]


@pytest.fixture(scope="module", name="there")
def _there(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Gives `runtime.mjs` some jobs."""
    if NODE is None:
        pytest.skip("needs Node on the PATH: apt-get install nodejs")
    folder = tmp_path_factory.mktemp("runtime")
    shutil.copytree(WEB, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}\n', encoding="utf-8")

    def there(*jobs: dict[str, Any]) -> list[Any]:
        done = subprocess.run(
            [NODE, Path(__file__).with_name("runtime.mjs"), folder],
            input=json.dumps(jobs), capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        given: list[Any] = json.loads(done.stdout)
        return given

    return there


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_the_golden_ones(there: Jobs, name: str) -> None:
    """Over more tokens than a window holds; `docs/offline.md` promises the bound."""
    golden = json.loads((GOLDEN / name / "vectors.json").read_text(encoding="utf-8"))
    packed = pack(Run(GOLDEN / name))
    weights = base64.b64encode(packed.weights).decode()
    (logits,) = there({"kind": "logits", "data": packed.data, "weights": weights,
                       "tokens": golden["tokens"]})  # fmt: skip
    deviation = np.abs(np.array(logits) - np.array(golden["logits"])).max()
    print(f"{name}: {deviation:.1e}")
    assert deviation <= 1e-4


@pytest.mark.parametrize("seed", [0, 1, 2**40 + 5, 2**63 - 1])
def test_a_seed_gives_the_same_numbers(there: Jobs, seed: int) -> None:
    """53 bits of each word of NumPy's Philox."""
    (numbers,) = there({"kind": "uniforms", "seed": str(seed), "count": 50})
    assert numbers == [(word >> 11) * 2.0**-53 for word in raw(seed, 50)]


def raw(seed: int, count: int) -> list[int]:
    words: list[int] = np.random.Philox(key=seed).random_raw(count).tolist()
    return words


def draws(there: Jobs, logits: np.ndarray, **changes: Any) -> tuple[list[int], list[int]]:
    """The tokens drawn from rows of logits, (T, V), there and here."""
    seed, suppressed = changes.pop("seed", 1), changes.pop("suppressed", ())
    read = changes.pop("read", ())
    settings = USUAL | changes
    sampler = Sampler(
        SamplingSettings(**settings), seed, suppress_tokens=suppressed, prompt_tokens=read
    )
    asked = {THERE.get(name, name): value for name, value in settings.items()}
    (drawn,) = there({"kind": "draws", "settings": asked, "seed": seed, "suppressed": suppressed,
                      "read": read, "logits": logits.tolist()})  # fmt: skip
    return drawn, [sampler.draw(row) for row in logits]


@pytest.mark.parametrize(
    "changes",
    [{}, {"temperature": 0.0}, {"temperature": 0.6}, {"top_k": 5}, {"top_p": 0.8}, {"min_p": 0.2},
     {"repetition_penalty": 1.5}, {"suppressed": (0, 7)},
     {"temperature": 0.9, "top_k": 9, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.2}],
    ids=lambda changes: "-".join(changes) or "usual",
)  # fmt: skip
def test_a_setting_does_what_it_does_in_python(there: Jobs, changes: dict[str, Any]) -> None:
    logits = np.random.default_rng(2).normal(0, 2, (400, 30)).astype(np.float32)
    drawn, expected = draws(there, logits, read=(1, 2, 3), seed=2**40 + 5, **changes)
    assert drawn == expected


CUT = [
    (["b", "abc"], ["xa", "bc", "d"]),  # complete first counts, not the one that begins first
    (["bc", "abc"], ["x", "ab", "cd"]),  # of several at once the longest
    (["abc", "bc"], ["xabcd"]),
    (["\n\n", "END"], ["one\n", "two\nE", "ND", "more"]),
    (["aab"], ["a", "a", "a", "b"]),
    (["never"], ["nev", "er", "y"]),
    (["held"], ["is he"]),
    ([], ["any", "thing"]),
]


def test_a_text_stops_where_it_does_in_python(there: Jobs) -> None:
    chance = random.Random(3)
    cases = CUT + [
        (
            ["".join(chance.choices("ab", k=chance.randint(1, 4))) for _ in range(3)],
            ["".join(chance.choices("abc", k=chance.randint(1, 3))) for _ in range(6)],
        )
        for _ in range(200)
    ]
    given = there(*({"kind": "stops", "stops": stops, "pieces": pieces} for stops, pieces in cases))
    for (stops, pieces), found in zip(cases, given, strict=True):
        here = StopFilter(stops)
        shown = [here.push(piece) for piece in pieces if not here.stopped]
        expected = {"shown": shown, "stopped": here.stopped, "rest": here.flush()}
        assert found == expected, (stops, pieces)
