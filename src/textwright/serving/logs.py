"""Logs of a server: a JSON object per line, with prompts only where `log_prompts` is set."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, TextIO

request_logger = logging.getLogger("textwright.requests")
"""One line per request."""


class JSONLines(logging.Formatter):
    """`{"time", "level", "message", …}`, then the record's `fields`, e.g. those of a request."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def write_json_lines(stream: TextIO | None = None) -> None:
    """Log textwright and uvicorn as JSON lines to `stream`, standard error by default."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONLines())
    for name in ("textwright", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(logging.INFO)
    others = logging.getLogger()  # asyncio, and any library's
    others.handlers = [handler]
    others.setLevel(logging.WARNING)
    logging.captureWarnings(True)
