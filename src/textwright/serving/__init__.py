"""Models over HTTP: the native API, those of OpenAI and Ollama, health and metrics.

Begin with `app.create_app`. Every request passes `gate.Gate` (its id, its key, the size of its
body), then a route (`native`, `completions`, `chat`, `responses_api`, `ollama`), which makes jobs
for the engine through `service.Service`; `replies` brings tokens from the engine's threads to the
event loop. Nothing here knows how a model computes or trains, or that there is a web page.
"""

from textwright.serving.app import create_app
from textwright.serving.metrics import Metrics
from textwright.serving.settings import ServerSettings

__all__ = ["Metrics", "ServerSettings", "create_app"]
