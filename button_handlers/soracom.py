"""SORACOM's LTE-M Buttons: the frame, its parsed form, who sent it, and Beam's signature."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from button_handlers.click import Click, Ignored, battery_of, button_of, click_of, wrong_click
from shadows.errors import Rejected
from shadows.shadow import JsonObject
from shadows.signatures import SIGNED_WITHIN_MS
from shadows.staff import ClickType

CLICKS: Final[Mapping[int, ClickType]] = {1: ClickType.SINGLE, 2: ClickType.DOUBLE, 3: ClickType.LONG}
MAGIC: Final = 0x4D
# In this order, each only if it is there.
SIGNED_IDS: Final = ("x-soracom-imei", "x-soracom-imsi", "x-soracom-msisdn", "x-soracom-sim-id")
TIMESTAMP: Final = "x-soracom-timestamp"
SIGNATURE: Final = "x-soracom-signature"
FUNK: Final = "x-soracom-token"

# The button sold outside Japan is another product.
GLOBAL_PRESSES: Final = frozenset({"event", "event_with_temperature", "alert"})
GLOBAL_CLICKS: Final[Mapping[object, ClickType]] = {
    "Single short click": ClickType.SINGLE,
    "Double short click": ClickType.DOUBLE,
    "Single long click": ClickType.LONG,
}


def from_frame(button: str, frame: bytes) -> Click:
    """Read the datagram that the button itself sends.

    Shape: 4 bytes: ``4d``; click 1, 2 or 3; battery 0 to 3 for quarters 1 to 4; low byte of the sum of these.

    Raises:
        Rejected: 400, for any other frame.

    Source: the user group's simulator, github.com/kenichiro-kimura/soracom-button.
    """
    if len(frame) != 4 or frame[0] != MAGIC:
        raise Rejected(
            400, f"frame: expected 4 bytes that begin with 4d, got {len(frame)}: {frame[:8].hex()}"
        )
    _, click, battery, checksum = frame
    if checksum != sum(frame[:3]) & 0xFF:
        raise Rejected(400, f"checksum: expected {sum(frame[:3]) & 0xFF:02x}, got {checksum:02x}")
    if click not in CLICKS:
        wrong_click("click", click)
    if battery > 3:
        raise Rejected(400, f"battery: expected 0 to 3, got {battery}")
    return Click(button=button, type=CLICKS[click], battery=(battery + 1) / 4)


def from_document(button: str, document: JsonObject) -> Click | Ignored:
    """Read what SORACOM's binary parser makes of the frame, or the frame itself where the parser is off.

    Shape: ``{"clickType": 1 | 2 | 3, "clickTypeName": "SINGLE" | "DOUBLE" | "LONG", "batteryLevel"?: 0 to 1}``, or
    ``{"payload": base64 of the frame}``, or a message of the global button with its ``msg_type``. A battery without a
    click says that the button lives.

    Raises:
        Rejected: 400, for a field that is missing or none of these.

    Source: SORACOM user guide, LTE-M Button Plus (format) and Beam (UDP to HTTP); developer guide, Soracom LTE-M
    Button (message examples).
    """
    if "payload" in document:
        return from_frame(button, _decoded(document["payload"]))
    if "msg_type" in document:
        return _from_global(button, document)
    battery = battery_of(document, "batteryLevel")
    if battery is not None and not {"clickType", "clickTypeName"} & set(document):
        return Ignored(button=button, reason="batteryLevel: no click beside it, no press", battery=battery)
    return Click(button=button, type=_click(document), battery=battery)


def _click(document: JsonObject) -> ClickType:
    number = document.get("clickType")
    if number is None:
        return click_of(document, "clickTypeName")
    if isinstance(number, bool) or number not in list(CLICKS):
        raise Rejected(400, "clickType: expected 1 (SINGLE), 2 (DOUBLE) or 3 (LONG)")
    click = CLICKS[number]
    if document.get("clickTypeName", click) != click:
        raise Rejected(400, f"clickTypeName: expected {click}, as clickType says (SINGLE, DOUBLE, LONG)")
    return click


def _from_global(button: str, document: JsonObject) -> Click | Ignored:
    if document["msg_type"] not in list(GLOBAL_PRESSES):
        return Ignored(button=button, reason="msg_type: a message of the device, no press")
    pressed = document.get("detect_type")
    if not isinstance(pressed, str) or pressed not in GLOBAL_CLICKS:
        reason = "detect_type: something at the input of the device, no press"
        return Ignored(button=button, reason=reason, beats=False)
    return Click(button=button, type=GLOBAL_CLICKS[pressed])


def _decoded(payload: object) -> bytes:
    try:
        return base64.b64decode(payload, validate=True) if isinstance(payload, str) else b""
    except (binascii.Error, ValueError):
        raise Rejected(400, "payload: expected base64") from None


def imsi_of(headers: Mapping[str, str]) -> str:
    """Which SIM sent this: from Beam's header, or from the token that Funk adds.

    The token is not verified (SORACOM publishes no key): what lets the request in is the button token beside it.

    Raises:
        Rejected: 400, if neither names one.
    """
    if "x-soracom-imsi" in headers or FUNK not in headers:
        return button_of(headers, "x-soracom-imsi")
    try:
        body = headers[FUNK].split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        context = claims["ctx"]
        return button_of({"x-soracom-token: ctx.imsi": context["imsi"]}, "x-soracom-token: ctx.imsi")
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        raise Rejected(400, "x-soracom-token: expected a JWT with ctx.imsi") from None


def is_signed(headers: Mapping[str, str], key: str, now: int) -> bool:
    """Whether Beam's signature is right and not older, nor further ahead, than 300 s.

    It is the plain SHA-256 of the key, the ids and the time; the body is not covered, hence the short time.

    Args:
        headers: names in lower case.
        key: the pre-shared key; "" never signs anything.
        now: milliseconds since 1970.

    Source: SORACOM developer guide, Beam, signature verification.
    """
    ids = [name for name in SIGNED_IDS if headers.get(name)]
    sent = headers.get(TIMESTAMP, "")
    if not (key and ids and sent.isascii() and sent.isdecimal() and len(sent) < 20):
        return False
    # Nothing lies between them in what is signed: one that had the next one's name in it would pass for two.
    if not all(headers[name].isascii() and headers[name].isalnum() for name in ids):
        return False
    text = key + "".join(f"{name}={headers[name]}" for name in (*ids, TIMESTAMP))
    right = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    given = headers.get(SIGNATURE, "").lower().encode("utf-8", "surrogatepass")
    return hmac.compare_digest(right.encode(), given) and abs(now - int(sent)) <= SIGNED_WITHIN_MS
