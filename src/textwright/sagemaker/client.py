"""AWS through boto3: sends requests, and turns errors into one line with a remedy.

boto3 finds credentials as AWS's own tools do; nothing here reads, shows or stores them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from textwrap import shorten
from typing import Any

from textwright.cloud.calls import Call
from textwright.errors import MissingPackageError, RequestError, TextwrightError

_REASON = 500
"""Characters of AWS's message: for a wrong instance type it lists some hundred valid ones."""
POLICY = "docs/sagemaker.md has the policy that suffices"

_ACTIONS = {
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "DeleteObjects"): "s3:DeleteObject",
    ("s3", "CreateMultipartUpload"): "s3:PutObject",
    ("s3", "UploadPart"): "s3:PutObject",
    ("s3", "CompleteMultipartUpload"): "s3:PutObject",
    ("s3", "AbortMultipartUpload"): "s3:AbortMultipartUpload",
}
_SERVICES = {"sagemaker-runtime": "sagemaker"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}
_BAD_KEYS = {"UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch",
             "InvalidAccessKeyId", "InvalidSignatureException", "IncompleteSignature"}  # fmt: skip
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_BUSY = {"ThrottlingException", "Throttling", "RequestLimitExceeded", "ServiceUnavailable",
         "InternalFailure", "InternalDependencyException", "SlowDown", "503"}  # fmt: skip
_TAKEN = {"ResourceInUse", "ResourceInUseException"}
_EXISTS = re.compile(r"Cannot create already exist|already exists", re.I)
_UNKNOWN = re.compile(r"Could not find|not found|does not exist", re.I)
_MISSING = {"ResourceNotFound", "ResourceNotFoundException", "NoSuchBucket", "NoSuchKey", "404"}


def action(service: str, operation: str) -> str:
    """The IAM action that a request needs, e.g. `sagemaker:CreateModel`."""
    default = f"{_SERVICES.get(service, service)}:{operation}"
    return _ACTIONS.get((service, operation), default)


class NotFoundError(RequestError):
    """There is no job, endpoint, bucket or file of this name."""


class AWS:
    """AWS in one region, with the credentials that boto3 finds."""

    def __init__(self, region: str) -> None:
        """Make a session.

        Raises:
            MissingPackageError: boto3 isn't installed.
            RequestError: the profile doesn't exist.
        """
        try:
            import boto3
        except ImportError as error:
            raise MissingPackageError(
                f"this needs {error.name}; pip install 'textwright[sagemaker]' "
                "(--dry-run does without)"
            ) from error
        self.region = region
        with aws_errors("a session", ""):
            self._session = boto3.Session(region_name=region)
        self.client = cache(self._client)

    def _client(self, service: str) -> Any:
        with aws_errors("a client", service):
            return self._session.client(service)

    def send(self, call: Call) -> Any:
        """Send a request; returns AWS's response.

        Raises:
            NotFoundError: it names something that doesn't exist.
            RequestError, TextwrightError: AWS refuses, or can't be reached.
        """
        from botocore import xform_name

        client = self.client(call.service)
        with aws_errors(call.operation, call.service):
            if call.file is None:
                return getattr(client, xform_name(call.operation))(**call.parameters)
            extra = dict(call.parameters)
            bucket, key = extra.pop("Bucket"), extra.pop("Key")
            return client.upload_file(str(call.file), bucket, key, ExtraArgs=extra)

    def query(self, service: str, operation: str, **parameters: Any) -> Any:
        """Send a request that changes nothing."""
        return self.send(Call(service, operation, parameters))

    def describe(self, operation: str, **parameters: str) -> dict[str, Any] | None:
        """SageMaker's description of something; None where it doesn't exist."""
        try:
            return dict(self.query("sagemaker", operation, **parameters))
        except NotFoundError:
            return None

    def pages(self, service: str, operation: str, **parameters: Any) -> Iterator[Any]:
        """Send a request whose response is paginated; yields its pages."""
        from botocore import xform_name

        pages = self.client(service).get_paginator(xform_name(operation)).paginate(**parameters)
        with aws_errors(operation, service):
            yield from pages

    def download(self, bucket: str, key: str, file: str) -> None:
        """Download a file from S3."""
        with aws_errors("GetObject", "s3", f"s3://{bucket}/{key}"):
            self.client("s3").download_file(bucket, key, file)

    def check_bucket(self, bucket: str) -> None:
        """Check that the bucket exists, can be used, and is in this region.

        Raises:
            RequestError: it doesn't, can't, or isn't.
        """
        from botocore.exceptions import ClientError

        try:
            with aws_errors("HeadBucket", "s3", bucket):
                region = self.client("s3").head_bucket(Bucket=bucket).get("BucketRegion")
        except TextwrightError as error:
            cause = error.__cause__
            if not isinstance(cause, ClientError):
                raise
            headers = cause.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            region = headers.get("x-amz-bucket-region")
            if not region or region == self.region:
                if isinstance(error, NotFoundError):
                    raise RequestError(
                        f"there is no bucket {bucket}; make it (aws s3 mb s3://{bucket} --region "
                        f"{self.region}), or name another with --bucket"
                    ) from error
                raise
        if region and region != self.region:
            raise RequestError(
                f"bucket {bucket} lies in {region} and the job would run in {self.region}; give "
                f"--region {region}, or a --bucket of {self.region}"
            )


