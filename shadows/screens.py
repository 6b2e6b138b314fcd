"""Screens that may press: each is paired once by a code that the admin makes, and has a token of its own from then on.

A screen is a thing, ``kiosk-<id>``. The registry keeps digests only: who reads it can neither pair nor press.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.registry import booth as booth_of
from shadows.shadow import Thing

TYPE: Final = "kiosk"
CODE_MS: Final = 600_000  # so long a code can be typed
CODE: Final = re.compile(r"[0-9]{10}")
_TOKEN: Final = re.compile(r"([a-z0-9]{8})\.[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A screen that may press, or that has a code to be typed.

    Attributes:
        booth: id of the only booth where it calls somebody.
        until: ms since 1970, until when its code can be typed; 0 once it is paired.
        at: of its last press, ms since 1970; 0 if there was none.
    """

    id: str
    booth: str
    until: int = 0
    at: int = 0

    @property
    def thing(self) -> str:
        """Its name in the registry."""
        return f"{TYPE}-{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A screen to be paired, and the code that does it, once: 10 digits that are kept nowhere."""

    screen: Screen
    code: str = field(repr=False)


def invite(place: Place, booth: str) -> Invitation:
    """Make a code by which one screen of a booth gets the right to press, within ten minutes.

    Raises:
        Rejected: 404, if there is no such booth.
    """
    booth_of(place, booth)
    _forget_the_late(place)
    screen = Screen(id=secrets.token_hex(4), booth=booth, until=place.clock() + CODE_MS)
    code = f"{secrets.randbelow(10**10):010}"
    attributes = {"booth": booth, "until": str(screen.until), "code": _digest(code)}
    place.things.create(Thing(name=screen.thing, type=TYPE, attributes=attributes))
    return Invitation(screen=screen, code=code)


def pair(place: Place, code: str, booth: str) -> str:
    """Make a code into a token, which only the screen has from then on.

    Args:
        place: where we run.
        code: as it was typed; what is no digit does not count.
        booth: what the screen shows.

    Raises:
        Rejected: 401, if there is no such code, or it is late or was used; 409, if it is for another booth.
    """
    digest = _digest(re.sub(r"[^0-9]", "", code))
    for thing in place.things.list(type=TYPE, attribute=("code", digest)):
        screen = _screen(thing)
        if screen.until <= place.clock():
            continue
        if screen.booth != booth:
            raise Rejected(409, f"booth: the code is for {screen.booth}, and this screen shows {booth}")
        token = f"{screen.id}.{secrets.token_urlsafe(32)}"
        # At the version that we read: of two who type it at once, one is too late.
        used = {"code": "", "until": "", "token": _digest(token)}
        place.things.update(thing.name, used, version=thing.version)
        return token
    raise Rejected(401, "code: expected one that `staffcall kiosk pair` printed less than 10 minutes ago")


def screen_of(place: Place, token: str) -> Screen:
    """Whose token this is.

    Raises:
        Rejected: 401, if it is nobody's, or was revoked.
    """
    read = _TOKEN.fullmatch(token)
    thing = _found(place, read[1]) if read else None
    if thing is None or not hmac.compare_digest(thing.attributes.get("token", ""), _digest(token)):
        raise Rejected(401, "Authorization: expected 'Bearer <token>' of a screen that is paired")
    return _screen(thing)


def screens(place: Place) -> Iterator[Screen]:
    """Every screen that is paired, or can be, by id."""
    now = place.clock()
    for thing in place.things.list(type=TYPE):
        screen = _screen(thing, _pressed_at(place, thing.name))
        if screen.until == 0 or screen.until > now:
            yield screen


def revoke(place: Place, id: str) -> None:
    """Take the right to press from a screen: its token, or its code, opens nothing any more.

    Raises:
        Rejected: 404, if there is no such screen.
    """
    thing = _found(place, id)
    if thing is None:
        raise Rejected(404, f"id: there is no screen {id}")
    place.things.delete(thing.name)  # first: a screen without a shadow presses, one without a thing does not
    _forget_shadow(place, thing.name)


def _forget_the_late(place: Place) -> None:
    for thing in place.things.list(type=TYPE):
        if 0 < _screen(thing).until <= place.clock():
            place.things.delete(thing.name)


def _found(place: Place, id: str) -> Thing | None:
    if not re.fullmatch(r"[a-z0-9]{8}", id):
        return None
    try:
        return place.things.get(f"{TYPE}-{id}")
    except Rejected as no:
        if no.code != 404:
            raise
        return None


def _pressed_at(place: Place, thing: str) -> int:
    try:
        at = place.shadows.get(thing).reported.get("at")
    except Rejected as no:
        if no.code != 404:
            raise
        return 0
    return at if isinstance(at, int) else 0


def _forget_shadow(place: Place, thing: str) -> None:
    try:
        place.shadows.delete(thing)
    except Rejected as no:
        if no.code != 404:
            raise


def _screen(thing: Thing, at: int = 0) -> Screen:
    until = thing.attributes.get("until", "0")
    return Screen(
        id=thing.name.removeprefix(f"{TYPE}-"),
        booth=thing.attributes.get("booth", ""),
        until=int(until) if until.isdecimal() else 0,
        at=at,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
