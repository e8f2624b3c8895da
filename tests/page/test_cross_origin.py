"""A page of another origin that calls the server, with the headers of OpenAI's client."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studios import Studio

pytestmark = pytest.mark.slow

ASK = """async ([url, key]) => {
    const headers = {
        "Authorization": `Bearer ${key}`, "Content-Type": "application/json",
        "X-Stainless-Lang": "js",
        "X-Stainless-Package-Version": "6.0.0", "X-Stainless-OS": "Unknown",
        "X-Stainless-Arch": "unknown", "X-Stainless-Runtime": "browser:chrome",
        "X-Stainless-Retry-Count": "0", "X-Stainless-Timeout": "600",
    };
    const body = {model: "shakespeare", prompt: "ROMEO:", max_tokens: 8, seed: 1};
    const ask = (more) => fetch(`${url}/v1/completions`, {
        method: "POST", headers, body: JSON.stringify({...body, ...more})
    });
    const whole = await ask({});
    return {
        id: whole.headers.get("x-request-id"),
        text: (await whole.json()).choices[0].text,
        stream: await (await ask({stream: true})).text(),
        refused: (await (await ask({model: "none"})).json()).error.message,
    };
}"""


class Empty(http.server.BaseHTTPRequestHandler):
    """A page without content."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(name="elsewhere")
def _elsewhere() -> Iterator[str]:
    """The address of a page, without its host."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield str(server.server_address[1])
        server.shutdown()
        thread.join()


def test_openais_client_in_a_page_of_another_origin(
    tab: Any, elsewhere: str, tmp_path: Path
) -> None:
    origin = f"http://127.0.0.1:{elsewhere}"
    server = Studio(
        "serve", "shakespeare", "--api-key", "sesame", "--cors-origin", origin, folder=tmp_path
    )
    try:
        tab.goto(origin)
        tab.wait_for_function(
            "async (url) => (await fetch(`${url}/health`)).status === 200", arg=server.url
        )
        got = tab.evaluate(ASK, [server.url, "sesame"])
        assert len(got["text"]) == 8 and got["id"]
        assert got["stream"].endswith("data: [DONE]\n\n")
        assert got["refused"].startswith("no model 'none'")
        tab.goto(f"http://localhost:{elsewhere}")  # an origin that wasn't named
        with pytest.raises(Exception, match="Failed to fetch"):
            tab.evaluate(ASK, [server.url, "sesame"])
    finally:
        server.close()
