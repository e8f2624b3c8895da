"""SageMaker on this machine: moto's API, with containers that really run behind it.

moto answers for AWS's control plane, S3 and CloudWatch, and runs nothing. This gateway before it
does what moto leaves out: a training job is `sagemaker-entry train` in a folder of its own, fed
from S3 and emptied into it; an endpoint is `sagemaker-entry serve` on the unpacked archive; the
runtime passes requests on, and wraps a stream in AWS's event-stream messages.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from containers import free_port

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


Command = Callable[..., tuple[int, str, str]]
"""Runs `textwright sagemaker …`; gives exit code, output and errors."""

CALLED: set[tuple[str, str]] = set()
"""Every request that a command of these tests has sent."""


def environment(address: str) -> dict[str, str]:
    """The variables by which boto3 finds the stand-in at `address`."""
    return {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "testing", "AWS_MAX_ATTEMPTS": "1",
            "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip


@dataclass
class Job:
    """A training job, and the container that does it."""

    request: dict[str, Any]
    folder: Path
    process: subprocess.Popen[str] | None = None
    states: list[dict[str, Any]] = field(default_factory=list)
    status: str = "InProgress"
    reason: str | None = None
    model: bool = False
    stopping: bool = False

    def state(self, name: str, message: str) -> None:
        now = datetime.now(UTC).timestamp()
        self.states.append({"Status": name, "StartTime": now, "StatusMessage": message})


@dataclass
class Endpoint:
    """An endpoint, and the container that serves it."""

    process: subprocess.Popen[bytes]
    port: int


class Rehearsal:
    """The state behind the gateway."""

    def __init__(self, moto: str, folder: Path) -> None:
        import boto3

        self.moto, self.folder = moto, folder
        session = boto3.Session("testing", "testing", region_name="eu-west-1")
        self.s3 = session.client("s3", endpoint_url=moto)
        self.logs = session.client("logs", endpoint_url=moto)
        self.sagemaker = session.client("sagemaker", endpoint_url=moto)
        self.jobs: dict[str, Job] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.refuse: dict[str, tuple[int, str, str]] = {}
        """Operations that are answered by an error: status, code, message."""

    # Training
    def begin(self, request: dict[str, Any]) -> None:
        name = request["TrainingJobName"]
        job = self.jobs[name] = Job(request, self.folder / name)
        job.state("Starting", "Preparing the instances for training")
        threading.Thread(target=self._train, args=(name, job), daemon=True).start()

    def _train(self, name: str, job: Job) -> None:
        try:
            self._lay_out(job)
            job.state("Training", "Training image download completed. Training in progress.")
            code = self._run(name, job)
            self._collect(name, job, code)
        except Exception as error:
            job.status, job.reason = "Failed", f"the rehearsal failed: {error!r}"

    def _lay_out(self, job: Job) -> None:
        job.state("Downloading", "Downloading input data")
        config = job.folder / "input" / "config"
        config.mkdir(parents=True)
        channels = {given["ChannelName"]: given for given in job.request.get("InputDataConfig", [])}
        files = {
            "hyperparameters": job.request["HyperParameters"],
            "inputdataconfig": {name: {"TrainingInputMode": "File"} for name in channels},
            "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
        }
        for file, content in files.items():
            (config / f"{file}.json").write_text(json.dumps(content))
        for channel, given in channels.items():
            address = given["DataSource"]["S3DataSource"]["S3Uri"]
            self._download(address, job.folder / "input" / "data" / channel)
        self._download(job.request["CheckpointConfig"]["S3Uri"] + "/", job.folder / "checkpoints")

    def _run(self, name: str, job: Job) -> int:
        self.log(name, [])
        words, variables = self.training(job)
        job.process = subprocess.Popen(
            words, env={**variables, "TRAINING_JOB_NAME": name},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert job.process.stdout is not None
        with job.process.stdout as lines:
            for line in lines:
                self.log(name, [line])
        return job.process.wait()

    def training(self, job: Job) -> tuple[list[str], dict[str, str]]:
        """The command of a training container, and its environment."""
        words = [sys.executable, "-m", "textwright", "sagemaker-entry", "train"]
        return words, {**os.environ, "SAGEMAKER_BASE_DIR": str(job.folder)}

    def log(self, name: str, lines: list[str], host: str = "algo-1") -> None:
        """Put lines into the job's stream of CloudWatch."""
        stream = {"logGroupName": LOG_GROUP, "logStreamName": f"{name}/{host}-1700000000"}
        if not lines:
            with suppress(self.logs.exceptions.ResourceAlreadyExistsException):
                self.logs.create_log_group(logGroupName=LOG_GROUP)
            self.logs.create_log_stream(**stream)
            return
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line.rstrip("\n") or " "} for line in lines]
        self.logs.put_log_events(**stream, logEvents=events)

    def _collect(self, name: str, job: Job, code: int) -> None:
        job.state("Uploading", "Uploading generated training model")
        self._upload(job.folder / "checkpoints", job.request["CheckpointConfig"]["S3Uri"])
        output = f"{job.request['OutputDataConfig']['S3OutputPath']}/{name}/output"
        for folder, archive in (("model", "model"), ("output/data", "output")):
            if (job.folder / folder).is_dir():
                file = job.folder / f"{archive}.tar.gz"
                with tarfile.open(file, "w:gz") as tar:
                    tar.add(job.folder / folder, ".")
                self._put(file, f"{output}/{archive}.tar.gz")
        job.model = (job.folder / "model").is_dir()
        failure = job.folder / "output" / "failure"
        if job.stopping:
            job.status = "Stopped"
        elif code:
            said = failure.read_text() if failure.is_file() else ""
            job.status, job.reason = "Failed", f"AlgorithmError: {said}, exit code: {code}"
        else:
            job.status = "Completed"
        job.state(job.status, f"Training job {job.status.lower()}")

    def _download(self, address: str, folder: Path) -> None:
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            name = entry["Key"].removeprefix(prefix) or Path(entry["Key"]).name
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(bucket, entry["Key"], str(folder / name))

    def _upload(self, folder: Path, address: str) -> None:
        for file in folder.rglob("*"):
            if file.is_file():
                self._put(file, f"{address}/{file.relative_to(folder).as_posix()}")

    def _put(self, file: Path, address: str) -> None:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        self.s3.upload_file(str(file), bucket, key)

    def describe(self, description: dict[str, Any]) -> dict[str, Any]:
        job = self.jobs[description["TrainingJobName"]]
        description |= {
            "TrainingJobStatus": job.status, "SecondaryStatus": job.states[-1]["Status"],
            "SecondaryStatusTransitions": job.states,
        }  # fmt: skip
        if job.reason:
            description["FailureReason"] = job.reason[:1024]
        if not job.model:
            description.pop("ModelArtifacts", None)
        return description

    def stop(self, name: str) -> None:
        job = self.jobs[name]
        job.stopping = True
        assert job.process is not None
        job.process.send_signal(signal.SIGTERM)

    # Hosting
    def serve(self, request: dict[str, Any]) -> None:
        name = request["EndpointName"]
        config = self.sagemaker.describe_endpoint_config(
            EndpointConfigName=request["EndpointConfigName"]
        )
        model = self.sagemaker.describe_model(
            ModelName=config["ProductionVariants"][0]["ModelName"]
        )
        bucket, _, key = model["PrimaryContainer"]["ModelDataUrl"][5:].partition("/")
        folder = Path(tempfile.mkdtemp(prefix=f"endpoint-{name}-", dir=self.folder))
        self.s3.download_file(bucket, key, str(folder / "model.tar.gz"))
        with tarfile.open(folder / "model.tar.gz") as tar:
            tar.extractall(folder / "model", filter="data")
        port = free_port()
        words, variables = self.hosting(folder)
        variables |= model["PrimaryContainer"].get("Environment", {})
        variables["SAGEMAKER_BIND_TO_PORT"] = str(port)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(words, env=variables, cwd=folder, stdout=log, stderr=log)
        self.endpoints[name] = Endpoint(process, port)

    def hosting(self, folder: Path) -> tuple[list[str], dict[str, str]]:
        """The command of a hosting container, and its environment."""
        words = [sys.executable, "-m", "textwright", "sagemaker-entry", "serve"]
        return words, {**os.environ, "SAGEMAKER_BASE_DIR": str(folder)}

    def endpoint_status(self, name: str) -> dict[str, Any]:
        endpoint = self.endpoints[name]
        if endpoint.process.poll() is not None:
            return {"EndpointStatus": "Failed", "FailureReason": "The container did not start."}
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=2)) as way:
                way.request("GET", "/ping")
                with way.getresponse() as answer:
                    healthy = answer.status == 200
        except OSError:
            healthy = False
        return {"EndpointStatus": "InService" if healthy else "Creating"}

    def end(self, name: str) -> None:
        endpoint = self.endpoints.pop(name, None)
        if endpoint is not None:
            self.shut_down(endpoint.process)
            endpoint.process.wait(200)

    def shut_down(self, hosting: subprocess.Popen[bytes]) -> None:
        """Have a hosting container end."""
        hosting.terminate()

    def close(self) -> None:
        for name in list(self.endpoints):
            self.end(name)
        for job in self.jobs.values():
            if job.process is not None and job.process.poll() is None:
                job.process.kill()
                job.process.wait()


