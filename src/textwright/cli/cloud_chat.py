"""`textwright sagemaker chat`: a conversation with an endpoint at the terminal."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from textwright.cli.chat import interrupts, lines
from textwright.cli.cloud_options import (
    DryRun,
    Region,
    SettingsFile,
    defined,
    say,
    settings_from,
    show_calls,
)
from textwright.cli.generate import MaxTokens, Seed, Temperature, show
from textwright.errors import TextwrightError


def chat(
    endpoint: Annotated[str, typer.Argument(help="The endpoint.")],
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    settings: SettingsFile = None,
    region: Region = None,
    dry_run: DryRun = False,
) -> None:
    """Talk with an endpoint; the conversation so far goes along each time.

    textwright sagemaker chat textwright-my-talk
    """
    from textwright.cloud.calls import Call
    from textwright.sagemaker.endpoint_client import invoke
    from textwright.sagemaker.requests import invoke_endpoint

    cloud = settings_from(settings, region=region)
    options = defined({"max_tokens": max_tokens, "temperature": temperature, "seed": seed})
    messages: list[dict[str, str]] = []

    def call() -> Call:
        return invoke_endpoint(endpoint, {"messages": messages, **options}, stream=True)

    if dry_run:
        messages.append({"role": "user", "content": "Hello!"})
        show_calls([call()])
        return
    from textwright.sagemaker.client import AWS

    aws = AWS(cloud.region_name())
    say(f"talking with {endpoint}; /quit or Ctrl-D ends, Ctrl-C stops a reply")
    with interrupts():
        for line in lines("YOU: "):
            if line in ("/quit", "/exit"):
                return
            messages.append({"role": "user", "content": line})
            reply = ""
            try:
                with interrupts() as interrupted, closing(invoke(aws, call())) as pieces:
                    for piece in filter(None, pieces):  # a stream begins with an empty one
                        show(piece if reply else f"MODEL: {piece.lstrip()}")
                        reply += piece
                        if interrupted():
                            break
            except TextwrightError as error:  # the conversation goes on without the line
                messages.pop()
                say(str(error))
                continue
            show("\n")
            messages.append({"role": "assistant", "content": reply.strip()})
