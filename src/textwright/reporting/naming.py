"""Giving a copy of a run the name of its folder, in all that was written about it."""

from __future__ import annotations

from textwright.reporting.report import write_card_and_report
from textwright.runs import Run


def name_run(run: Run) -> None:
    """Write the folder's name into `run.toml`, card and report."""
    settings = run.settings()
    if "run" not in settings:
        return
    settings["run"]["name"] = run.name
    run.write_settings(settings)
    write_card_and_report(run)
