"""The channel: what was posted, and how Slack's encoding of a text is shown."""

import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from threading import Lock
from typing import Final

from shadows.shadow import JsonObject

KEPT: Final = 200
_TOKEN: Final = re.compile(r"<([^<>]*)>|\*([^*\n]+)\*")


class From(StrEnum):
    """Who posted."""

    BRIDGE = "bridge"  # a mention, by the incoming webhook
    PERSON = "person"
    ANSWER = "answer"  # the {"text"} that the outgoing webhook was answered
    REFUSAL = "refusal"  # the outgoing webhook was answered an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who may be mentioned, and may answer."""

    thing: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as the page shows it.

    Attributes:
        id: 1 for the first; each later one adds 1.
        at: milliseconds since 1970.
        name: of the person who wrote; "" for us.
        parts: as of :func:`parts`.
    """

    id: int
    at: int
    by: From
    name: str
    parts: tuple[JsonObject, ...]


class Channel:
    """The last messages, in memory."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=KEPT)
        self._lock = Lock()
        self._last = 0
        # A page that knows another channel's numbers begins anew.
        self.run = f"{time.time_ns():x}"

    def post(self, by: From, text: str, people: Mapping[str, Person], name: str = "") -> None:
        """Add a message in Slack's encoding; ``people`` are those it may mention, by Slack id."""
        with self._lock:
            self._last += 1
            now = time.time_ns() // 1_000_000
            self._messages.append(Message(id=self._last, at=now, by=by, name=name, parts=parts(text, people)))

    def after(self, id: int) -> list[JsonObject]:
        """Messages later than one."""
        with self._lock:
            return [asdict(message) for message in self._messages if message.id > id]


def parts(text: str, people: Mapping[str, Person]) -> tuple[JsonObject, ...]:
    """Cut a text into ``{"text"}``, ``{"bold"}`` and ``{"mention", "thing"?}``: no Slack id goes to a page."""
    cut: list[JsonObject] = []
    end = 0
    for found in _TOKEN.finditer(text):
        cut.append({"text": _unescaped(text[end : found.start()])})
        token, bold = found.groups()
        cut.append(_shown(token, people) if bold is None else {"bold": _unescaped(bold)})
        end = found.end()
    cut.append({"text": _unescaped(text[end:])})
    return tuple(part for part in cut if part.get("text") != "")


def _shown(token: str, people: Mapping[str, Person]) -> JsonObject:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        person = people.get(target[1:])
        return {"mention": person.name, "thing": person.thing} if person else {"mention": "?"}
    if target.startswith("!"):
        return {"mention": label or target[1:]}
    return {"text": _unescaped(label or target)}


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
