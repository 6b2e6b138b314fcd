"""Something that is wrong right now, and what mends it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that an administrator has to see to.

    Attributes:
        what: of which kind, in one word: ``slack``, ``route``, ``button``, ``disk`` …
        thing: the thing that it is about; "" if it is about all.
        since: when it began, ms since 1970; 0 if nobody knows.
        detail: what is wrong, in one sentence; never a secret, and nothing private.
        fix: what to do, in one sentence.
    """

    what: str
    detail: str
    fix: str
    thing: str = ""
    since: int = 0
