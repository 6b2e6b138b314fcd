"""The ways that are set: apprise's URLs, with the names of private attributes where a person's number or address goes. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from shadows.channels import Channel

PERSONAL: Final = ("phone", "mail", "line")
_NAME: Final = re.compile(r"\{([^{}]*)\}")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9]{1,23})://.+", re.DOTALL)
# Nobody's: what a person's would look like.
SAMPLE: Final = {"phone": "15005550006", "mail": "hana@example.com", "line": "U" + "0" * 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One way, such as ``twilio://SID:TOKEN@FROM/{phone}``; what is in it may be a secret.

    Attributes:
        is_personal: whether it reaches one person, and not a room full of them.
    """

    channel: Channel
    url: str = field(repr=False)
    is_personal: bool

    def filled(self, thing: str, private: Mapping[str, str]) -> str:
        """The URL for one person."""
        known = {**private, "id": thing.removeprefix("staff-")}
        return _NAME.sub(lambda found: quote(known[found[1]], safe=""), self.url)


def templates(urls: Iterable[str]) -> tuple[Template, ...]:
    """Read them, in the order in which they are tried.

    Raises:
        ValueError: one is none; the text names it by its number.
    """
    return tuple(_template(n, url) for n, url in enumerate(urls))


def _template(n: int, url: str) -> Template:
    scheme, named = _SCHEME.fullmatch(url), frozenset(_NAME.findall(url))
    if not scheme:
        raise ValueError(f"something else as number {n + 1}")
    if strange := named - {*PERSONAL, "id"}:
        # What is in braces by mistake may be a secret, but for a word.
        shown = [each if re.fullmatch(r"[a-z]{1,12}", each) else "…" for each in sorted(strange)]
        raise ValueError(f"{{{shown[0]}}} in number {n + 1}")
    return Template(
        channel=Channel(n=n, name=scheme[1], needs=named & {*PERSONAL}), url=url, is_personal=bool(named)
    )
