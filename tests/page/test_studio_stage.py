"""On stage: the address of the page where others find it, as a QR code that a phone reads."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Watch
from starlette.datastructures import Headers
from studios import Studio, finished

from textwright.serving.hosts import address_for_others


def own_address() -> str:
    found = address_for_others(Headers({"host": "127.0.0.1:80"}), "0.0.0.0")
    if found is None:
        pytest.skip("this machine is in no network")
    return found


def test_who_is_told_which_address() -> None:
    def told(host: str, at: str | None, **more: str) -> str | None:
        return address_for_others(Headers({"host": host, **more}), at)

    assert told("127.0.0.1:8000", "127.0.0.1") is None
    assert told("localhost:8000", None) is None
    assert told("127.0.0.1:8000", "192.168.1.5") == "192.168.1.5"
    assert told("class.local:8000", "0.0.0.0") == "class.local"
    assert told("192.168.1.5:8000", "0.0.0.0", forwarded="for=1.2.3.4") is None


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("stage")
    with socket.socket() as free:
        free.bind(("0.0.0.0", 0))
        port = free.getsockname()[1]
    server = Studio("serve", "shakespeare", "--host", "0.0.0.0", folder=folder, port=port)
    yield server
    server.close()


@pytest.mark.slow
def test_the_code_is_read(tab: Any, watch: Watch, server: Studio) -> None:
    """By ZXing, from what stands on the screen, in light and dark, on a wide one and a phone."""
    zxing = pytest.importorskip("zxingcpp", reason="needs the zxing-cpp package")
    image = pytest.importorskip("PIL.Image", reason="needs the pillow package")
    url = f"http://{own_address()}:{server.url.rpartition(':')[2]}/studio/"
    for page in (server.page, url):  # from this machine, and as others come
        tab.goto(page)
        finished(tab)
        assert tab.locator(".qr").is_hidden()
        tab.get_by_role("button", name="On stage").click()
        for width, height in ((1280, 860), (390, 844)):
            tab.set_viewport_size({"width": width, "height": height})
            for theme in ("light", "dark"):
                tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
                tab.locator(".qr svg").wait_for()
                read = zxing.read_barcodes(image.open(io.BytesIO(tab.screenshot())))
                assert [one.text for one in read] == [url]
        assert tab.locator(".qr figcaption").inner_text() == url
        tab.keyboard.press("Escape")
        assert tab.locator(".qr").is_hidden()
        tab.set_viewport_size({"width": 1280, "height": 860})
    assert watch.said == []


@pytest.mark.slow
def test_alone_there_is_none(tab: Any, watch: Watch, studio: Studio) -> None:
    tab.goto(studio.page)
    finished(tab)
    with tab.expect_response("**/api/address") as told:
        tab.get_by_role("button", name="On stage").click()
    assert told.value.json() == {"url": None, "rows": []}
    assert tab.locator(".qr").is_hidden()
    assert watch.said == []
