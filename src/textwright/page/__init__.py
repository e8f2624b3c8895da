"""The one web page: what it is made of, and it as a single file with a model inside.

`web/` is plain HTML, CSS and ES modules, served as it stands. `offline_page` packs it with the
weights and the tokenizer of a model, whose steps `web/runtime/` takes in the browser.
"""

from pathlib import Path

from textwright.page.offline import offline_page, write_offline_page
from textwright.page.packing import DTYPES, Dtype

WEB = Path(__file__).parent / "web"
"""The folder of the page's files; `index.html` is the page."""

__all__ = ["DTYPES", "WEB", "Dtype", "offline_page", "write_offline_page"]
