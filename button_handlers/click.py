"""One press of one button, whoever made the button; and how its fields are read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.staff import ClickType

BUTTON_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
PRESS_ID_LENGTH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One press of one button.

    Attributes:
        button: serial number, IMSI or chosen name.
        battery: charge left, 0.0 to 1.0; None if the button does not say.
        id: the same whenever this press comes again; None if the sender gives nothing to know it by.
        told: by what a device that tells its last press again, at any time until the next one, tells it from others.
    """

    button: str
    type: ClickType
    battery: float | None = None
    id: str | None = None
    told: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A message that is no press: health, status, a timer. It never starts a call; it says that its button lives.

    Attributes:
        reason: why it is none.
        beats: whether such messages come at regular times.
        battery: charge left, 0.0 to 1.0; None if it does not say.
    """

    button: str
    reason: str
    beats: bool = True
    battery: float | None = None


def document_of(body: bytes) -> JsonObject:
    """Read a body as a JSON object.

    Raises:
        Rejected: 400, if it is none.
    """
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise Rejected(400, f"body: expected a JSON object in UTF-8, got something else ({reason})") from None
    if not isinstance(document, dict):
        raise Rejected(400, f"body: expected a JSON object, got {_short(document)}")
    return document


def button_of(fields: Mapping[str, Any], name: str) -> str:
    """The field ``name`` as a button's id."""
    value = fields.get(name)
    # AWS's own samples have spaces around serial numbers.
    button = value.strip() if isinstance(value, str) else ""
    if not BUTTON_ID.fullmatch(button):
        raise Rejected(400, f"{name}: expected 1 to 64 of A-Z a-z 0-9 _ -, got {_short(value)}")
    return button


def key_of(device: str, number: int) -> str:
    """The button that a key of a device is: its first one has the device's name, and each other one ``-<number>`` behind it.

    Raises:
        Rejected: 400, if the name is none for a button.
    """
    return button_of({"device": device if number == 1 else f"{device}-{number}"}, "device")


def click_of(fields: Mapping[str, Any], name: str) -> ClickType:
    """The field ``name`` as a click type."""
    value = fields.get(name)
    if value not in list(ClickType):
        wrong_click(name, value)
    return ClickType(str(value))


def wrong_click(name: str, value: object) -> NoReturn:
    """Refuse what is no click type."""
    raise Rejected(400, f"{name}: expected SINGLE, DOUBLE or LONG, got {_short(value)}")


def battery_of(fields: Mapping[str, Any], name: str) -> float | None:
    """The field ``name`` as a charge from 0 to 1; None if it is absent or null."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Rejected(400, f"{name}: expected a number from 0 to 1, got {_short(value)}")
    return float(value)


def press_id_of(fields: Mapping[str, Any], name: str) -> str | None:
    """The field ``name`` as the sender's id of this press; None if it is absent or null."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= PRESS_ID_LENGTH:
        raise Rejected(
            400, f"{name}: expected a text of 1 to {PRESS_ID_LENGTH} characters, got {_short(value)}"
        )
    return value


def _short(value: object) -> str:
    """What stood there, as far as a message has room for it."""
    try:
        text = json.dumps(value)
    except ValueError:  # an integer of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)  # JSON has no NaN, and a battery of NaN passes no test
