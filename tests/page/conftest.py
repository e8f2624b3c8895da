"""A real browser for the page."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, SWITCHES, Watch
from firefox import FIREFOX, Firefox
from studios import Studio

_open = ExitStack()


@pytest.fixture(scope="session", name="browser")
def _browser() -> Any:
    """For all tests of this folder."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the PATH: apt-get install chromium")
    driver = _open.enter_context(playwright.sync_playwright())
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
    _open.callback(browser.close)
    return browser


@pytest.fixture(scope="session", name="studio")
def _studio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """For all tests that leave in it what they found; others have their own of that name."""
    names = ("shakespeare", "frankenstein", "chat")
    studio = Studio("studio", *names, "--no-browser", folder=tmp_path_factory.mktemp("studio"))
    _open.callback(studio.close)
    request.addfinalizer(_open.close)  # where the tests are interrupted
    return studio


@pytest.fixture(scope="session", name="firefox")
def _firefox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Firefox:
    """For all tests of this folder."""
    if not FIREFOX:
        pytest.skip("needs firefox on PATH")
    firefox = Firefox(tmp_path_factory.mktemp("firefox"))
    _open.callback(firefox.close)
    request.addfinalizer(_open.close)
    return firefox


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Close browsers and studio before another folder's tests; some have a driver of their own."""
    yield
    if nextitem is None or nextitem.path.parent != Path(__file__).parent:
        _open.close()


@pytest.fixture(name="watch")
def _watch() -> Watch:
    return Watch()


@pytest.fixture(name="tab")
def _tab(browser: Any, watch: Watch) -> Iterator[Any]:
    """A page of a context of its own: a person's browser, with nothing in it.

    Without motion, which a processor would have to draw all the while that a training prepares.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(200_000)  # ms; ends a test that hangs
    tab = context.new_page()
    watch.over(tab)
    yield tab
    for page in context.pages:  # a request that is answered just now is nobody's any more
        page.unroute_all(behavior="ignoreErrors")
    context.close()
