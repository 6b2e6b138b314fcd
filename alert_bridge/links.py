"""The links of alerts: signed, for one person and one call, and good for a time. Pure.

A token is ``<id>.<call id>.<expires>.<signature>``: ``expires`` in seconds since 1970, base 36; the signature is the first
128 bits of HMAC-SHA256, in base64 for URLs, of all before it and of what the link is for.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from typing import Final

ANSWER: Final = "answer"
_TOKEN: Final = re.compile(
    r"([a-z0-9][a-z0-9_-]{0,23})\.([0-9A-Za-z]{1,26})\.([0-9a-z]{1,9})\.([A-Za-z0-9_-]{22})"
)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a token says: about which call of whom it is, and until when it is good (seconds since 1970)."""

    thing: str
    call: str
    expires: int


def status_purpose(channel: int, n: int) -> str:
    """What a link is for by which a provider says what became of a message: ``status-<channel>-<n>``."""
    return f"status-{channel}-{n}"


def token(link: Link, purpose: str, key: str) -> str:
    """Sign a link."""
    said = f"{link.thing.removeprefix('staff-')}.{link.call}.{_base36(link.expires)}"
    return f"{said}.{_signature(said, purpose, key)}"


def read(text: str, purpose: str, key: str) -> Link | None:
    """Read a token; None if we did not sign it for this. One that has expired is read, too."""
    found = _TOKEN.fullmatch(text)
    if not found or not key:
        return None
    id, call, expires, given = found.groups()
    if not hmac.compare_digest(_signature(f"{id}.{call}.{expires}", purpose, key), given):
        return None
    return Link(thing=f"staff-{id}", call=call, expires=int(expires, 36))


def _signature(said: str, purpose: str, key: str) -> str:
    digest = hmac.digest(key.encode(), f"{purpose} {said}".encode(), "sha256")[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
