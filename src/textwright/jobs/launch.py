"""The requests that start a training on Hugging Face Jobs, and what they send.

They are calls of `huggingface_hub`'s `HfApi` as data: `--dry-run` prints what is sent. The token
is the job's secret `HF_TOKEN`; it stands in no request before it is sent, and in no file.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from textwright.cloud.calls import Call
from textwright.cloud.sources import files_and_downloads, local_files, stem_of
from textwright.errors import RequestError, counted
from textwright.publishing.hub import check_repository, create_repository, hub_errors
from textwright.publishing.space import check_wheel
from textwright.runs import check_name, name_from
from textwright.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub import JobInfo

IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"
"""The image that `huggingface_hub` takes for its own Python jobs: Debian with uv."""
LABEL = "textwright"
"""A job's label that has the name of its run."""
RUN = "run"
"""The folder of the repository that holds the run, of a sweep the winner."""
TRIALS = "run-sweep"
"""The folder of the repository that holds the trials of a sweep."""
_BEGUN = {"train": f"{RUN}/run.toml", "sweep": f"{TRIALS}/sweep.json"}
"""By command, the file that is there once it has begun."""
_REPLACED = ["input/*", "validation/*"]
"""What of an earlier upload must not stay: a job reads all that is in these folders."""
_SECRET = "HF_TOKEN"
_SERVICE = "huggingface_hub"
_PUSH_SECONDS = 300
_AROUND_SECONDS = 1200
"""Of a job beside the minutes of its training: packages, text, the last push."""
_SECONDS = 7200
"""Of a job whose budget is no time."""

_SCRIPT = """#!/usr/bin/env bash
# On Hugging Face Jobs: train, push what is there now and then, and once more at the end.
set -u
push() {{
  for folder in {run} {trials}; do
    [ -d $folder ] || continue
    hf upload {repository} $folder $folder --delete '*checkpoints/*' --quiet > /dev/null || return
  done
}}
if [ -f {begun} ]; then
{resume} &
else
{begin} &
fi
training=$!
trap 'kill -TERM $training' TERM INT
(trap 'kill $!; exit' TERM; while sleep {seconds} & wait $!; do push || true; done) &
pushing=$!
wait $training; code=$?
while kill -0 $training 2> /dev/null; do wait $training; code=$?; done  # a signal ended the wait
kill $pushing 2> /dev/null
push || push || code=1
exit $code
"""


@dataclass(frozen=True)
class JobPlan:
    """A training as a job."""

    name: str
    """Of the run that comes back."""
    repository: str
    """`user/name`, private."""
    flavor: str
    seconds: int
    """After which the job is ended."""
    files: dict[str, Path]
    """What is uploaded, by its place in the repository, beside the script."""
    script: str
    command: list[str]

    @property
    def run_job(self) -> Call:
        """The one request that starts it."""
        return Call(_SERVICE, "run_job", {
            "image": IMAGE, "command": self.command, "flavor": self.flavor,
            "timeout": self.seconds, "labels": {LABEL: self.name},
            "secrets": {_SECRET: f"${_SECRET}"}, "namespace": self.repository.split("/")[0],
        })  # fmt: skip

    @property
    def calls(self) -> list[Call]:
        """All requests that start it, in order."""
        files = {**{place: str(file) for place, file in self.files.items()}, "job.sh": self.script}
        return [
            Call(_SERVICE, "list_jobs_hardware", {}),
            Call(_SERVICE, "create_repo", {"repo_id": self.repository, "private": True,
                                           "exist_ok": True}),
            Call(_SERVICE, "upload_folder", {"repo_id": self.repository, "files": files,
                                             "delete_patterns": _REPLACED}),
            self.run_job,
        ]  # fmt: skip


