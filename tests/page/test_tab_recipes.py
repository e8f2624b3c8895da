"""`web/learning/recipes.js`: what a training in a tab takes from Python's recipe.

`python tests/page/test_tab_recipes.py` writes the file anew.
"""

from __future__ import annotations

import json
from typing import Any

from textwright.configs import (
    CorpusSettings,
    SamplingSettings,
    TokenizerSettings,
    TrainingSettings,
)
from textwright.page import WEB
from textwright.reporting.verdict import (
    DIVERGED,
    GAIN,
    LATE_SHARE,
    LEVEL_SPREAD,
    MIN_EVALUATIONS,
    MIN_STEPS,
    RISE,
)
from textwright.tokenizers import train_tokenizer
from textwright.training.loop import evaluation
from textwright.training.planning import base_model, planner, presets

FILE = WEB / "learning" / "recipes.js"
HEAD = """\
// The sizes and the recipe of `textwright train`, out of Python: `tests/page/test_tab_recipes.py`
// writes this file, and fails where it says something else.

export const RECIPES = """


def recipes() -> dict[str, Any]:
    families = {
        family: {**presets.SMALLER[family], "nano": presets.SIZES[family]["nano"]}
        for family in presets.SMALLER
    }
    tokenizer = json.loads(train_tokenizer("char", lambda: ["ab"]).file)
    tokenizer["model"]["vocab"] = {}
    return {
        "sizes": {
            family: {
                size: {
                    "model": presets.model_settings(family, size, 2).model_dump(
                        exclude={"vocab_size"}
                    ),
                    "training": one.training,
                }
                for size, one in sizes.items()
            }
            for family, sizes in families.items()
        },
        "training": TrainingSettings().model_dump(),
        "sampling": SamplingSettings().model_dump(),
        "corpus": CorpusSettings(sources=[]).model_dump(),
        "tokenizer": TokenizerSettings().model_dump(),
        "tokenizer_file": tokenizer,
        "continued_rate": presets.CONTINUED_RATE,
        "no_help": base_model.NO_HELP,
        "large_vocabulary": presets.LARGE_VOCABULARY,
        "dropout_by_epochs": presets.DROPOUT_BY_EPOCHS,
        "dropout_of_many_epochs": presets._DROPOUT_OF_MANY_EPOCHS,
        "crowded": presets._CROWDED,
        "dropout_where_crowded": presets._DROPOUT_WHERE_CROWDED,
        "short": planner._SHORT,
        "aim": planner.AIM,
        "evaluation_share": planner._EVALUATION_SHARE,
        "most_evaluations": planner._MOST_EVALUATIONS,
        "fewest_evaluations": planner._FEWEST_EVALUATIONS,
        "fewest_tokens": planner._FEWEST_TOKENS,
        "learned_by_read": planner._LEARNED_BY_READ,
        "streams": evaluation._STREAMS,
        "stream_warmup": evaluation._STREAM_WARMUP,
        "verdict": {
            "gain": GAIN,
            "level_spread": LEVEL_SPREAD,
            "rise": RISE,
            "diverged": DIVERGED,
            "late_share": LATE_SHARE,
            "min_steps": MIN_STEPS,
            "min_evaluations": MIN_EVALUATIONS,
        },
    }


def written() -> str:
    lines = [
        f'  "{name}": {json.dumps(value, ensure_ascii=False)},\n'
        for name, value in recipes().items()
    ]
    return HEAD + "{\n" + "".join(lines) + "};\n"


def test_a_tab_trains_by_the_recipe_of_python() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), (
        "write it anew: python tests/page/test_tab_recipes.py"
    )


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
