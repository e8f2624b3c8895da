"""What every test shares: small text that every Python carries, and folders of its own."""

from __future__ import annotations

import gc
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from pydoc_data import topics

import hypothesis
import pytest

import lent_compiler

pytest_plugins = ["commands", "crew", "model_fixtures", "published"]

TEXT = "\n\n".join(topics.topics[name].strip() for name in sorted(topics.topics)[:12])[:40_000]
"""English prose of 40,000 characters."""

# The models here are too small to share among threads, and on a busy machine threads that wait for
# each other cost many times what they save. Set before torch is imported, and for processes too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_WANT_OF_AN_INSTALL = re.compile(r"install|package|could not import|No module named|PATH", re.I)
"""Why a test is skipped that a machine with everything on it would run."""


def pytest_configure() -> None:
    # An example may take as long as it takes: on a slow or busy machine that says nothing
    patient = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
    hypothesis.settings.register_profile("patient", hypothesis.settings(), **patient)
    hypothesis.settings.load_profile("patient")
    # A shell that runs the tests in the background has them, and all they start, ignore Ctrl-C
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the real corpora, so that `-m corpora` runs just that."""
    for item in items:
        if "real_corpora" in getattr(item, "fixturenames", ()):
            item.add_marker("corpora")


def pytest_collection_finish() -> None:
    gc.freeze()  # half a million objects of what was imported needn't be searched through again


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_something_is_not_installed(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_something_is_not_installed(report)
    return report


def _fail_if_something_is_not_installed(report: pytest.TestReport | pytest.CollectReport) -> None:
    """On the machine that decides whether a change is good, nothing is left out unnoticed."""
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if _WANT_OF_AN_INSTALL.search(reason):
            report.outcome = "failed"
            report.longrepr = f"with CI set, nothing may be missing: {reason}"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from, or left in, the folders of whoever runs the tests."""
    monkeypatch.setenv("TEXTWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TEXTWRIGHT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TEXTWRIGHT_DEBUG", raising=False)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """What a command sets up for its process's log is undone: it would write into later tests."""
    logger = logging.getLogger("textwright")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """A file of English prose."""
    file = tmp_path / "prose.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture
def real_corpora() -> Path:
    """The folder of real corpora; the test is skipped where there is none."""
    folder = os.environ.get("TEXTWRIGHT_CORPORA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real corpora: set TEXTWRIGHT_CORPORA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def make_wheel() -> Callable[..., Path]:
    """Make a wheel of this checkout as pip does: `make_wheel(folder, *options, **environment)`."""

    def make(folder: Path, *options: str, **environment: str) -> Path:
        root = Path(__file__).parents[1]
        (folder / "project").mkdir()
        for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
            shutil.copy(root / name, folder / "project")
        built = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(root / "src", folder / "project" / "src", ignore=built)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
        subprocess.run(
            [*pip, "-q", *options, "-w", folder, folder / "project"],
            check=True, env=os.environ | lent_compiler.variables() | environment,
        )  # fmt: skip
        (made,) = folder.glob("*.whl")
        return made

    return make


@pytest.fixture(scope="session")
def built_wheel(make_wheel: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, with kernels where this system has a compiler."""
    pytest.importorskip("hatchling", reason="needs the package hatchling")
    return make_wheel(tmp_path_factory.mktemp("wheel"), "--no-build-isolation")
