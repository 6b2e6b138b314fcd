"""What a look at something came to: it is right, or wrong, or could not be looked at."""

from dataclasses import dataclass
from enum import StrEnum

from shadows.trouble import Trouble


class Verdict(StrEnum):
    """How something was found."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # it could not be looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: of which kind, as a trouble's.
        detail: what was found, in one sentence; never a secret, and nothing private.
        fix: what to do about it, or what would let it be looked at; "" if it is right.
        thing: the thing that it is about; "" if it is about all.
    """

    verdict: Verdict
    what: str
    detail: str
    fix: str = ""
    thing: str = ""


def right(what: str, detail: str, thing: str = "") -> Finding:
    """Something is as it should be."""
    return Finding(verdict=Verdict.RIGHT, what=what, detail=detail, thing=thing)


def wrong(trouble: Trouble) -> Finding:
    """Something is not as it should be."""
    return Finding(
        verdict=Verdict.WRONG,
        what=trouble.what,
        detail=trouble.detail,
        fix=trouble.fix,
        thing=trouble.thing,
    )


def unknown(what: str, detail: str, fix: str) -> Finding:
    """Something could not be looked at; ``fix`` is what would allow it."""
    return Finding(verdict=Verdict.UNKNOWN, what=what, detail=detail, fix=fix)
