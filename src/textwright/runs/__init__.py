"""The run folder: one training and everything about it. The only code that knows its file names.

Begin with `folder`: a `Run` is a path with readers and writers of each file, and a lock that lets
one process train. `collection` resolves what a user typed and takes a name for a new run, `weights`
reads tensors without torch. Nothing here knows how a model computes or learns.
"""

from textwright.runs.archive import unpack
from textwright.runs.collection import (
    RUNS_VARIABLE,
    check_free,
    check_name,
    command_for,
    create,
    find,
    list_models,
    list_runs,
    match_run,
    name_from,
    name_key,
    resume_command,
    runs_folder,
    shipped,
)
from textwright.runs.folder import (
    SHIPPED_MODELS,
    Run,
    is_locked,
    is_model_folder,
    is_training,
    training_lock,
)

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
    "list_models",
    "list_runs",
    "match_run",
    "name_from",
    "name_key",
    "resume_command",
    "runs_folder",
    "shipped",
    "training_lock",
    "unpack",
]
