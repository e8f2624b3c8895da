"""AWS's own PyTorch containers: their images, and what they lack to run textwright.

What is in them: aws/deep-learning-containers, `pytorch/{training,inference}/docker`. Their
registries: `image_uri_config/pytorch.json` of the SageMaker SDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textwright.errors import RequestError
from textwright.version import VERSION

IMAGE = "aws-pytorch"
"""What stands for these containers where an image is named."""


@dataclass(frozen=True)
class Container:
    """One of AWS's containers."""

    repository: str
    tag: str
    python: str
    """Version of Python that it has, e.g. 3.13."""
    needs: tuple[str, ...]
    """Requirements that it lacks, textwright first."""


TRAINING = Container(
    "pytorch-training",
    "2.10.0-cpu-py313-ubuntu22.04-sagemaker",
    "3.13",
    # what the extra `train` asks for, but for torch, which the container has
    (f"textwright=={VERSION}", "jinja2>=3.1"),
)
TRAINING_GPU = Container(
    "pytorch-training", "2.10.0-gpu-py313-cu130-ubuntu22.04-sagemaker", "3.13", TRAINING.needs
)
HOSTING = Container(
    "pytorch-inference",
    "2.6.0-cpu-py312-ubuntu22.04-sagemaker",  # the last of them; torch isn't asked to generate
    "3.12",
    (f"textwright[serve]=={VERSION}",),
)

_REGISTRIES = """
763104351884 us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 sa-east-1 eu-central-1 eu-north-1
             eu-west-1 eu-west-2 eu-west-3 ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1
             ap-southeast-2
626614931356 af-south-1
871362719292 ap-east-1
975050140332 ap-east-2
364406365360 ap-northeast-3
772153158452 ap-south-2
907027046896 ap-southeast-3
457447274322 ap-southeast-4
550225433462 ap-southeast-5
633930458069 ap-southeast-6
590183813437 ap-southeast-7
204538143572 ca-west-1
727897471807 cn-north-1 cn-northwest-1
380420809688 eu-central-2
692866216735 eu-south-1
503227376785 eu-south-2
780543022126 il-central-1
914824155844 me-central-1
217643126080 me-south-1
637423239942 mx-central-1
446045086412 us-gov-east-1
442386744353 us-gov-west-1
"""
"""Accounts whose registries have the containers, and their regions."""


def address(container: Container, region: str) -> str:
    """The container's image in a region. Raises `RequestError` where AWS has none there."""
    account = ""
    for word in _REGISTRIES.split():
        if word.isdecimal():
            account = word
        elif word == region:
            domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
            return f"{account}.dkr.ecr.{region}.{domain}/{container.repository}:{container.tag}"
    raise RequestError(
        f"no registry of AWS's PyTorch containers is known in {region}; name one by its address, "
        "--image ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG, or take another --region"
    )


def for_training(instance_type: str) -> Container:
    """The container that trains on a machine. Raises `RequestError` where none does."""
    _check_processor(instance_type)
    if instance_type.startswith("ml.p3"):
        raise RequestError(
            f"the GPUs of {instance_type} are older than {IMAGE} trains on (CUDA 13); take "
            "ml.g4dn.xlarge or ml.g5.xlarge, or an --image of your own"
        )
    return TRAINING_GPU if re.match(r"ml\.[gp]\d", instance_type) else TRAINING


def for_hosting(instance_type: str | None) -> Container:
    """The container that serves on a machine, or serverless (None).

    Raises:
        RequestError: none does.
    """
    if instance_type is not None:
        _check_processor(instance_type)
    return HOSTING


def _check_processor(instance_type: str) -> None:
    if re.match(r"ml\.[a-z]+\d+g[a-z]*\.", instance_type):
        raise RequestError(
            f"{instance_type} has ARM processors, {IMAGE} is for x86-64; take one without the g, "
            "e.g. ml.m5.xlarge, or an --image of your own"
        )
