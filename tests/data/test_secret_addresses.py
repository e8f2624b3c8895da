"""What only the owner of an address may know is written down nowhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from textwright.data import open_corpus
from textwright.data.sources import downloads
from textwright.data.sources.addresses import without_secrets
from textwright.errors import DownloadError, RunError
from textwright.publishing.hub import write_model_folder
from textwright.publishing.to_transformers import export
from textwright.runs import SHIPPED_MODELS, Run
from textwright.sagemaker.archive import package

HIDDEN = {
    "https://a.org/b.txt?token=abc": "https://a.org/b.txt?token=…",
    "https://user:pass@a.org:80/b.txt": "https://a.org:80/b.txt",
    "https://u%40x:p@ss@a.org/b.txt": "https://a.org/b.txt",
    "https://a.org/b?raw=true&X-Amz-Signature=0f3a&X-Amz-Expires=3600&k=aB3dEfGh9": (
        "https://a.org/b?raw=true&X-Amz-Signature=…&X-Amz-Expires=3600&k=…"
    ),
    "https://a.org/b?sv=2024-01-01&sig=x%3D;t=9f8e7d6c5b4a": (
        "https://a.org/b?sv=…&sig=…;t=…"
    ),
    "https://a.org/b?9f8e7d6c5b4a3f2e": "https://a.org/b?…",
    "https://hooks.a.org/services/T024BE7LD/B02ABC/aB3dEfGh9KlMnOpQ2rStUvWx": (
        "https://hooks.a.org/services/T024BE7LD/B02ABC/…"
    ),
    "https://a.org/file/bot123456:AAF9x-q7Zt3LmN0pQrS5uVwXyZ/documents/a.txt": (
        "https://a.org/file/…/documents/a.txt"
    ),
    "https://a.org/s/x8Tq2LmB9rWz4Kp/download": "https://a.org/s/…/download",
    "https://a.org/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/export.csv": (
        "https://a.org/d/…/export.csv"
    ),
    "https://a.org/token/0123456789abcdef/a.txt": "https://a.org/token/…/a.txt",
    "https://a.org/a.txt;sig=abc": "https://a.org/a.txt;sig=…",
    "https://a.org/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N/a.txt": (
        "https://a.org/…/a.txt"
    ),
    "https://a.org/b#access_token=x": "https://a.org/b#…",
    "textwright train 'https://u:p@a.org/b?key=1' --name x": (
        "textwright train 'https://a.org/b?key=…' --name x"
    ),
}  # fmt: skip
KEPT = (
    "https://a.org/b.txt", "https://a.org/b?raw=true&page=2#part", "my novel.txt?", "hf:owner/data",
    "https://www.gutenberg.org/cache/epub/1342/pg1342-images.html", "https://a.org/en_US/v2.0.1/",
    "https://a.org/TheCompleteWorksOfWilliamShakespeare1623.txt", "https://a.org/api/keys.csv",
    "https://a.org/2024-05-01T12-30-00Z/IMG20240501T123000.txt", "https://a.org/tokens/words.txt",
    "https://a.org/wiki/MacBookPro2019Review", "https://a.org/3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "https://raw.githubusercontent.com/o/r/0123456789abcdef0123456789abcdef01234567/a.txt",
)  # fmt: skip


@pytest.mark.parametrize("address", HIDDEN)
def test_what_is_secret_is_left_out(address: str) -> None:
    assert without_secrets(address) == HIDDEN[address]
    assert without_secrets(HIDDEN[address]) == HIDDEN[address]


@pytest.mark.parametrize("address", KEPT)
def test_what_is_not_secret_stays(address: str) -> None:
    assert without_secrets(address) == address


def test_a_corpus_does_not_tell_its_address(site, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (site.folder / "a.txt").write_text("plain words and more\n" * 20)
    address = f"{site.address}/a.txt?token=SECRET&raw=true"
    corpus = open_corpus([address])
    shown = f"{site.address}/a.txt?token=…&raw=true"
    assert corpus.sources[0].address == shown
    assert open_corpus([shown]).sha256 == corpus.sha256  # from the cache, as a run resumes
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not any(b"SECRET" in path.read_bytes() for path in written)
    missing = f"{site.address}/none.txt?token=SECRET"
    with pytest.raises(DownloadError, match="none.txt") as error:
        open_corpus([missing])
    assert "SECRET" not in str(error.value)
    with pytest.raises(DownloadError, match="without its secret part; give the whole address"):
        downloads.download(without_secrets(missing), tmp_path)


def test_user_and_password_open_what_they_are_for(site, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (site.folder / "private.txt").write_text("plain words and more\n" * 20)
    host = site.address.removeprefix("http://")
    corpus = open_corpus([f"http://user:p%40ss:word@{host}/private.txt"])
    assert corpus.sources[0].address == f"{site.address}/private.txt"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not any(b"p%40ss" in path.read_bytes() for path in written)
    with pytest.raises(DownloadError, match="answered 401"):
        open_corpus([f"http://user:else@{host}/private.txt"])


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_no_link_leads_out_of_a_pushed_folder(tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_text("SECRET")
    for name in ("tokenizer_config.json", "README.md", "generation_config.json"):
        model = tmp_path / name.partition(".")[0]
        shutil.copytree(SHIPPED_MODELS / "shakespeare", model)
        (model / name).unlink()
        (model / name).symlink_to(secret)
        for send in (
            lambda run: write_model_folder(run, "me/it", tmp_path / "out"),
            lambda run: package(run, tmp_path / "model.tar.gz"),
            lambda run: export(run, tmp_path / "exported"),
        ):
            with pytest.raises(RunError, match=f"{name} is a link to .*id_rsa, out of the folder"):
                send(Run(model))
    # The Hub's cache is links to its own files
    snapshot = tmp_path / "models--me--it" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--me--it" / "blobs").mkdir()
    for number, file in enumerate((SHIPPED_MODELS / "shakespeare").iterdir()):
        blob = tmp_path / "models--me--it" / "blobs" / str(number)
        shutil.copyfile(file, blob)
        (snapshot / file.name).symlink_to(Path("../../blobs", str(number)))
    assert len(Run(snapshot).files_to_copy()) == 6
