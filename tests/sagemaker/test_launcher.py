"""The launcher from a text to an endpoint and back to nothing: moto for AWS, real containers."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from rehearsal import CALLED, Command, Rehearsal, environment, message, rehearsed

import textwright
from textwright.sagemaker import endpoints
from textwright.sagemaker.client import AWS, action
from textwright.sagemaker.endpoints import wait
from textwright.sagemaker.monitor import _Log

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Rehearsal]]:
    pytest.importorskip("moto", reason="needs the package moto")
    pytest.importorskip("flask_cors", reason="needs the package moto[server]")
    with rehearsed(tmp_path_factory.mktemp("cloud")) as (address, rehearsal):
        yield address, rehearsal


def test_train_deploy_invoke_and_delete_leave_nothing_behind(
    command: Command, account: Rehearsal, text_file: Path, tmp_path: Path
) -> None:
    code, out, said = command("train", str(text_file), "--steps", "6", "--name", "novel", "--wait",
                              "--set", "eval_every=3", "--spot", "--tag", "team=prose")  # fmt: skip
    assert code == 0, said
    assert "Downloading" in said and re.search(r"step 6/6 .*val_loss \d", said)
    assert "costs money:" in said and "about $0.23 an hour (estimate" in said
    run = Path(out.strip())
    assert run == tmp_path / "runs" / "novel"
    files = {file.name for file in run.iterdir()}
    assert files >= {"run.toml", "metrics.jsonl", "samples.jsonl", "report.html", "README.md"}
    assert "code" not in files
    assert textwright.load(run).generate("The", max_tokens=5, seed=1).tokens
    (job,) = account.jobs
    assert account.jobs[job].request["Tags"][0] == {"Key": "team", "Value": "prose"}

    code, out, said = command("deploy", "novel", "--instance-type", "ml.m5.large")
    assert (code, out) == (0, "textwright-novel\n"), said
    assert "InService" in said and "delete textwright-novel" in said
    ask = ("invoke", "textwright-novel", "The é", "-n", "60", "--seed", "7", "--temperature", "0.9")
    code, whole, said = command(*ask)
    assert code == 0, said
    here = textwright.load(run).generate("The é", max_tokens=60, seed=7, temperature=0.9)
    assert whole == f"{here}\n"
    code, streamed, said = command(*ask, "--stream")
    assert code == 0 and streamed == whole, said
    code, _, said = command("invoke", "textwright-novel", "The", "-n", "-3")
    assert code == 2 and said.startswith("error: the model answered 4"), said

    code, out, said = command("deploy", "novel", "--serverless")
    assert code == 2 and "there is an endpoint textwright-novel already" in said
    code, out, said = command("status")
    assert code == 0 and job in out and re.search(r"endpoint +textwright-novel +InService", out)
    assert "endpoint textwright-novel: textwright sagemaker delete textwright-novel" in said
    code, out, _ = command("status", job)
    assert code == 0 and "Completed" in out and f"my-bucket/textwright/{job}/checkpoints" in out
    code, out, _ = command("status", "textwright-novel", "--json")
    assert json.loads(out)["status"] == "InService"

    code, out, said = command("delete", "textwright-novel", "--artifacts", "--yes")
    assert code == 0, said
    assert out.count("deleted: ") == 4 and "1 file below s3://my-bucket" in out
    code, out, said = command("delete", job, "--artifacts", "--yes")
    assert code == 0, said
    assert "Contents" not in account.s3.list_objects_v2(Bucket="my-bucket")
    code, _, said = command("delete", "textwright-novel", "--yes")
    assert code == 2 and "no endpoint and no training job textwright-novel" in said
    code, out, said = command("status", "--json")
    assert [entry["kind"] for entry in json.loads(out)] == ["training job"]
    assert not any(entry["costs"] for entry in json.loads(out))


def test_a_job_that_fails_says_why_and_one_with_all_its_epochs_writes_samples(
    command: Command, account: Rehearsal, text_file: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.txt"
    short.write_text("a")
    code, out, said = command("train", str(short), "--steps", "6", "--wait")
    assert code == 1 and not out, said
    assert re.search(r"error: training job \S+ failed: AlgorithmError: \S.*, exit code: 1", said)
    assert "Traceback" not in said

    kept = ("--checkpoint", "s3://my-bucket/kept", "--set", "training.batch_size=64")
    words = ("train", str(text_file), "--epochs", "0.5", "--name", "kept", "--wait", *kept)
    code, first, said = command(*words)
    assert code == 0 and re.search(r"epoch \S+  step \d+/\d+", said), said
    assert "s3://my-bucket/kept: storage in S3" in said
    code, again, said = command(*words)
    assert code == 0, said
    assert "trained" in said and said.count("sample: ") == 3
    assert not re.search(r"epoch \S+  step \d+/\d+", said)
    assert again.strip() == f"{first.strip()}-2"
    models = [Path(run.strip()) / "model.safetensors" for run in (first, again)]
    assert models[0].read_bytes() == models[1].read_bytes()
    code, _, said = command("delete", next(reversed(account.jobs)), "--artifacts", "--yes")
    assert code == 0 and "aws s3 rm --recursive s3://my-bucket/kept" in said


def _read_until(screen: Any, pattern: str) -> str:
    """What a terminal shows without its colours, until it shows this."""
    said = b""
    while True:
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode("utf-8", "replace"))
        if re.search(pattern, shown):
            return shown
        try:
            said += screen.read(4096)
        except OSError:  # the other end is closed
            return shown


def test_ctrl_c_leaves_the_job_running_and_delete_stops_it(
    command: Command, account: Rehearsal, cloud: tuple[str, Rehearsal], text_file: Path
) -> None:
    terminal, end = pty.openpty()  # a bar below the log, as a person sees it
    watching = subprocess.Popen(
        [sys.executable, "-m", "textwright", "sagemaker", "train", str(text_file), "--wait",
         "--steps", "200000", "--set", "checkpoint_every=50", "--set", "eval_every=100",
         "--name", "long"],
        env={**os.environ, **environment(cloud[0]), "COLUMNS": "160", "TERM": "xterm"}, stderr=end,
    )  # fmt: skip
    os.close(end)
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        said = _read_until(screen, r"Training +\d+/200000 .*loss \d")
        watching.send_signal(signal.SIGINT)
        said += _read_until(screen, r"costs money.*\n.*\n.*\n")
    assert watching.wait(200) == 130, said
    assert re.search(r"epoch \S+  step \d+/200000", said)
    found = re.search(
        r"the job goes on. Follow it: textwright sagemaker (status (\S+) --follow)", said
    )
    assert found is not None and f"stop it: textwright sagemaker delete {found[2]}" in said
    job = account.jobs[found[2]]
    assert job.status == "InProgress" and job.process is not None and job.process.poll() is None
    code, _, said = command("delete", found[2], "--yes", "--artifacts")
    assert code == 2 and "writes files until it has ended" in said
    code, out, said = command("delete", found[2], "--yes")
    assert code == 0 and "it saves, and is stopped" in out, said
    code, out, said = command(*found[1].split())
    assert code == 0 and "was stopped" in said, said
    assert out.strip().endswith("/runs/long")
    assert textwright.load(out.strip()).generate("The", max_tokens=5, seed=1).tokens


def test_waiting_for_an_endpoint_that_breaks_and_giving_up_waiting(
    command: Command, account: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "textwright-shakespeare"

    def breaks(seconds: float) -> None:
        account.endpoints[name].process.kill()
        account.endpoints[name].process.wait()

    def gives_up(seconds: float) -> None:
        raise KeyboardInterrupt

    for happens, code, last in (
        (breaks, 1, rf"Failed\): The container did not start.*/Endpoints/{name}; remove it: "),
        (gives_up, 130, f"it goes on. Look at it: textwright sagemaker status {name}\nremove it: "),
    ):
        monkeypatch.setattr(endpoints, "wait", partial(wait, sleep=happens))
        ended, out, said = command("deploy", "shakespeare", "--instance-type", "ml.m5.large")
        assert (ended, out) == (code, "") and "Traceback" not in said, said
        assert re.search(f"{last}textwright sagemaker delete {name}", said), said
        assert re.search(
            f"costs money:\n  endpoint {name}: 1 × ml.m5.large until .*\n  s3://", said
        )
        ended, out, said = command("delete", name, "--artifacts", "--yes")
        assert ended == 0 and out.count("deleted: ") == 4, said


def test_what_aws_refuses_is_one_line_with_a_remedy(
    command: Command, account: Rehearsal, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*words: str) -> str:
        code, out, said = command(*words)
        assert code in (1, 2) and not out.strip() and "Traceback" not in said
        return said.splitlines()[-1]

    train = ("train", str(text_file), "--steps", "4")
    assert "there is no bucket none-such; make it (aws s3 mb" in refused(
        *train, "--bucket", "none-such"
    )
    where = {"LocationConstraint": "us-west-2"}
    west = boto3.client("s3", "us-west-2", endpoint_url=account.moto)
    west.create_bucket(Bucket="far-bucket", CreateBucketConfiguration=where)
    assert "far-bucket lies in us-west-2" in refused(*train, "--bucket", "far-bucket")

    account.refuse["CreateTrainingJob"] = (
        400,
        "AccessDeniedException",
        "User: me is not authorized",
    )
    said = refused(*train)
    assert (
        "AWS denies sagemaker:CreateTrainingJob: User: me" in said and "docs/sagemaker.md" in said
    )
    account.refuse["CreateTrainingJob"] = (
        400, "ResourceLimitExceeded", "The account-level service limit 'ml.m5.xlarge' is 0"
    )  # fmt: skip
    assert "a quota of the account is used up" in refused(*train)
    account.refuse["CreateTrainingJob"] = (400, "ValidationException", "RoleArn: is not assumable")
    assert "AWS refuses CreateTrainingJob (ValidationException): RoleArn" in refused(*train)
    account.refuse["CreateTrainingJob"] = (400, "ExpiredTokenException", "expired")
    assert "the AWS credentials have expired" in refused(*train)
    account.refuse = {"PUT": (403, "AccessDenied", "Access Denied")}
    assert "AWS denies s3:PutObject" in refused(*train)

    account.refuse = {"CreateEndpoint": (400, "ResourceLimitExceeded", "limit")}
    said = refused("deploy", "shakespeare", "--serverless")
    assert (
        "Model textwright-shakespeare and EndpointConfig textwright-shakespeare are there" in said
    )
    asked = "Delete endpoint config textwright-shakespeare, model textwright-shakespeare?"
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert asked in (said := refused("delete", "textwright-shakespeare"))
    assert "nothing was deleted" in said
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert "nobody answered" in refused("delete", "textwright-shakespeare")
    code, out, said = command("delete", "textwright-shakespeare", "--yes", "--artifacts")
    assert code == 0 and out.count("deleted:") == 3, said
    account.refuse.clear()
    assert "not found" in refused("invoke", "no-such", "The")
    assert "check the name" in refused("status", "no-such", "--follow")
    assert "no endpoint and no training job no-such" in refused("status", "no-such")
    assert refused("delete", "no-such") == refused("status", "no-such")


def test_the_logs_of_several_hosts_are_told_apart(account: Rehearsal) -> None:
    for host in ("algo-1", "algo-12"):
        account.log("textwright-many", [], host)
        account.log("textwright-many", ["first\n"], host)
    log = _Log(AWS("eu-west-1"), "textwright-many")
    assert sorted(log.new_lines()) == ["[algo-12] first", "[algo-1] first"]
    assert log.new_lines() == []
    account.log("textwright-many", ["second\n"], "algo-12")
    assert log.new_lines() == ["[algo-12] second"]


def test_a_stream_that_breaks_off_says_so(
    account: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The messages of the stand-in are read by botocore's own decoder, errors in the stream too."""
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    headers = {":message-type": "exception", ":exception-type": "ModelStreamError"}
    data = message("é".encode(), {":event-type": "PayloadPart"}) + message(b"{}", headers)
    for place in range(0, len(data), 5):
        buffer.add_data(data[place : place + 5])
    events = list(buffer)
    assert events[0].payload.decode() == "é"
    assert events[1].to_response_dict()["status_code"] == 400


def test_the_policy_in_the_page_has_what_is_called_and_nothing_else(
    request: pytest.FixtureRequest,
) -> None:
    """Runs last: by now the tests above have sent every request that the launcher knows."""
    chosen = {item.name for item in request.session.items if item.path == request.path}
    if any(name.startswith("test_") and name not in chosen for name in globals()):
        pytest.skip("looks at what the tests above have sent; run them all")
    pytest.importorskip("moto", reason="needs the package moto")
    page = Path(__file__).parents[2] / "docs" / "sagemaker.md"
    (policy,) = re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    allowed = {name for part in json.loads(policy)["Statement"] for name in part["Action"]}
    called = {action(service, operation) for service, operation in CALLED}
    implied = {
        "iam:PassRole", "sagemaker:AddTags",  # of requests with a role, with tags
        "s3:AbortMultipartUpload",  # of an upload in parts that fails
    }  # fmt: skip
    assert called <= allowed, sorted(called - allowed)
    assert allowed - called == implied
