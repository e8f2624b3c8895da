"""The studio: the web page on a server, and the routes that it needs beside the OpenAI API.

Begin with `app.mount`, which puts the page and its routes onto an app of `serving`; then
`training_process`, which runs `textwright train` as a process of its own. The page itself lies in
`textwright/page/web` and writes and chats over `serving`'s API. Nothing here knows the training
loop: a training is seen through its run folder. Nor is torch imported.
"""

from textwright.studio.app import mount

__all__ = ["mount"]
