"""What only some systems have is asked for where it is used, never where a module is imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, json, os, signal, sys
from pathlib import Path

sys.modules["torch"] = None  # importing it fails
import textwright

root = Path(textwright.__file__).parent
files = [file.relative_to(root.parent).with_suffix("") for file in sorted(root.rglob("*.py"))]
names = [".".join(file.parts).removesuffix(".__init__") for file in files]
free = []
for name in set(names) - {"textwright.__main__"}:  # what isn't ours stays as it is here
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:  # torch, or a package of an extra
        continue
    free.append(name)

for name in [name for name in sys.modules if name.partition(".")[0] == "textwright"]:
    del sys.modules[name]
for name in ("fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios",
             "tty"):
    sys.modules[name] = None
for module, missing in {
    os: "fchmod fchown fdatasync fork getloadavg getpgid getpriority geteuid getuid killpg "
        "mkfifo nice posix_fadvise pread sched_getaffinity sched_setaffinity setpriority setsid "
        "statvfs sysconf sysconf_names uname O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC "
        "PRIO_PROCESS WNOHANG",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 "
            "alarm pause pthread_kill setitimer sigwait",
}.items():
    for name in missing.split():
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "win32"
signal.SIGBREAK = 21
failed = {}
for name in free:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps([len(free), failed]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there they are imported without this")
def test_all_that_needs_no_torch_is_imported_without_what_windows_lacks() -> None:
    words = [sys.executable, "-c", IMPORT_ALL]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    count, failed = json.loads(said.splitlines()[-1])  # some package may have its say before
    assert count > 120
    assert not failed
