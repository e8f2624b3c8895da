"""The studio: the web page on a server, with what it needs beside the HTTP API.

The page itself lies in `textwright/page/web`. It writes over the OpenAI API; the routes here tell
it more about the models than that API does.
"""

from textwright.studio.mounting import mount

__all__ = ["mount"]
