"""Packs what a run counted for the page: what `web/runtime/companion.js` needs."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import numpy as np

from textwright.companion.mixing import Companion
from textwright.companion.table import UNIT, narrowed, nothing


def companion_data(companion: Companion, vocab_size: int) -> dict[str, Any]:
    """A companion as JSON holds it, its table packed: of a book about 2 MB."""
    table = companion.table or nothing(vocab_size)
    inner = sum(table.sizes[:-1])
    tokens = narrowed(table.tokens[vocab_size:])
    children = narrowed(np.diff(table.first)[:inner])
    logs, backoffs = (
        one.astype("<i2") for one in (table.log_probabilities, table.backoffs[:inner])
    )
    arrays = (logs, backoffs, tokens, children)
    packed = gzip.compress(b"".join(one.tobytes() for one in arrays), 9, mtime=0)
    pairs = companion.by_context or ((companion.network, companion.weight),) * table.order
    lines = companion.lines
    return {
        "sizes": list(table.sizes),
        "network": [network for network, _ in pairs],
        "weight": [weight * UNIT for _, weight in pairs],
        "folded": table.folded.tolist(),
        "newline": -1 if lines is None else lines.newline,
        "lines": [] if lines is None else [round(float(term), 4) for term in lines.terms],
        "widths": [tokens.itemsize, children.itemsize],
        "table": base64.b64encode(packed).decode(),
    }
