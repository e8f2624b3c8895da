"""The launcher's requests: what `--dry-run` prints, checked against AWS's own service models."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from textwright.cli.app import main
from textwright.cloud.following import parse_evaluation
from textwright.errors import RequestError, TextwrightError
from textwright.sagemaker import costs, launch, requests, stock
from textwright.sagemaker.endpoint_client import sentences
from textwright.sagemaker.monitor import follow
from textwright.sagemaker.settings import load_settings

ACCOUNT = ["--region", "eu-west-1", "--bucket", "my-bucket",
           "--role", "arn:aws:iam::111122223333:role/textwright"]  # fmt: skip
EXAMPLE = Path(__file__).parents[2] / "examples" / "sagemaker.toml"


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, no region and no network that a request could go to."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION",
                 "AWS_DEFAULT_REGION", "TEXTWRIGHT_SAGEMAKER"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def dry_run(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    with pytest.raises(SystemExit) as end:
        main(["sagemaker", *words, "--dry-run"])
    said = capsys.readouterr()
    assert end.value.code == 0, said.err
    calls: list[dict[str, Any]] = json.loads(said.out)
    return calls


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["sagemaker", *words])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1, said
    return said


@cache
def service_model(service: str) -> Any:
    """AWS's published description of a service; reading it takes a second."""
    from botocore.session import get_session

    return get_session().get_service_model(service)


def validate(calls: list[dict[str, Any]]) -> None:
    """Every request is one that AWS's published models allow, in names, types, ranges."""
    pytest.importorskip("botocore", reason="needs the package boto3")
    from botocore.validate import ParamValidator

    for call in calls:
        service = service_model(call["service"])
        shape = service.operation_model(call["operation"]).input_shape
        report = ParamValidator().validate(call["parameters"], shape)
        assert not report.has_errors(), report.generate_report()
        _check_patterns(call["parameters"], shape, call["operation"])


