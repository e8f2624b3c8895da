"""Estimates of what jobs, endpoints and storage cost.

AWS's prices change and differ by region; they are at https://aws.amazon.com/sagemaker/pricing/.
The table has the on-demand prices of us-east-1 for training and hosting as public tables quoted
them in 2025. Such tables differ: ml.m5.large is found at 0.115 and at 0.13, ml.p3.2xlarge at 3.825
and at 4.28. So these are an estimate, not an offer.
"""

from __future__ import annotations

from textwright.sagemaker.settings import CloudSettings

DOLLARS_AN_HOUR = {
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.c5.xlarge": 0.204,
    "ml.g4dn.xlarge": 0.736,
    "ml.g5.xlarge": 1.408,
    "ml.p3.2xlarge": 3.825,
}
SOURCE = "estimate: on-demand, us-east-1, 2025; see https://aws.amazon.com/sagemaker/pricing/"


def hourly(settings: CloudSettings, instance_type: str, count: int) -> str:
    """About what `count` instances cost an hour, in words."""
    if (own := settings.prices.get(instance_type)) is not None:
        return f"about ${count * own:.2f} an hour (by the price in your settings)"
    if (known := DOLLARS_AN_HOUR.get(instance_type)) is not None:
        return f"about ${count * known:.2f} an hour ({SOURCE})"
    return "price not known here; see https://aws.amazon.com/sagemaker/pricing/"


def of_job(settings: CloudSettings, job: str) -> str:
    """What a training job costs."""
    train = settings.train
    price = hourly(settings, train.instance_type, train.instances)
    spot = ", less on spot instances" if train.spot else ""
    return (
        f"training job {job}: {train.instances} × {train.instance_type} until it ends, "
        f"{price}{spot}"
    )


def of_endpoint(settings: CloudSettings, endpoint: str) -> str:
    """What an endpoint costs."""
    deploy = settings.deploy
    if deploy.instance_type is None:
        return f"endpoint {endpoint}: serverless, for the time of each request"
    price = hourly(settings, deploy.instance_type, deploy.instances)
    return (
        f"endpoint {endpoint}: {deploy.instances} × {deploy.instance_type} until it is deleted, "
        f"{price}"
    )


def of_storage(address: str) -> str:
    """What files in S3 cost."""
    return f"{address}: storage in S3, until deleted"