def message(payload: bytes, headers: dict[str, str]) -> bytes:
    """One message of AWS's event-stream encoding: lengths, headers, payload, checksums."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07"
        + struct.pack("!H", len(value)) + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    body = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return body + struct.pack("!I", zlib.crc32(body))


class _Handler(BaseHTTPRequestHandler):
    rehearsal: Rehearsal
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        body = self._body()
        operation = self.headers.get("X-Amz-Target", "").removeprefix("SageMaker.")
        if refused := self.rehearsal.refuse.get(operation or self.command):
            self._refuse(*refused)
        elif self.path.startswith("/endpoints/"):
            self._invoke(body)
        elif self.headers.get("X-Amz-Target", "").startswith("SageMaker."):
            self._control(operation, json.loads(body or b"{}"), body)
        else:
            self._answer(*self._forward(body))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        host = self.rehearsal.moto.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=200)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "transfer-encoding"}
        connection.request(
            self.command, self.path, body, {**headers, "Content-Length": str(len(body))}
        )
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in (
                "content-length",
                "transfer-encoding",
                "connection",
                "server",
                "date",
            ):
                self.send_header(name, value)
        length = {n.lower(): v for n, v in headers}.get("content-length", "0")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _json(self, data: dict[str, Any], status: int = 200, kind: str = "") -> None:
        headers = [("Content-Type", "application/x-amz-json-1.1")]
        if kind:
            headers.append(("x-amzn-ErrorType", kind))
        self._answer(status, headers, json.dumps(data).encode())

    def _refuse(self, status: int, code: str, text: str) -> None:
        self._json({"__type": code, "message": text, "Message": text}, status, code)

    def _control(self, operation: str, request: dict[str, Any], body: bytes) -> None:
        rehearsal = self.rehearsal
        if operation == "StopTrainingJob":  # moto has none
            rehearsal.stop(request["TrainingJobName"])
            self._json({})
            return
        status, headers, data = self._forward(body)
        if status == 200:
            if operation == "CreateTrainingJob":
                rehearsal.begin(request)
            elif operation == "CreateEndpoint":
                rehearsal.serve(request)
            elif operation == "DeleteEndpoint":
                rehearsal.end(request["EndpointName"])
            elif operation == "DescribeTrainingJob":
                data = json.dumps(rehearsal.describe(json.loads(data))).encode()
            elif operation == "DescribeEndpoint":
                state = rehearsal.endpoint_status(request["EndpointName"])
                data = json.dumps({**json.loads(data), **state}).encode()
        self._answer(status, headers, data)

    def _invoke(self, body: bytes) -> None:
        _, _, name, how = self.path.split("/", 3)
        endpoint = self.rehearsal.endpoints.get(name)
        if endpoint is None:
            self._refuse(
                400, "ValidationError", f"Endpoint {name} of account 123456789012 not found."
            )
            return
        with closing(http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=200)) as way:
            wanted = {"Content-Type": self.headers["Content-Type"]}
            way.request("POST", "/invocations", body, wanted)
            with way.getresponse() as answer:
                self._pass_on(answer, stream=how != "invocations")

    def _pass_on(self, answer: http.client.HTTPResponse, *, stream: bool) -> None:
        if answer.status >= 400:
            said = answer.read().decode()
            text = f"Received client error ({answer.status}) from primary"
            details = {
                "Message": text,
                "OriginalStatusCode": answer.status,
                "OriginalMessage": said,
            }
            self._json(details, 424, "ModelError")
            return
        if not stream:
            self._answer(200, [("Content-Type", "application/json")], answer.read())
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while part := answer.read(37):  # ends in the middle of lines, and of characters
            headers = {":message-type": "event", ":event-type": "PayloadPart",
                       ":content-type": "application/octet-stream"}  # fmt: skip
            data = message(part, headers)
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may hang up
            super().handle_error(request, client_address)


@contextmanager
def rehearsed(folder: Path, kind: type[Rehearsal] = Rehearsal) -> Iterator[tuple[str, Rehearsal]]:
    """The address of the gateway, and what is behind it, with a bucket `my-bucket`."""
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        moto = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert moto.poll() is None, (folder / "moto.log").read_text()
            time.sleep(0.1)
        rehearsal = kind(f"http://127.0.0.1:{port}", folder)
        handler = type("Handler", (_Handler,), {"rehearsal": rehearsal})
        server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = {"LocationConstraint": "eu-west-1"}
        rehearsal.s3.create_bucket(Bucket="my-bucket", CreateBucketConfiguration=where)
        try:
            yield f"http://127.0.0.1:{server.server_port}", rehearsal
        finally:
            rehearsal.close()
            server.shutdown()
            server.server_close()
    finally:
        moto.terminate()
        moto.wait(200)
