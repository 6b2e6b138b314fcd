"""An SMS by Twilio, said to Twilio by ourselves: apprise's own way says neither why a message was refused, nor has Twilio
tell what became of it later.

Source: Twilio's REST API, Message resource, status callbacks, and its request validation.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import requests

from shadows.alerts import NotSent, Outcome

API_URL: Final = "https://api.twilio.com"
TIMEOUT_S: Final = 8.0
LONGEST_WAIT_S: Final = 600.0
PASSES: Final = frozenset({408, 425, 429})  # of all 4xx; with 429 Twilio has done nothing yet
# What Twilio says later; "queued" and "sending" are no news.
OUTCOMES: Final[Mapping[str, Outcome]] = {
    "sent": Outcome.SENT,
    "delivered": Outcome.DELIVERED,
    "undelivered": Outcome.UNDELIVERED,
    "failed": Outcome.UNDELIVERED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """One message.

    Attributes:
        account, login, token: of Twilio; the login is the account, or an API key of it.
        sender, to: in E.164, such as ``+819012345678``.
        callback: the address that hears what becomes of it; "" for none.
    """

    account: str
    login: str
    token: str = field(repr=False)
    sender: str
    to: str = field(repr=False)
    body: str
    callback: str = field(default="", repr=False)


def send(sms: Sms, api_url: str) -> None:
    """Have Twilio take a message.

    Raises:
        NotSent: it did not, or nobody knows.
    """
    form = {"To": sms.to, "From": sms.sender, "Body": sms.body}
    if sms.callback:
        form["StatusCallback"] = sms.callback
    try:
        answer = requests.post(
            f"{api_url or API_URL}/2010-04-01/Accounts/{sms.account}/Messages.json",
            data=form,
            auth=(sms.login, sms.token),
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
    except requests.RequestException as error:  # by its kind alone: its text may hold the address
        raise NotSent(f"Twilio is not reached: {type(error).__name__}", passes=True) from None
    if answer.status_code != 201:
        raise _refused(answer)


def _refused(answer: requests.Response) -> NotSent:
    status = answer.status_code
    try:
        code = answer.json().get("code")
    except (ValueError, AttributeError):
        code = None
    named = f", code {code}" if isinstance(code, int) else ""
    passes = status in PASSES or not 400 <= status < 500
    return NotSent(f"Twilio answered {status}{named}", passes=passes, retry_after_s=_wait_s(answer.headers))


def _wait_s(headers: Mapping[str, str]) -> float | None:
    asked = headers.get("Retry-After", "")
    return min(float(asked), LONGEST_WAIT_S) if re.fullmatch(r"[0-9]{1,6}", asked) else None


def signature(token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """``X-Twilio-Signature`` of a request to us: HMAC-SHA1 of the URL and the sorted fields."""
    said = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.digest(token.encode(), said.encode(), "sha1")).decode()


def is_signed(given: str, token: str, url: str, body: bytes) -> bool:
    """Whether Twilio made this request. It signs some addresses with their port, and some without, as its own library knows."""
    right = [signature(token, each, _fields(body)).encode() for each in _spellings(url)]
    same = [hmac.compare_digest(each, given.encode("utf-8", "surrogatepass")) for each in right]
    return bool(token) and any(same)


def _spellings(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.netloc.removesuffix(f":{port}")
    yield from (parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}"))


def said(body: bytes) -> tuple[Outcome, str] | None:
    """What became of a message, and why; None if that is no news."""
    fields = dict(_fields(body))
    outcome, code = OUTCOMES.get(fields.get("MessageStatus", "")), fields.get("ErrorCode", "")
    why = f"code {code}" if re.fullmatch(r"[0-9]{1,6}", code) else ""
    return (outcome, why) if outcome else None


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:  # no UTF-8, or too many: nothing that Twilio signs
        return []
