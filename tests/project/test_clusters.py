"""The recipes for clusters, as far as a machine without one can check them.

Their shells run with stand-ins for what a cluster brings; of torchrun's words, torch's own parser
says which script it would start, and that one's command is run with `--plan`.
"""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from textwright.cli.app import main
from textwright.training.planning.benchmark import Timing

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "clusters"
FILES = ("sky.yaml", "train.sbatch", "modal_train.py", "kubernetes.yaml")

_RECORD = """#!{python}
import json, sys
json.dump(sys.argv[1:], open({file!r}, "w"))
"""


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a step takes a second: how fast this one is decides nothing here."""
    monkeypatch.setattr(
        "textwright.training.planning.planner.measure", lambda *_, **__: Timing(1.0, 1.0, 0.0)
    )


def recorded(script: str, folder: Path, *words: str, **variables: str) -> list[str]:
    """The words that `torchrun` is started with by a bash script."""
    tools, file = folder / "tools", folder / "words.json"
    tools.mkdir()
    scripts = {
        "torchrun": _RECORD.format(python=sys.executable, file=str(file)),
        "srun": '#!/bin/bash\nexec "$@"\n',
        "scontrol": "#!/bin/bash\necho node-1; echo node-2\n",
        "pip": "#!/bin/bash\n",
    }
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", **variables}
    subprocess.run(["bash", "-c", script, "recipe", *words], env=environment, check=True)
    return list(json.loads(file.read_text()))


def planned(words: list[str], text: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """The settings of torchrun by its own parser; the command that it starts is run with --plan."""
    from torch.distributed.run import get_args_parser

    parsed = get_args_parser().parse_args(words)
    assert parsed.module and parsed.training_script == "textwright"
    command = [str(text) if word.endswith("my_novel.txt") else word
               for word in parsed.training_script_args]  # fmt: skip
    plan(command, capsys)
    return parsed


def plan(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--size", "nano", "--set", "training.batch_size=1", "--plan"])
    said = capsys.readouterr()
    assert ended.value.code == 0 and "expected time" in said.out, said.err


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_is_short(name: str) -> None:
    assert len((FOLDER / name).read_text().splitlines()) < 25
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == set(FILES)


def test_skypilot(tmp_path: Path, text_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = yaml.safe_load((FOLDER / "sky.yaml").read_text())
    # the fields of a task, of its documentation
    known = {"name", "workdir", "num_nodes", "resources", "envs", "secrets", "file_mounts", "setup",
             "run", "service", "config", "volumes", "event_callback"}  # fmt: skip
    assert task.keys() <= known and task["resources"].keys() <= {"accelerators", "use_spot"}
    told = {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "1",
            "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2"}  # fmt: skip
    words = recorded(task["run"], tmp_path, **told, **task["envs"])
    parsed = planned(words, text_file, capsys)
    assert (parsed.nnodes, parsed.node_rank, parsed.master_addr) == ("2", 1, "10.0.0.1")


def test_slurm(tmp_path: Path, text_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = FOLDER / "train.sbatch"
    subprocess.run(["bash", "-n", str(file)], check=True)
    told = {"SLURM_JOB_NODELIST": "node-[1-2]", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7",
            "SLURM_GPUS_ON_NODE": "4"}  # fmt: skip
    words = recorded(file.read_text(), tmp_path, "my_novel.txt", "--minutes", "1", **told)
    parsed = planned(words, text_file, capsys)
    assert parsed.rdzv_endpoint == "node-1:29500" and parsed.nproc_per_node == "4"


def test_kubernetes(tmp_path: Path, text_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = yaml.safe_load((FOLDER / "kubernetes.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["spec"].keys() <= {"backoffLimit", "template", "completions", "parallelism"}
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] in ("OnFailure", "Never")  # a Job takes no other
    (container,) = pod["containers"]
    assert container.keys() <= {"name", "image", "command", "args", "resources", "volumeMounts"}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert container["command"] == ["bash", "-c"]
    parsed = planned(recorded(*container["args"], tmp_path), text_file, capsys)
    assert parsed.max_restarts == 3 and parsed.standalone


def test_modal(
    tmp_path: Path, text_file: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = FOLDER / "modal_train.py"
    py_compile.compile(str(file), cfile=str(tmp_path / "compiled"), doraise=True)
    started: list[list[str]] = []

    def function(**settings: Any) -> Any:
        assert settings["volumes"].keys() == {"/runs"}
        return lambda body: SimpleNamespace(remote=body)

    image = SimpleNamespace(pip_install=lambda *packages: packages)
    stand_in = SimpleNamespace(
        App=lambda name: SimpleNamespace(function=function, local_entrypoint=lambda: lambda f: f),
        Volume=SimpleNamespace(from_name=lambda name, create_if_missing: name),
        Image=SimpleNamespace(debian_slim=lambda python_version: image),
    )
    monkeypatch.setitem(sys.modules, "modal", stand_in)  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda words, check: started.append(words))
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    names["main"](str(text_file))
    (words,) = started
    assert words[0] == "textwright" and Path(words[2]).read_bytes() == text_file.read_bytes()
    plan(words[1:], capsys)
