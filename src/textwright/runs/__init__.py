"""The run folder: one training and everything about it. The only code that knows its file names.

Begin with `folder`: a `Run` is a path with readers and writers of each file. `finding` resolves
what a user typed, `creating` takes a name, `locking` lets one process train, `weights` reads
tensors without torch. Nothing here knows how a model computes or learns.
"""

from textwright.runs.creating import check_free, create
from textwright.runs.finding import (
    command_for,
    find,
    list_runs,
    match_run,
    resume_command,
    shipped,
)
from textwright.runs.folder import SHIPPED_MODELS, Run, is_model_folder
from textwright.runs.locking import is_locked, is_training, training_lock
from textwright.runs.naming import RUNS_VARIABLE, check_name, name_from, name_key, runs_folder

__all__ = [
    "RUNS_VARIABLE",
    "SHIPPED_MODELS",
    "Run",
    "check_free",
    "check_name",
    "command_for",
    "create",
    "find",
    "is_locked",
    "is_model_folder",
    "is_training",
    "list_runs",
    "match_run",
    "name_from",
    "name_key",
    "resume_command",
    "runs_folder",
    "shipped",
    "training_lock",
]
