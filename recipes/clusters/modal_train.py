"""Modal: modal run recipes/clusters/modal_train.py --text my_novel.txt --options '--minutes 30'
The run stays in a volume; bring it here: modal volume get textwright-runs my_novel runs/"""

import shlex
import subprocess
from pathlib import Path

import modal

app = modal.App("textwright")
runs = modal.Volume.from_name("textwright-runs", create_if_missing=True)
image = modal.Image.debian_slim(python_version="3.12").pip_install("textwright[train]")


@app.function(image=image, gpu="T4", volumes={"/runs": runs}, timeout=7200, retries=2)
def train(name: str, text: bytes, options: str) -> None:
    Path(name).write_bytes(text)
    words = ["textwright", "train", name, "--name", Path(name).stem, "--runs", "/runs", "--resume"]
    subprocess.run([*words, *shlex.split(options)], check=True)


@app.local_entrypoint()
def main(text: str, options: str = "--minutes 30") -> None:
    train.remote(Path(text).name, Path(text).read_bytes(), options)
