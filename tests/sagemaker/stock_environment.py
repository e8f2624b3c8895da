"""An environment with what AWS's stock PyTorch containers have, and nothing of textwright's.

torch and AWS's toolkits, and what those ask for, as links to where they lie on this machine; what
is installed on top lands in the environment alone. It has less than the containers, so what works
here was brought along.
"""

from __future__ import annotations

import os
import re
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

IN_IT = ("torch", "numpy", "sagemaker-training", "sagemaker-inference",
         "sagemaker-pytorch-inference", "multi-model-server")  # fmt: skip


def make(folder: Path, toolkits: Path) -> dict[str, str]:
    """Make it in `folder`; returns the variables of a process that runs in it."""
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    of_toolkits = sysconfig.get_path("purelib", vars={"base": str(toolkits)})
    beside = folder / "beside"
    beside.mkdir()
    there = {_normal(each.name) for each in metadata.distributions(path=[of_toolkits])}
    for name in _closure(of_toolkits) - there:
        _link(metadata.distribution(name), beside)
    # Lines of paths alone: what `.pth` files lie there count for nothing
    (site / "beside.pth").write_text(f"{of_toolkits}\n{beside}\n", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return kept | {
        "PATH": f"{folder / 'bin'}:{toolkits / 'bin'}:{os.environ['PATH']}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",  # nobody is there
        "PIP_NO_COMPILE": "1",
        "PYTHONWARNINGS": "ignore",
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(of_toolkits: str) -> set[str]:
    """The names of what is in the containers and lies in either place."""
    found: set[str] = set()
    asked = list(IN_IT)
    while asked:
        name = _normal(asked.pop())
        places = [*metadata.distributions(name=name, path=[of_toolkits]),
                  *metadata.distributions(name=name)]  # fmt: skip
        if name in found or not places:
            continue
        found.add(name)
        for line in places[0].requires or []:
            if "extra ==" not in line and (match := re.match(r"[\w.-]+", line)):
                asked.append(match[0])
    assert "textwright" not in found
    return found


def _link(distribution: metadata.Distribution, folder: Path) -> None:
    tops = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
    for top in tops:
        (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
