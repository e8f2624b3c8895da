"""`/api/guessed`: who has played a passage of the game of the next letter, and how well, as long as
the server runs; the game itself, its passages and its counting, is the page's."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field, StringConstraints

from textwright.serving.fields import AS_INTEGER, Body, BodyRoute, Number
from textwright.serving.responses import json_response

PASSAGES = 100
PLAYERS = 60
"""Of a passage; whoever came first goes first."""


class GuessedRequest(Body):
    """A passage by its number; with a name, what that player's guesses cost."""

    passage: Annotated[int, Field(ge=0, lt=PASSAGES), AS_INTEGER]
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=30)] = ""
    bits: Annotated[Number, Field(ge=0, le=100)] = 0.0
    """A letter, on average."""
    right: Annotated[int, Field(ge=0, le=1000), AS_INTEGER] = 0


class Ranking:
    """The players of each passage, the least surprised first; thread-safe."""

    def __init__(self) -> None:
        self._players: dict[int, OrderedDict[str, dict[str, Any]]] = {}
        self._lock = Lock()

    def add(self, passage: int, name: str, bits: float, right: int) -> None:
        """Who plays a passage again keeps the better result."""
        with self._lock:
            players = self._players.setdefault(passage, OrderedDict())
            before = players.get(name)
            if before is None or bits < before["bits"]:
                players[name] = {"name": name, "bits": round(bits, 3), "right": right}
            while len(players) > PLAYERS:
                players.popitem(last=False)

    def of(self, passage: int) -> list[dict[str, Any]]:
        with self._lock:
            players = list(self._players.get(passage, {}).values())
        return sorted(players, key=lambda player: float(player["bits"]))


def router() -> APIRouter:
    """The route for one server, with a table of its own."""
    routes = APIRouter(prefix="/api", route_class=BodyRoute, include_in_schema=False)
    ranking = Ranking()

    @routes.post("/guessed")
    def guessed(body: GuessedRequest) -> Response:
        if body.name:
            ranking.add(body.passage, body.name, body.bits, body.right)
        return json_response({"players": ranking.of(body.passage)})

    return routes
