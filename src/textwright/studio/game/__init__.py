"""The game of the next letter: who has played it on this server, and how well. Begin with `routes`;
the game itself, its passages and its counting, is the page's."""

from textwright.studio.game.routes import router

__all__ = ["router"]
