"""A copy of a run under another name: what was written about it names it anew."""

from __future__ import annotations

import logging

from textwright.errors import MissingPackageError
from textwright.reporting.card import write_card
from textwright.reporting.report import write_report
from textwright.runs import Run

log = logging.getLogger("textwright")


def name_run(run: Run) -> None:
    """Have `run.toml`, card and report tell the name that the folder has."""
    settings = run.settings()
    if "run" not in settings:
        return
    settings["run"]["name"] = run.name
    run.write_settings(settings)
    write_card(run)
    try:
        write_report(run)
    except MissingPackageError as error:
        log.warning("%s", error)