@contextmanager
def aws_errors(operation: str, service: str, thing: str = "") -> Iterator[None]:
    """Raise boto3's errors as ours, in one line that names `thing` and the remedy."""
    from boto3.exceptions import Boto3Error, S3UploadFailedError
    from botocore import exceptions as aws

    try:
        yield
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        raise RequestError(
            "no AWS credentials were found; aws configure, or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except aws.ProfileNotFound as error:
        raise RequestError(f"{error}; aws configure list-profiles tells which there are") from error
    except (aws.SSOError, aws.TokenRetrievalError, aws.CredentialRetrievalError) as error:
        raise RequestError(f"AWS credentials can't be had ({error}); aws sso login") from error
    except aws.ClientError as error:
        raise _client_error(error, operation, service, thing) from error
    except S3UploadFailedError as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, aws.ClientError):
            raise _client_error(cause, operation, service, thing) from cause
        raise TextwrightError(f"the upload failed: {error}; try again") from error
    except aws.ParamValidationError as error:
        reason = " ".join(str(error).split())
        raise RequestError(
            f"{operation} can't be asked of AWS like this: {reason}; correct what it names"
        ) from error
    except (aws.HTTPClientError, aws.ConnectionError) as error:
        raise TextwrightError(f"AWS can't be reached: {error}; check network and region") from error
    except (aws.BotoCoreError, Boto3Error) as error:
        raise TextwrightError(f"{operation} of AWS came to nothing: {error}") from error


def _client_error(error: Any, operation: str, service: str, thing: str) -> TextwrightError:
    """The error for a response of AWS with an error code."""
    details = error.response.get("Error", {})
    code = str(details.get("Code", ""))
    reason = shorten(str(details.get("Message", "")), _REASON, placeholder=" …")
    about = f" ({thing})" if thing else ""
    result: TextwrightError
    if code in _DENIED:
        what = f"AWS denies {action(service, operation)}{about}: {reason}"
        result = RequestError(f"{what}; let it be allowed, {POLICY}")
    elif code in _EXPIRED:
        result = RequestError("the AWS credentials have expired; log in again, e.g. aws sso login")
    elif code in _BAD_KEYS:
        result = RequestError(f"AWS doesn't take these credentials ({code}); aws configure")
    elif code == "ResourceLimitExceeded":
        result = RequestError(
            f"a quota of the account is used up: {reason}; ask for more in Service Quotas, or take "
            "another --instance-type"
        )
    elif code in _MISSING or (code.startswith("Validation") and _UNKNOWN.search(reason)):
        result = NotFoundError(f"{operation}{about}: {reason}; check the name")
    elif code in _TAKEN or _EXISTS.search(reason):
        result = RequestError(f"{operation}: {reason}; take another --name, or delete that one")
    elif code == "ModelError":
        result = _model_error(error.response, reason)
    elif code in _BUSY:
        result = TextwrightError(f"AWS is busy ({code}: {reason}); try again in a while")
    else:
        result = RequestError(f"AWS refuses {operation}{about} ({code}): {reason}")
    return result


def _model_error(response: Any, reason: str) -> TextwrightError:
    """The error for a container's own response of status 4xx or 5xx."""
    status = str(response.get("OriginalStatusCode", ""))
    message = " ".join(str(response.get("OriginalMessage") or reason).split())
    log = f"; its log: {response['LogStreamArn']}" if response.get("LogStreamArn") else ""
    error = RequestError if status.startswith("4") else TextwrightError
    return error(f"the model answered {status}: {message}{log}")
