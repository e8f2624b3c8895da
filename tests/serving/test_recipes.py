"""The recipes of docs/serving.md for several servers: read by those that they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from textwright.cli.app import app

DOCS = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    return str(found)


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    recipe = re.sub(r"replica-\d", "127.0.0.1", block("nginx"))
    recipe = recipe.replace("listen 80;", "listen 127.0.0.1:18000;")
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
        f"http {{ access_log off; {paths}\n{recipe}\n}}"
    )
    command = [nginx, "-t", "-c", str(file), "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_deployment_asks_for_what_there_is() -> None:
    deployment, service = yaml.safe_load_all(block("yaml"))
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    commands: Any = get_command(app)
    known = {
        name
        for option in commands.commands["serve"].params
        for name in ([option.envvar] if isinstance(option.envvar, str) else option.envvar or ())
    }
    given = {each["name"]: each["value"] for each in container["env"]}
    assert set(given) <= known
    assert all(isinstance(value, str) for value in given.values())
    assert pod["terminationGracePeriodSeconds"] > int(given["TEXTWRIGHT_DRAIN"]) + 5
    for probe in ("readinessProbe", "startupProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": 8000}
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["containerPort"]
