"""What screens are told to do: show an announcement, say which one they are, load their page anew.

A screen that is connected has a topic of its own, ``kiosk/<client id>/in``, which nobody else may read; what comes there is
for now, and nobody keeps it. What is announced at a booth is in the booth's shadow, which is its public topic: every screen of
the booth hears it, and one that comes late is handed it.
"""

import json
import re
from collections.abc import Callable
from typing import Final

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.registry import booth as booth_of
from shadows.shadow import JsonObject

Publish = Callable[[str, bytes], object]  # a topic, a payload

CLIENT: Final = re.compile(r"kiosk-[a-z0-9][a-z0-9_-]{0,23}-[A-Za-z0-9:.-]{6,80}")
LONGEST: Final = 200  # characters that can be read in passing
LEAST_S: Final = 5
MOST_S: Final = 86_400


def say(publish: Publish, clock: Callable[[], int], screen: str, text: str, seconds: int) -> None:
    """Show an announcement on one screen, for so long.

    Raises:
        Rejected: 400, for no client id of a screen, no such text, or no such time.
    """
    _order(publish, screen, {"do": "say", **notice(clock(), text, seconds)})


def identify(publish: Publish, screen: str) -> None:
    """Have one screen show its client id in large letters, for ten seconds.

    Raises:
        Rejected: 400, for no client id of a screen.
    """
    _order(publish, screen, {"do": "identify"})


def reload(publish: Publish, screen: str) -> None:
    """Have one screen load its page anew as soon as nobody is called there.

    Raises:
        Rejected: 400, for no client id of a screen.
    """
    _order(publish, screen, {"do": "reload"})


def announce(place: Place, booth: str, text: str, seconds: int) -> None:
    """Show an announcement on every screen of a booth, also on those that come later, for so long; ``""`` takes it back.

    Raises:
        Rejected: 400, for no such text or time; 404, if there is no such booth.
    """
    said: JsonObject | None = notice(place.clock(), text, seconds) if text else None
    booth_of(place, booth)
    place.shadows.update(f"booth-{booth}", reported={"notice": said})


def notice(now: int, text: str, seconds: int) -> JsonObject:
    """An announcement: ``{"text", "until": ms since 1970}``.

    Raises:
        Rejected: 400, for a text that is empty, too long, or not on one line; or for no such time.
    """
    if not 0 < len(text.strip()) <= LONGEST or any(ord(each) < 32 or ord(each) == 127 for each in text):
        raise Rejected(400, f"text: expected 1 to {LONGEST} characters on one line, got {text[:80]!r}")
    if not LEAST_S <= seconds <= MOST_S:
        raise Rejected(400, f"seconds: expected {LEAST_S} to {MOST_S}, got {seconds}")
    return {"text": text.strip(), "until": now + 1000 * seconds}


def _order(publish: Publish, screen: str, order: JsonObject) -> None:
    if not CLIENT.fullmatch(screen):
        raise Rejected(400, f"id: expected the client id of a screen, kiosk-<booth>-…, got {screen[:80]!r}")
    publish(f"kiosk/{screen}/in", json.dumps(order, ensure_ascii=False).encode())
