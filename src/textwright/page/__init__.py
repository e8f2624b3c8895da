"""The web page: its files, and the page as a single HTML file with a model inside.

`web/` is plain HTML, CSS and ES modules, which `studio` serves unchanged; begin with `web/app.js`.
`offline.offline_page` bundles it with a model's weights and tokenizer, and `web/runtime/` computes
that model in the browser, as `runtimes/` does on NumPy; `web/learning/` trains one there, with the
engine that `learning` finds. Nothing here knows HTTP or a server.
"""

from pathlib import Path

from textwright.page.learning import can_learn
from textwright.page.offline import offline_page, write_offline_page
from textwright.page.packing import DTYPES, Dtype

WEB = Path(__file__).parent / "web"
"""The folder of the page's files; `index.html` is the page."""

__all__ = ["DTYPES", "WEB", "Dtype", "can_learn", "offline_page", "write_offline_page"]
