"""`textwright sagemaker train` and `status`: jobs in the cloud."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textwright.cli.cloud_options import (
    Bucket,
    DryRun,
    Image,
    KmsKey,
    Region,
    Role,
    SecurityGroups,
    SettingsFile,
    Subnets,
    Tags,
    defined,
    pairs,
    say,
    settings_from,
    show_calls,
    show_costs,
)
from textwright.cli.train import AMOUNT, Then
from textwright.errors import RequestError, TextwrightError

if TYPE_CHECKING:
    from textwright.runs import Run
    from textwright.sagemaker.client import AWS

_MODEL = "Model and budget"
_MACHINE = "Machine"
Runs = Annotated[Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS")]


def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, globs, s3:// addresses; or one built-in, URL or "
            "hf:owner/dataset, which the job fetches itself.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run; else it is called after the corpus.")
    ] = None,
    val: Annotated[
        str | None, typer.Option(help="Text to validate on: files or an s3:// address.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="lstm, gru, rnn, gpt or transformer.", rich_help_panel=_MODEL),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="nano, micro, small, medium or large.", rich_help_panel=_MODEL),
    ] = None,
    minutes: Annotated[
        str | None,
        typer.Option(help="End within this time.", metavar=AMOUNT, rich_help_panel=_MODEL),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(help="Exactly so many steps.", metavar=AMOUNT, rich_help_panel=_MODEL),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            help="So many times through the text.", metavar=AMOUNT, rich_help_panel=_MODEL
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any hyper-parameter: an option of `textwright train`, e.g. tokenizer=bpe, or a "
            "setting by its dotted name; may be repeated.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="Machine; else ml.m5.xlarge.", rich_help_panel=_MACHINE)
    ] = None,
    instances: Annotated[
        int | None, typer.Option(help="How many of them; else 1.", rich_help_panel=_MACHINE)
    ] = None,
    spot: Annotated[
        bool | None,
        typer.Option(
            "--spot",
            help="Take spare machines, cheaper; the job goes on after an interruption.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    max_runtime: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="End the job after this, e.g. 90m or 2h; else a day.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="S3",
            help="s3:// folder that keeps the run; a job that finds one there goes on with it.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    settings: SettingsFile = None,
    region: Region = None,
    bucket: Bucket = None,
    role: Role = None,
    image: Image = None,
    kms_key: KmsKey = None,
    subnet: Subnets = None,
    security_group: SecurityGroups = None,
    tag: Tags = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Follow the job's log; then bring the run here."),
    ] = False,
    then: Annotated[
        Then | None, typer.Option(help="With --wait, what to do when the run is here.")
    ] = None,
    dry_run: DryRun = False,
    runs: Runs = None,
) -> None:
    """Train in the cloud: upload the text, start a job, with --wait bring the run back.

    textwright sagemaker train my_novel.txt --settings sagemaker.toml --epochs 10 --wait
    """
    from textwright.reporting import numbers
    from textwright.sagemaker import costs, launch, source, stock

    if then is not None and not wait:
        raise RequestError("--then is for when the run is here; add --wait")
    budget = defined({"minutes": minutes, "steps": steps, "epochs": epochs})
    cloud = settings_from(
        settings, tags=tag, region=region, bucket=bucket, role=role, image=image, kms_key=kms_key,
        subnets=subnet, security_groups=security_group, train__instance_type=instance_type,
        train__instances=instances, train__spot=spot, train__max_runtime=max_runtime,
        train__checkpoint=checkpoint,
    )  # fmt: skip
    chosen = cloud.train.hyperparameters
    if budget:  # that of the command line replaces the file's
        chosen = {key: chosen[key] for key in chosen if key not in ("minutes", "steps", "epochs")}
    chosen |= {**budget, **defined({"model": model, "size": size}), **pairs(set_, "--set")}
    cloud.train.hyperparameters = chosen
    with TemporaryDirectory() as scratch:
        archive = Path("" if dry_run else scratch) / source.SOURCE
        plan = launch.plan_job(
            cloud, corpus or [], moment=datetime.now(UTC), name=name, validation=val,
            source=archive if cloud.is_stock else None,
        )  # fmt: skip
        if dry_run:
            show_calls(plan.calls)
            return
        from textwright.sagemaker.client import AWS

        aws = AWS(cloud.region_name())
        if cloud.is_stock:
            say("bringing along what AWS's own container lacks")
            source.write_source(archive, stock.for_training(cloud.train.instance_type))
        if plan.uploads:
            say(f"uploading {numbers.size(plan.size)} to {plan.folder}input/")
        launch.start(aws, plan)
    say(f"training job {plan.job} is started in {aws.region}")
    checkpoints = plan.create.parameters["CheckpointConfig"]["S3Uri"]
    try:
        if wait:
            run = _follow(aws, plan.job, plan.run_name, runs)
    finally:
        show_costs([costs.of_job(cloud, plan.job), costs.of_storage(plan.folder),
                    *([] if checkpoints.startswith(plan.folder)
                      else [costs.of_storage(checkpoints)])])  # fmt: skip
    if not wait:
        typer.echo(plan.job)
        say(f"follow it, and bring the run here: textwright sagemaker status {plan.job} --follow")
        return
    _show(run, then)


def status(
    name: Annotated[
        str | None, typer.Argument(help="A training job or an endpoint; else all there are.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Follow the job's log; then bring the run here."),
    ] = False,
    run_name: Annotated[
        str | None,
        typer.Option("--name", help="With --follow, name of the run; else after the job."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: SettingsFile = None,
    region: Region = None,
    dry_run: DryRun = False,
    runs: Runs = None,
) -> None:
    """List the jobs and endpoints that textwright made, or tell about one.

    textwright sagemaker status
    """
    from textwright.cloud.calls import Call
    from textwright.sagemaker import listing
    from textwright.sagemaker.client import AWS

    if follow and name is None:
        raise RequestError("name the job to follow; textwright sagemaker status lists them")
    cloud = settings_from(settings, region=region)
    if dry_run:
        calls = (Call("sagemaker", "DescribeTrainingJob", {"TrainingJobName": name}),
                 Call("sagemaker", "DescribeEndpoint", {"EndpointName": name}))  # fmt: skip
        show_calls(listing.LISTS if name is None else calls)
        return
    aws = AWS(cloud.region_name())
    if name is None:
        _show_all(listing.list_all(aws), as_json=as_json)
    elif follow:
        _show(_follow(aws, name, run_name or listing.run_of(name), runs), None)
    else:
        _show_one(listing.describe(aws, name), as_json=as_json)


def _follow(aws: AWS, job: str, name: str, runs: Path | None) -> Run:
    """Follow a job to its end, and download its run."""
    from textwright.cli.cloud_progress import job_progress
    from textwright.sagemaker.monitor import follow
    from textwright.sagemaker.results import download_run

    try:
        with job_progress() as observer:
            described = follow(aws, job, observer)
    except KeyboardInterrupt:
        say(f"\nthe job goes on. Follow it: textwright sagemaker status {job} --follow")
        say(f"stop it: textwright sagemaker delete {job}")
        raise
    if described["TrainingJobStatus"] == "Stopped":
        say(f"training job {job} was stopped ({described.get('SecondaryStatus', '')})")
    if (billed := described.get("BillableTimeInSeconds")) is not None:
        say(f"billed: {billed} s of each machine")
    try:
        return download_run(aws, described, name, runs)
    except TextwrightError as error:
        raise type(error)(f"{error}; the job's files stay in S3") from error


def _show(run: Run, then: Then | None) -> None:
    from textwright.cli.train import run_then
    from textwright.runs import command_for

    typer.echo(str(run.path))
    say(f"next: {command_for(run, 'generate')}")
    run_then(run, then)


def _show_all(entries: list[Any], *, as_json: bool) -> None:
    from textwright.cli.tables import show_table

    if as_json:
        items = [{"kind": entry.kind, "name": entry.name, "status": entry.status,
                  "created": entry.created.isoformat(), "costs": entry.costs}
                 for entry in entries]  # fmt: skip
        typer.echo(json.dumps(items, indent=2))
        return
    if not entries:
        typer.echo("textwright has made nothing in this region")
        return
    rows = [(entry.kind, entry.name, entry.status, f"{entry.created:%Y-%m-%d %H:%M}")
            for entry in entries]  # fmt: skip
    show_table(("what", "name", "status", "created"), rows)
    costing = [f"{entry.kind} {entry.name}: textwright sagemaker delete {entry.name}"
               for entry in entries if entry.costs]  # fmt: skip
    show_costs([*costing, "files in S3, until deleted: delete NAME --artifacts"])


def _show_one(described: dict[str, Any], *, as_json: bool) -> None:
    from textwright.cli.tables import show_rows

    if as_json:
        typer.echo(json.dumps(described, indent=2, default=str))
        return
    show_rows({label: str(value) for label, value in described.items()})