def plan_job(
    sources: Sequence[str],
    words: Sequence[str],
    *,
    verb: str = "train",
    flavor: str,
    user: str,
    name: str | None = None,
    repository: str | None = None,
    timeout: int | None = None,
    minutes: str | None = None,
    validation: str | None = None,
    config: Path | None = None,
    wheel: Path | None = None,
) -> JobPlan:
    """The job that trains on `sources`; sends nothing.

    Args:
        sources: files, folders, globs; URLs, built-ins, `hf:` data sets, which the job downloads.
        words: the options of the command, as they are typed, without those named here.
        verb: `train` or `sweep`.
        flavor: the machine, e.g. `t4-small`; the Hub knows which there are.
        user: whose account it runs in.
        name: of the run; by default after the text.
        repository: `user/name`; by default `USER/textwright-NAME`.
        timeout: seconds; by default `minutes` and a third of an hour, or two hours.
        minutes: of the training, where that is its budget, as they are typed.
        validation, config: files, as of `textwright train`.
        wheel: a wheel of textwright, for a version that is on no index.

    Raises:
        RequestError: something can't be sent.
    """
    run = check_name(name) if name else name_from(stem_of(sources))
    local, downloaded = files_and_downloads(sources)
    if not local and not downloaded:
        raise RequestError("no text is named; give a file, a folder, or the name of a built-in")
    files = {f"input/{key}": file for key, file in local.items()}
    texts = [*(["input"] if len(local) > 1 else files), *downloaded]
    more = list(words)
    if validation is not None:
        held_out, elsewhere = files_and_downloads([validation])
        files |= {f"validation/{key}": file for key, file in held_out.items()}
        more.append(f"--val={elsewhere[0] if elsewhere else 'validation'}")
    if config is not None:
        files["config.toml"] = next(iter(local_files(str(config)).values()))
        more.append("--config=config.toml")
    package = f"textwright[train]=={VERSION}"
    if wheel is not None:
        check_wheel(wheel)
        files[wheel.name] = wheel
        package = f"./{wheel.name}[train]"
    place = check_repository(repository or f"{user}/{LABEL}-{run}")
    budget = [] if minutes is None else [f"--minutes={minutes}"]
    where = ["--name", RUN, "--runs", "."]
    begin = ["textwright", verb, *texts, *where, *budget, *more]
    # a sweep goes on exactly as planned, a training perhaps further
    resume = ["textwright", verb, *where, "--resume"] if verb == "sweep" else [*begin, "--resume"]
    script = _SCRIPT.format(
        repository=place, run=RUN, trials=TRIALS, begun=_BEGUN[verb], begin=shlex.join(begin),
        resume=shlex.join(resume), seconds=_PUSH_SECONDS,
    )  # fmt: skip
    seconds = timeout or (
        _SECONDS if minutes is None else int(60 * float(minutes)) + _AROUND_SECONDS
    )
    command = [
        "bash", "-c",
        f"uvx --from huggingface_hub hf download {place} --local-dir /tmp/job --quiet && "
        f"cd /tmp/job && exec uv run --no-project --with {shlex.quote(package)} bash job.sh",
    ]  # fmt: skip
    return JobPlan(run, place, flavor, seconds, files, script, command)


def whoami() -> str:
    """The name of who is logged in. Raises `RequestError` where nobody is."""
    from huggingface_hub import HfApi

    with hub_errors("your account"):
        return str(HfApi().whoami()["name"])


def cost(plan: JobPlan) -> str:
    """What the job costs, by the Hub's own list.

    Raises:
        RequestError: there is no such flavor.
    """
    from huggingface_hub import HfApi

    with hub_errors("the list of machines"):
        known = {one.name: one for one in HfApi().list_jobs_hardware()}
    if plan.flavor not in known:
        raise RequestError(
            f"there is no --flavor {plan.flavor}; the Hub has {', '.join(sorted(known))}"
        )
    machine = known[plan.flavor]
    a_minute = machine.unit_cost_usd * (1 / 60 if machine.unit_label == "hour" else 1)
    return (
        f"{machine.pretty_name} ({machine.cpu}, {machine.ram}): ${60 * a_minute:.2f} an hour; at "
        f"most ${a_minute * plan.seconds / 60:.2f}, for the job is ended after "
        + counted(plan.seconds // 60, "minute")
    )


def start(plan: JobPlan) -> JobInfo:
    """Upload the files into the private repository, and start the job.

    Raises:
        RequestError: not logged in, or the Hub refuses; the repository is seen by everyone.
    """
    from huggingface_hub import HfApi, get_token

    token = get_token()
    if token is None:
        raise RequestError("not logged in to the Hub; hf auth login, or set HF_TOKEN")
    create_repository("model", plan.repository, private=True)
    api = HfApi()
    with _folder(plan) as folder, hub_errors(plan.repository):
        api.upload_folder(
            repo_id=plan.repository, folder_path=folder, delete_patterns=_REPLACED,
            commit_message=f"Text for {plan.name}",
        )  # fmt: skip
    parameters: dict[str, Any] = {**plan.run_job.parameters, "secrets": {_SECRET: token}}
    with hub_errors("the job"):
        return api.run_job(**parameters)


@contextmanager
def _folder(plan: JobPlan) -> Iterator[Path]:
    """A folder with what is uploaded."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for place, file in plan.files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / place)
        (folder / "job.sh").write_text(plan.script, encoding="utf-8", newline="\n")
        yield folder


def check_new(plan: JobPlan) -> None:
    """Raise `RequestError` where the repository has a run or a sweep already."""
    from huggingface_hub import HfApi

    api = HfApi()
    with hub_errors(plan.repository):
        if api.repo_exists(plan.repository) and any(
            api.file_exists(plan.repository, file) for file in _BEGUN.values()
        ):
            raise RequestError(
                f"{plan.repository} has a run already; go on with --resume, choose another --name, "
                f"or remove it: hf repos delete {plan.repository}"
            )


def job_to_follow(name: str, user: str) -> JobInfo | None:
    """The job of a run, the latest, that runs or has done its work; None where a new one must go
    on: there is none, or it was ended before."""
    from huggingface_hub import HfApi

    with hub_errors(f"the jobs of {user}"):
        found: Iterable[JobInfo] = HfApi().list_jobs(labels={LABEL: name}, namespace=user)
        newest = max(found, key=lambda job: str(job.created_at), default=None)
    if newest is None or str(newest.status.stage) not in ("SCHEDULING", "RUNNING", "COMPLETED"):
        return None
    return newest
