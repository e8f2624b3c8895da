"""Logs of a server: a JSON object per line, with prompts only where `log_prompts` is set."""

from __future__ import annotations

import json
import logging
import sys
import time
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from textwright.errors import RequestError

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


def file_handler(file: Path) -> logging.Handler:
    """Appends to `file`, and begins it anew where log rotation renamed or removed it.

    Raises:
        RequestError: it can't be written.
    """
    try:
        return WatchedFileHandler(file, encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"--log-file {file}: {error.strerror or error}; name a file that can be written"
        ) from error


def write_json_lines(handler: logging.Handler | None = None, level: int = logging.INFO) -> None:
    """Log textwright and uvicorn as JSON lines.

    Args:
        handler: takes the lines; None writes to standard error.
        level: the least severe that is logged.
    """
    handler = handler or logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    for name in ("textwright", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(level)
    others = logging.getLogger()  # asyncio, and any library's
    others.handlers = [handler]
    others.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
