"""Files and folders that appear whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from textwright import atomic
from textwright.errors import TextwrightError

REPLACE = """
import os, signal, sys
from pathlib import Path
from textwright import atomic
path, number = Path(sys.argv[1]), int(sys.argv[2])
calls = 0

def killed_before(module, name):
    real = getattr(module, name)
    def call(*args, **more):
        global calls
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return real(*args, **more)
    setattr(module, name, call)

for name in ("replace", "unlink", "rmdir", "fsync"):
    killed_before(os, name)
with atomic.replacing(path) as partial:
    partial.mkdir()
    (partial / "a").write_text("new a")
    (partial / "c").write_text("new c")
"""


def fill(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


OLD, NEW = {"a": "old a", "b": "old b"}, {"a": "new a", "c": "new c"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no signal that kills")
@pytest.mark.parametrize("recover", ["removing partials", "writing anew"])
def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one(
    tmp_path: Path, recover: str
) -> None:
    found = []
    for number in range(20):
        folder = fill(tmp_path / str(number) / "out", **OLD)
        done = subprocess.run([sys.executable, "-c", REPLACE, folder, str(number)], check=False)
        if recover == "removing partials":
            atomic.remove_partials(folder.parent)
            found.append(content(folder))
            assert [entry.name for entry in folder.parent.iterdir()] == ["out"]
        else:
            with pytest.raises(ZeroDivisionError), atomic.replacing(folder):
                found.append(content(folder))
                raise ZeroDivisionError
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    else:
        pytest.fail("it never came to its end")
    turn = found.index(NEW)
    assert found == [OLD] * turn + [NEW] * (len(found) - turn) and turn >= 3


def test_where_the_new_folder_cannot_stand_the_old_one_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "out", **OLD)
    real = os.replace

    def replace(source: Path, goal: Path) -> None:
        if source.name.endswith(atomic.PARTIAL):
            raise OSError(5, "Input/output error")
        real(source, goal)

    monkeypatch.setattr(os, "replace", replace)
    with (
        pytest.raises(TextwrightError, match="Input/output error"),
        atomic.replacing(folder) as partial,
    ):
        fill(partial, **NEW)
    assert content(folder) == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_rename_is_tried_again_while_somebody_has_the_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a virus scanner does on Windows."""
    real, refused = os.replace, 0

    def replace(source: Path, goal: Path) -> None:
        nonlocal refused
        if refused < 3:
            refused += 1
            raise PermissionError(13, "in use")
        real(source, goal)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(atomic, "_PATIENCE", 60.0)
    atomic.write_text(tmp_path / "notes.txt", "new")
    assert (tmp_path / "notes.txt").read_text() == "new" and refused == 3
    monkeypatch.setattr(atomic, "_PATIENCE", 0.0)
    refused = 0
    with pytest.raises(TextwrightError, match="no permission"):
        atomic.write_text(tmp_path / "notes.txt", "newer")
    assert content(tmp_path) == {"notes.txt": "new"}


def test_read_only_files_and_file_systems_that_sync_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(22, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic.replacing(tmp_path / "out") as partial:
        fill(partial, **NEW)
        (partial / "a").chmod(0o444)
    assert content(tmp_path / "out") == NEW


def test_a_full_disk_and_a_full_quota_are_told_alike(tmp_path: Path) -> None:
    import errno

    for number in (errno.ENOSPC, errno.EDQUOT):
        told = atomic.disk_error(OSError(number, "no"), tmp_path)
        assert "free some space" in str(told)


def test_two_threads_write_one_file_without_a_common_part(tmp_path: Path) -> None:
    import threading

    parts = []

    def write() -> None:
        with atomic.replacing(tmp_path / "file") as partial:
            partial.write_text("whole")
            parts.append(partial)
            both.wait(10)

    both = threading.Barrier(2)
    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(parts)) == 2
