"""AWS's own toolkits, in an environment beside the one that runs the tests.

    python tests/sagemaker/toolkits.py FOLDER
    TEXTWRIGHT_TOOLKITS=FOLDER pytest -m slow tests/sagemaker

What they need and this environment has (torch, NumPy, textwright itself), they get from here.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

NAMES = Path(__file__).with_suffix(".txt")


def make(folder: Path) -> None:
    """Make the environment in `folder`."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(NAMES)]
    subprocess.run([python, *install], check=True)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    result = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    # A folder named in a .pth file comes after the environment's own, and its .pth files count too
    here = sysconfig.get_path("purelib")
    line = f"import site; site.addsitedir({here!r})\n"
    Path(result.stdout.strip(), "beside.pth").write_text(line, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
