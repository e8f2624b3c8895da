"""The run folder: one training and everything about it. The only code that knows its file names."""

from textwright.runs.creating import check_free, create
from textwright.runs.finding import (
    command_for,
    find,
    listed,
    matching,
    resume_command,
    shipped,
)
from textwright.runs.folder import SHIPPED_MODELS, Run
from textwright.runs.locking import is_held, is_training, locked
from textwright.runs.naming import RUNS_VARIABLE, check_name, name_from, runs_folder, same_name

__all__ = [
    "RUNS_VARIABLE",
    "SHIPPED_MODELS",
    "Run",
    "check_free",
    "check_name",
    "command_for",
    "create",
    "find",
    "is_held",
    "is_training",
    "listed",
    "locked",
    "matching",
    "name_from",
    "resume_command",
    "runs_folder",
    "same_name",
    "shipped",
]
