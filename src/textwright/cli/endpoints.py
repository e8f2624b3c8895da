"""`textwright sagemaker deploy`, `invoke` and `delete`: endpoints in the cloud."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from textwright.cli.cloud_options import (
    Bucket,
    DryRun,
    Image,
    KmsKey,
    NoWait,
    Region,
    Role,
    SecurityGroups,
    SettingsFile,
    Subnets,
    Tags,
    defined,
    say,
    settings_from,
    show_calls,
    show_costs,
)
from textwright.cli.confirm import confirmed
from textwright.cli.generate import MaxTokens, RunName, Runs, Temperature
from textwright.errors import RequestError, counted


def deploy(
    run: RunName,
    name: Annotated[
        str | None, typer.Option(help="Name of the endpoint; else textwright-RUN.")
    ] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="Machine that serves, e.g. ml.m5.large.")
    ] = None,
    instances: Annotated[int | None, typer.Option(help="How many of them; else 1.")] = None,
    serverless: Annotated[
        bool | None,
        typer.Option("--serverless", help="No machine of its own: paid for each request."),
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(metavar="MB", help="Memory with --serverless, 1024 to 6144; else 3072."),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Requests at once with --serverless; else 5.")
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
    no_wait: NoWait = False,
    dry_run: DryRun = False,
    runs: Runs = None,
) -> None:
    """Put a model to work in the cloud: pack it, upload it, make an endpoint.

    textwright sagemaker deploy my_novel --settings sagemaker.toml --serverless
    """
    from textwright.reporting import numbers
    from textwright.runs import find
    from textwright.sagemaker import archive, costs, endpoints, requests
    from textwright.sagemaker.settings import DeploySettings

    cloud = settings_from(
        settings, tags=tag, region=region, bucket=bucket, role=role, image=image, kms_key=kms_key,
        subnets=subnet, security_groups=security_group, deploy__instances=instances,
        deploy__memory_mb=memory, deploy__concurrency=concurrency,
    )  # fmt: skip
    if instance_type and serverless:
        raise RequestError("--instance-type and --serverless: take one of them")
    if instance_type or serverless:  # either on the command line replaces the file's
        cloud.deploy = DeploySettings.model_validate(
            {**cloud.deploy.model_dump(), "instance_type": instance_type,
             "serverless": bool(serverless)}
        )  # fmt: skip
    model = find(run, runs)
    endpoint = name or requests.resource_name(model.name)
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.tar.gz"
        calls = endpoints.plan_endpoint(cloud, endpoint, Path("model.tar.gz") if dry_run else file)
        if dry_run:
            show_calls(calls)
            return
        from textwright.sagemaker.client import AWS

        aws = AWS(cloud.region_name())
        if cloud.is_stock:
            say("bringing along what AWS's own container lacks")
        archive.package(model, file, wheels=cloud.is_stock)
        say(f"uploading {numbers.size(file.stat().st_size)}")
        endpoints.deploy(aws, calls, endpoint)
    say(f"endpoint {endpoint} is being made in {aws.region}")
    try:
        if not no_wait:
            endpoints.wait(aws, endpoint, say)
    except KeyboardInterrupt:
        say(f"\nit goes on. Look at it: textwright sagemaker status {endpoint}")
        say(f"remove it: textwright sagemaker delete {endpoint}")
        raise
    finally:
        address = f"s3://{calls[0].parameters['Bucket']}/{calls[0].parameters['Key']}"
        show_costs([costs.of_endpoint(cloud, endpoint), costs.of_storage(address)])
    typer.echo(endpoint)
    say(f'next: textwright sagemaker invoke {endpoint} "It was" --stream')
    say(f"remove it: textwright sagemaker delete {endpoint} --artifacts")


def invoke(
    endpoint: Annotated[str, typer.Argument(help="The endpoint.")],
    prompt: Annotated[str, typer.Argument(help="The text to continue.")] = "",
    max_tokens: MaxTokens = 200,
    temperature: Temperature = None,
    top_k: Annotated[int | None, typer.Option(help="Only the k likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Only the likeliest that together reach this.")
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="End before this string; may be repeated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same text.")] = None,
    sentences: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="End with the N-th sentence, its full stop included."
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Show the text as it is written.")
    ] = False,
    target_model: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Of an endpoint with many models, which: novel.tar.gz."),
    ] = None,
    settings: SettingsFile = None,
    region: Region = None,
    dry_run: DryRun = False,
) -> None:
    """Continue a prompt by an endpoint.

    textwright sagemaker invoke textwright-my-novel "It was" --stream
    """
    from textwright.sagemaker.requests import invoke_endpoint

    cloud = settings_from(settings, region=region)
    body = {"prompt": prompt, **defined({"max_tokens": max_tokens, "temperature": temperature,
            "top_k": top_k, "top_p": top_p, "stop": stop or None, "seed": seed})}  # fmt: skip
    call = invoke_endpoint(endpoint, body, stream=stream, target_model=target_model)
    if dry_run:
        show_calls([call])
        return
    from textwright.sagemaker import endpoint_client
    from textwright.sagemaker.client import AWS

    is_first = True
    pieces: Iterable[str] = endpoint_client.invoke(AWS(cloud.region_name()), call)
    for piece in endpoint_client.sentences(pieces, sentences) if sentences else pieces:
        typer.echo(prompt + piece if is_first else piece, nl=False)
        is_first = False
    typer.echo()


def delete(
    name: Annotated[str, typer.Argument(help="An endpoint, or a training job that runs.")],
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Also delete its files in the bucket.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask first.")] = False,
    settings: SettingsFile = None,
    region: Region = None,
    bucket: Bucket = None,
    dry_run: DryRun = False,
) -> None:
    """Delete an endpoint with its config and model, or stop a job, after asking.

    textwright sagemaker delete textwright-my-novel --artifacts
    """
    from textwright.cloud.calls import Call
    from textwright.sagemaker import endpoints, requests

    requests.check_resource_name(name)
    cloud = settings_from(settings, region=region, bucket=bucket)
    if artifacts:
        cloud.require("bucket")
    if dry_run:
        calls = requests.deletions(name, name, [name])
        if requests.job_ending(name):
            calls = [requests.stop_job(name)]
        listing = {"Bucket": cloud.bucket, "Prefix": requests.folder_of(cloud, name)}
        files = [Call("s3", "ListObjectsV2", listing)] if artifacts else []
        show_calls([*calls, *files])
        return
    from textwright.sagemaker.client import AWS

    aws = AWS(cloud.region_name())
    removal = endpoints.plan_removal(aws, name)
    if artifacts and removal.stops:
        raise RequestError(
            f"training job {name} runs, and writes files until it has ended; stop it without "
            "--artifacts, and delete its files then"
        )
    file_deletions = endpoints.plan_file_deletion(aws, cloud, name) if artifacts else []
    count = sum(len(call.parameters["Delete"]["Objects"]) for call in file_deletions)
    folder = f"s3://{cloud.bucket}/{requests.folder_of(cloud, name)}"
    things = [*removal.things, *([f"{counted(count, 'file')} below {folder}"] if count else [])]
    if artifacts and (other := removal.checkpoints) and not other.startswith(folder):
        say(f"what --checkpoint named stays, and costs: aws s3 rm --recursive {other}")
    if not things:
        say(f"nothing of {name} runs, or is left to delete")
        return
    if not yes and not confirmed(f"Delete {', '.join(things)}?"):
        raise RequestError("nothing was deleted")
    for call in (*removal.calls, *file_deletions):
        aws.send(call)
    for thing in things:
        typer.echo(f"told: {thing}" if removal.stops else f"deleted: {thing}")
    if not artifacts:
        say("its files in S3 stay, and cost a little: add --artifacts and --bucket to delete them")
