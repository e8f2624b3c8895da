"""The server's log: where it goes, and from which level up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest
from servers import Process


@pytest.mark.slow
def test_the_log_is_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    file.write_text("before\n")
    process = Process("shakespeare", "--log-file", str(file))
    try:
        httpx.get(f"{process.url}/nowhere")
    finally:
        assert process.stop() == 0
    before, *lines = file.read_text(encoding="utf-8").splitlines()
    assert before == "before"
    paths = [line.get("path") for line in map(json.loads, lines)]
    assert "/nowhere" in paths
    assert "serving shakespeare" in process.lines[0]
    assert not any(line.startswith("{") for line in process.lines)


def test_what_is_less_severe_than_the_level_is_left_out(tmp_path: Path) -> None:
    code = """
import logging, pathlib, sys
from textwright.serving.logs import file_handler, write_json_lines
for level in sys.argv[2:]:
    file = pathlib.Path(sys.argv[1], level)
    write_json_lines(file_handler(file), getattr(logging, level))
    for name in ("textwright.requests", "uvicorn.error", "asyncio"):
        logging.getLogger(name).info("fact")
        logging.getLogger(name).warning("trouble")
        logging.getLogger(name).error("fault")
    file.rename(file.with_suffix(".rotated"))
    logging.getLogger("textwright").error("later")
"""
    counts = {}
    levels = ["INFO", "WARNING", "ERROR"]
    subprocess.run([sys.executable, "-c", code, str(tmp_path), *levels], check=True)
    for level in levels:
        file = tmp_path / level
        rotated = file.with_suffix(".rotated").read_text()
        counts[level] = [rotated.count(f'"{word}"') for word in ("fact", "trouble", "fault")]
        assert json.loads(file.read_text())["message"] == "later"
    assert counts == {"INFO": [2, 3, 3], "WARNING": [0, 3, 3], "ERROR": [0, 0, 3]}
