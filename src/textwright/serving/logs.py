"""Logs of a server: one JSON object a line, none with a prompt in it unless that was asked for."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, TextIO

requests = logging.getLogger("textwright.requests")
"""One line a request."""


class JSONLines(logging.Formatter):
    """`{"time", "level", "message", …}`; the facts of a request are fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def write_json_lines(stream: TextIO | None = None) -> None:
    """Have textwright and uvicorn log so, to standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONLines())
    for name in ("textwright", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(logging.INFO)