def _check_patterns(value: Any, shape: Any, where: str) -> None:
    """botocore leaves patterns and enumerations to the service; here they are looked at too."""
    regex = pytest.importorskip("regex", reason="needs the package regex")  # knows \\p
    if shape.type_name == "structure":
        for name, part in value.items():
            _check_patterns(part, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for part in value:
            _check_patterns(part, shape.member, where)
    elif shape.type_name == "map":
        for name, part in value.items():
            _check_patterns(name, shape.key, f"{where}.{name}")
            _check_patterns(part, shape.value, f"{where}.{name}")
    elif shape.type_name == "string":
        if shape.enum:
            assert value in shape.enum, where
        if pattern := shape.metadata.get("pattern"):
            assert regex.fullmatch(pattern, value), f"{where}: {value!r} is not {pattern}"


def test_training_is_an_upload_and_a_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts" / "more").mkdir(parents=True)
    (tmp_path / "texts" / "one.txt").write_text("One.")
    (tmp_path / "texts" / "more" / "two.txt").write_text("Two.")
    (tmp_path / "texts" / ".hidden").write_text("No.")
    calls = dry_run(
        capsys, "train", str(tmp_path / "texts"), *ACCOUNT, "--spot", "--max-runtime", "2h",
        "--epochs", "3", "--set", "tokenizer=bpe", "--set", "model.dropout=0.1", "--tag", "a=b",
        "--kms-key", "alias/mine", "--subnet", "subnet-1", "--security-group", "sg-1",
        "--instance-type", "ml.g5.xlarge", "--instances", "2", "--name", "my novel",
        "--val", "s3://my-bucket/val.txt",
    )  # fmt: skip
    validate(calls)
    assert [call["operation"] for call in calls] == ["PutObject", "PutObject", "CreateTrainingJob"]
    keys = [call["parameters"]["Key"].split("/input/")[1] for call in calls[:2]]
    assert keys == ["train/more/two.txt", "train/one.txt"]
    job = calls[2]["parameters"]
    assert job["TrainingJobName"].startswith("textwright-my-novel-20")
    assert job["HyperParameters"] == {"epochs": "3", "tokenizer": "bpe", "model.dropout": "0.1"}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    assert job["ResourceConfig"] == {
        "InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30
    }, "a machine with disks of its own takes no key for its volume"  # fmt: skip
    assert job["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert {"Key": "a", "Value": "b"} in job["Tags"]
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in job["InputDataConfig"]
    }
    assert channels["validation"] == "s3://my-bucket/val.txt"
    assert channels["train"].endswith("/input/train/")


def test_in_aws_own_containers_what_they_lack_goes_along(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.txt").write_text("One.")
    words = ["train", str(tmp_path / "one.txt"), *ACCOUNT, "--image", "aws-pytorch"]
    calls = dry_run(capsys, *words)
    validate(calls)
    key, job = calls[1]["parameters"]["Key"], calls[2]["parameters"]
    assert key.endswith("/input/code/sourcedir.tar.gz")
    algorithm = job["AlgorithmSpecification"]
    assert re.fullmatch(
        r"763104351884\.dkr\.ecr\.eu-west-1\.amazonaws\.com/pytorch-training:2\.\d+\.\d+-cpu-py\d+"
        r"-ubuntu22\.04-sagemaker", algorithm["TrainingImage"],
    )  # fmt: skip
    assert "/opt/ml/input/data/code/sourcedir.tar.gz" in algorithm["ContainerEntrypoint"][-1]
    assert job["InputDataConfig"][-1]["ChannelName"] == "code"
    on_gpu = dry_run(capsys, *words, "--instance-type", "ml.g5.xlarge")[2]["parameters"]
    assert "-gpu-" in on_gpu["AlgorithmSpecification"]["TrainingImage"]
    calls = dry_run(capsys, "deploy", "shakespeare", *ACCOUNT, "--image", "aws-pytorch",
                    "--instance-type", "ml.g5.xlarge", "--region", "cn-north-1")  # fmt: skip
    validate(calls)
    image = calls[1]["parameters"]["PrimaryContainer"]["Image"]
    assert image.startswith("727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-inference:")


def test_what_goes_along_to_train_is_the_extra_but_for_torch() -> None:
    needed = [line.split(";")[0].strip() for line in metadata.requires("textwright") or []
              if "extra == 'train'" in line.replace('"', "'")]  # fmt: skip
    assert set(stock.TRAINING.needs[1:]) == {line for line in needed if "torch" not in line}


def test_metrics_are_picked_from_the_lines_that_training_writes() -> None:
    line = (
        "epoch 0.36  step 174/346  train_loss 1.9068  val_loss 1.8373  bits_per_char 2.6507  "
        "tokens_per_second 20429  seconds 20.5  best"
    )
    numbers = {"train_loss": 1.9068, "val_loss": 1.8373, "bits_per_char": 2.6507}
    assert parse_evaluation(line) == (174, 346, {**numbers, "tokens_per_second": 20429.0})
    assert parse_evaluation("  | step by step, val_loss 1") is None
    assert parse_evaluation("  | a misstep 3/4 of the way") is None


class Answers:
    """AWS whose job has one more of `statuses` at each query, and a log line with it."""

    def __init__(self, statuses: list[str]) -> None:
        self.statuses, self.queries = statuses, 0

    def query(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "GetLogEvents":
            token = str(self.queries)
            new = parameters.get("nextToken") != token
            line = f"step {self.queries}/3  train_loss {self.queries}.5\n"
            return {"events": [{"message": line}] if new else [], "nextForwardToken": token}
        self.queries += 1
        ended = self.queries == len(self.statuses)
        return {
            "TrainingJobStatus": self.statuses[-1] if ended else "InProgress",
            "FailureReason": "AlgorithmError: no text",
            "SecondaryStatusTransitions": [{"Status": s} for s in self.statuses[: self.queries]],
        }

    def pages(self, service: str, operation: str, **parameters: Any) -> list[dict[str, Any]]:
        return [{"logStreams": [{"logStreamName": "job/algo-1-17"}]}]


class Seen:
    """All that an observer of a job is called with."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.lines: list[str] = []
        self.losses: list[tuple[int, int, dict[str, float]]] = []

    def state(self, name: str, message: str) -> None:
        self.states.append(name)

    def log_line(self, text: str) -> None:
        self.lines.append(text)

    def metrics(self, step: int, steps: int, values: dict[str, float]) -> None:
        self.losses.append((step, steps, values))


def test_who_follows_a_job_gets_each_state_and_each_line_once() -> None:
    aws, seen, slept = Answers(["Starting", "Training", "Completed"]), Seen(), []
    described = follow(aws, "job", seen, every=7.0, sleep=slept.append)  # type: ignore[arg-type]
    assert described["TrainingJobStatus"] == "Completed"
    assert seen.states == ["Starting", "Training", "Completed"]
    assert seen.lines == [f"step {n}/3  train_loss {n}.5" for n in (1, 2, 3)]
    assert seen.losses == [(n, 3, {"train_loss": n + 0.5}) for n in (1, 2, 3)]
    assert slept == [7.0, 7.0]

    aws, seen = Answers(["Starting", "Failed"]), Seen()
    with pytest.raises(TextwrightError, match="training job job failed: AlgorithmError: no text"):
        follow(aws, "job", seen, sleep=slept.append)  # type: ignore[arg-type]
    assert seen.states == ["Starting", "Failed"]


def test_what_is_in_s3_already_stays_there_and_what_has_a_name_is_fetched(tmp_path: Path) -> None:
    settings = load_settings(EXAMPLE, {})
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    plan = launch.plan_job(settings, ["s3://a-bucket/x/novel.txt"], moment=moment)
    assert not plan.uploads and plan.job == "textwright-novel-20260101-120000"
    settings.train.hyperparameters = {"steps": 4}
    plan = launch.plan_job(settings, ["shakespeare"], moment=moment)
    assert plan.create.parameters["HyperParameters"] == {"steps": "4", "corpus": "shakespeare"}
    assert "InputDataConfig" not in plan.create.parameters
    text = tmp_path / "text.txt"
    text.write_text("A text.")
    plan = launch.plan_job(settings, [str(text), "s3://a-bucket/y"], moment=moment)
    names = [channel["ChannelName"] for channel in plan.create.parameters["InputDataConfig"]]
    assert names == ["text-1", "text-2"] and len(plan.uploads) == 1
    validate([call.to_json() for call in plan.calls])


SERVED_ON = [["--serverless", "--memory", "2048"],
             ["--instance-type", "ml.m5.large", "--instances", "2"]]  # fmt: skip


@pytest.mark.parametrize("where", SERVED_ON)
def test_deploying_is_an_archive_a_model_a_config_and_an_endpoint(
    where: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = dry_run(capsys, "deploy", "shakespeare", *ACCOUNT, *where, "--kms-key", "alias/mine")
    validate(calls)
    operations = [call["operation"] for call in calls]
    assert operations == ["PutObject", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    (variant,) = calls[2]["parameters"]["ProductionVariants"]
    assert ("ServerlessConfig" in variant) == ("--serverless" in where)
    assert ("KmsKeyId" in calls[2]["parameters"]) == ("--serverless" not in where)
    container = calls[1]["parameters"]["PrimaryContainer"]
    key = calls[0]["parameters"]["Key"]
    assert container["ModelDataUrl"] == f"s3://my-bucket/{key}"
    assert container["Image"].startswith("111122223333.dkr.ecr.eu-west-1.amazonaws.com/textwright:")


def test_the_rest_says_what_it_would_send_too(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["invoke", "e", "It was", "-n", "5"], ["invoke", "e", "It was", "--stream"],
                  ["delete", "e", "--artifacts", "--bucket", "my-bucket"], ["status"],
                  ["status", "e"]):  # fmt: skip
        validate(dry_run(capsys, *words))
    job = "textwright-novel-20260101-120000"
    (stop,) = dry_run(capsys, "delete", job)
    assert stop["operation"] == "StopTrainingJob" and stop["parameters"]["TrainingJobName"] == job
    validate([stop])


def test_the_example_holds_settings_and_the_command_line_goes_before_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "novel.txt"
    text.write_text("A text.")
    words = ["train", str(text), "--settings", str(EXAMPLE)]
    job = dry_run(capsys, *words)[1]["parameters"]
    assert job["CheckpointConfig"]["S3Uri"] == "s3://my-bucket/novel/checkpoints"
    assert job["HyperParameters"]["training.patience"] == "5"  # dotted, though TOML reads a table
    assert job["HyperParameters"]["epochs"] == "10" and job["EnableManagedSpotTraining"]
    job = dry_run(capsys, *words, "--steps", "5", "--set", "seed=3")[1]["parameters"]
    assert "epochs" not in job["HyperParameters"] and job["HyperParameters"]["steps"] == "5"
    assert job["HyperParameters"]["seed"] == "3" and job["HyperParameters"]["tokenizer"] == "bpe"
    as_json = EXAMPLE.with_suffix(".json")
    assert load_settings(as_json, {}) == load_settings(EXAMPLE, {})
    validate(dry_run(capsys, "deploy", "shakespeare", "--settings", str(as_json)))


@pytest.mark.parametrize(
    ("words", "said"),
    [(["train", "no.txt", *ACCOUNT], "no.txt does not exist"),
     (["train", "-", *ACCOUNT], "standard input can't be uploaded"),
     (["train", *ACCOUNT], "no text is named"),
     (["train", "s3://my-bucket", *ACCOUNT], "write s3://BUCKET/FOLDER"),
     (["train", "shakespeare", "s3://b-bucket/x", *ACCOUNT], "fetches one text"),
     (["train", "shakespeare", *ACCOUNT, "--set", "epoch=3"], "did you mean 'epochs'"),
     (["train", "shakespeare", *ACCOUNT, "--set", "training.step=3"], "training.step"),
     (["train", "shakespeare", *ACCOUNT, "--steps", "3", "--epochs", "1"], "take one of them"),
     (["train", "shakespeare", *ACCOUNT, "--max-runtime", "2y"], "e.g. 2h"),
     (["train", "shakespeare", *ACCOUNT, "--instance-type", "m5.large"], "like ml.m5.xlarge"),
     (["train", "shakespeare", *ACCOUNT, "--checkpoint", "here"], "like s3://my-bucket/novel"),
     (["deploy", "shakespeare", "--bucket", "s3://b"], "--bucket s3://b: write it like my-bucket"),
     (["delete", "", "--artifacts", *ACCOUNT[:4]], "is no name for AWS"),
     (["train", "shakespeare", *ACCOUNT, "--subnet", "s"], "--security-group"),
     (["train", "shakespeare", *ACCOUNT, "--tag", "a"], "--tag KEY=VALUE"),
     (["train", "shakespeare", *ACCOUNT, "--then", "chat"], "add --wait"),
     (["train", "shakespeare", *ACCOUNT[:4]], "no role is told; give --role"),
     (["train", "shakespeare", *ACCOUNT[:4], "--role", "me"], "arn:aws:iam::ACCOUNT:role/NAME"),
     (["train", "shakespeare", *ACCOUNT[2:]], "no region is told; give --region"),
     (["train", "shakespeare", "--settings", "none.toml"], "no settings file none.toml"),
     (["deploy", "shakespeare", *ACCOUNT], "--instance-type, e.g. ml.m5.large, or --serverless"),
     (["deploy", "shakespeare", *ACCOUNT, "--serverless", "--subnet", "a", "--security-group",
       "b"], "can't be in a VPC"),
     (["deploy", "shakespeare", *ACCOUNT, "--serverless", "--memory", "1000"], "--memory 1000: "),
     (["train", "shakespeare", *ACCOUNT, "--instance-type", "ml.p2.xlarge", "--settings",
       str(EXAMPLE)], "error: --instance-type ml.p2.xlarge: AWS has retired ml.p2; take ml.g5.x"),
     (["train", "shakespeare", *ACCOUNT, "--image", "aws-pytorch", "--instance-type",
       "ml.p3.2xlarge"], "are older than aws-pytorch trains on (CUDA 13); take ml.g4dn.xlarge"),
     (["deploy", "shakespeare", *ACCOUNT, "--image", "aws-pytorch", "--instance-type",
       "ml.c7g.large"], "ml.c7g.large has ARM processors"),
     (["deploy", "shakespeare", *ACCOUNT, "--image", "aws-pytorch", "--serverless", "--region",
       "xx-west-1"], "no registry of AWS's PyTorch containers is known in xx-west-1"),
     (["package", "shakespeare", "--image", "mine"], "only aws-pytorch needs more"),
     (["deploy", "shakespeare", *ACCOUNT, "--serverless", "--name", "a_b"], "no name for AWS"),
     (["deploy", "nothing", *ACCOUNT, "--serverless"], "no run 'nothing'"),
     (["status", "--follow"], "name the job to follow")],
)  # fmt: skip
def test_a_wrong_request_is_one_line_that_says_what_to_do(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *words)


def test_a_setting_that_is_unknown_offers_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[train]\ninstanse_type = "ml.m5.large"\n')
    with pytest.raises(RequestError, match=r"train.instanse_type; did you mean 'instance_type'"):
        load_settings(file, {})
    file.write_text("bucket = [")
    with pytest.raises(RequestError, match="can't be read"):
        load_settings(file, {})


def test_an_estimate_is_called_one_and_a_price_of_yours_goes_before_it() -> None:
    settings = load_settings(EXAMPLE, {"train.instances": 2})
    said = costs.of_job(settings, "job")
    assert "about $0.46 an hour (estimate: on-demand, us-east-1, 2025" in said
    settings.prices = {"ml.m5.xlarge": 1.5}
    assert "about $3.00 an hour (by the price in your settings)" in costs.of_job(settings, "job")
    settings.train.instance_type = "ml.p5.48xlarge"
    assert "price not known here" in costs.of_job(settings, "job")


def test_names_are_what_aws_takes() -> None:
    assert requests.resource_name("Mein Roman – 2. Teil") == "textwright-Mein-Roman-2-Teil"
    long = requests.resource_name("x" * 100, datetime(2026, 1, 1, tzinfo=UTC))
    assert len(long) == 63 and long.endswith("x-20260101-000000")


def test_without_credentials_it_says_how_to_get_some(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("boto3", reason="needs the package boto3")
    assert "no AWS credentials were found; aws configure" in refused(
        capsys, "status", "--region", "eu-west-1"
    )


def test_a_network_that_leads_nowhere_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("boto3", reason="needs the package boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_MAX_ATTEMPTS"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit) as end:
        main(["sagemaker", "status", "--region", "eu-west-1"])
    assert end.value.code == 1
    assert re.match(
        r"error: AWS can't be reached: .*; check network and region\n$", capsys.readouterr().err
    )


def test_without_boto3_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    said = refused(capsys, "status", "--region", "eu-west-1")
    assert "pip install 'textwright[sagemaker]'" in said
    validate(dry_run(capsys, "status"))


@pytest.mark.parametrize(
    ("pieces", "count", "kept"),
    [(["It was. And th", "en!"], 1, "It was."), (["It was", ".", " And"], 1, "It was."),
     (["3", ".", "14 is pi. Yes"], 1, "3.14 is pi."), (["He said: “No", "!", "”", " I"], 1,
      "He said: “No!”"), (["One. Two? Th", "ree…", "\n"], 3, "One. Two? Three…"),
     (["No end", " here"], 2, "No end here"), (["完。", "次"], 1, "完。"), (["End."], 1, "End.")],
)  # fmt: skip
def test_a_text_ends_with_its_sentence(pieces: list[str], count: int, kept: str) -> None:
    assert "".join(sentences(pieces, count)) == kept
