"""How a model learned, and how its texts begin well: from its run, or, for the models that come
with the package, from a file beside them, since they have no records of their training with them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from typing import Any

from textwright.runs import SHIPPED_MODELS, Run

TIMELINES = SHIPPED_MODELS / "timelines.json"


def timeline(run: Run, fields: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """`samples` and `metrics` of a run's evaluations; of the latter only `fields`."""
    samples: list[dict[str, Any]] = run.samples()
    metrics = run.metrics()
    if not samples and run.is_shipped:
        found = _shipped().get(run.name, {})
        samples, metrics = found.get("samples", []), found.get("metrics", [])
    rows = [{name: row.get(name) for name in fields} for row in metrics]
    return {"samples": samples, "metrics": rows}


def beginnings(run: Run) -> list[str]:
    """What a text of this model may begin with; the first one is the best."""
    if run.is_shipped:
        return list(_shipped().get(run.name, {}).get("beginnings", []))
    return list(dict.fromkeys(str(one["prompt"]) for one in run.samples() if one.get("prompt")))[:3]


@cache
def _shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TIMELINES.read_text(encoding="utf-8"))
    return found
