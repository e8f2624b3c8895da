"""The studio: the web page on a server, with what it needs beside the HTTP API.

The page itself lies in `textwright/page/web`. It writes and chats over the OpenAI API; the routes
here tell it what the models are, and what they do inside.
"""

from textwright.studio.app import mount

__all__ = ["mount"]
