"""Models over HTTP: the native API, the OpenAI API, metrics."""

from textwright.serving.app import create_app
from textwright.serving.metrics import Metrics
from textwright.serving.settings import ServerSettings

__all__ = ["Metrics", "ServerSettings", "create_app"]
