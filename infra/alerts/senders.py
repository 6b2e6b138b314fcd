"""Sending alerts: by apprise, but an SMS by Twilio by ourselves. Each call ends in bounded time."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final

import apprise
from apprise.plugins.twilio import NotifyTwilio, TwilioMessageMode, TwilioNotificationMethod

from infra.alerts import twilio
from infra.alerts.links import ANSWER, Link, status_purpose, token
from infra.alerts.templates import SAMPLE, Template
from infra.alerts.words import WORDS
from shadows.alerts import Alert, NotSent

TIMEOUT_S: Final = 10.0
LINK_S: Final = 3_600
STATUS_S: Final = 86_400
PASSES: Final = twilio.PASSES
ASSET: Final = apprise.AppriseAsset(app_id="Staff Call", app_desc="Staff Call", app_url="")


class Senders:
    """All ways that are set."""

    def __init__(
        self,
        templates: Iterable[Template],
        *,
        lang: str,
        public_url: str = "",
        key: str = "",
        twilio_url: str = "",
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Without ``public_url`` no message has a link; ``key`` signs them.

        Raises:
            ValueError: apprise does not know one of them; the text names it by its number.
        """
        _silence()
        self._templates = tuple(templates)
        self._lang, self._public_url, self._key, self._twilio_url = lang, public_url, key, twilio_url
        self._wall = wall
        for n, template in enumerate(self._templates, 1):
            if made(template, "staff-hana", SAMPLE) is None:
                raise ValueError(f"a {template.channel.name}:// that apprise does not take as number {n}")

    def send(self, alert: Alert) -> None:
        """Send one.

        Raises:
            NotSent: it was not taken, or nobody knows.
        """
        template = self._templates[alert.channel.n]
        service = made(template, alert.thing, alert.private)
        if service is None:
            raise NotSent(f"no address that {alert.channel.name} takes", passes=False)
        title, body = self._words(alert, linked=template.is_personal and bool(self._public_url))
        sms = self._sms(service, alert, body)
        bounded(
            (lambda: twilio.send(sms, self._twilio_url)) if sms else (lambda: _notify(service, title, body))
        )

    def tokens(self) -> dict[int, str]:
        """The tokens by which Twilio signs what it says later, by the number of the way."""
        services = ((each.channel.n, made(each, "staff-hana", SAMPLE)) for each in self._templates)
        return {n: service.auth_token for n, service in services if _is_sms(service) and not service.apikey}

    def _words(self, alert: Alert, *, linked: bool) -> tuple[str, str]:
        """Title and text. Who has the link answers for the person: it goes to nobody else."""
        say = WORDS[self._lang]
        body = alert.message or say.called.format(name=alert.name, booth=alert.booth)
        if linked:
            link = self._token(alert, ANSWER, LINK_S)
            body += " " + say.link.format(url=f"{self._public_url}/answer/{link}")
        return say.title.format(booth=alert.booth), body

    def _sms(self, service: Any, alert: Alert, body: str) -> twilio.Sms | None:
        if not _is_sms(service):
            return None
        callback = ""
        # Twilio signs by the account's token, which we do not know where there is an API key.
        if self._public_url and not service.apikey:
            purpose = status_purpose(alert.channel.n, alert.n)
            callback = f"{self._public_url}/answer/{purpose}/{self._token(alert, purpose, STATUS_S)}"
        return twilio.Sms(
            account=service.account_sid,
            login=service.apikey or service.account_sid,
            token=service.auth_token,
            sender=service.source,
            to=service.targets[0][1],
            body=body,
            callback=callback,
        )

    def _token(self, alert: Alert, purpose: str, good_for_s: int) -> str:
        link = Link(thing=alert.thing, call=alert.call, expires=int(self._wall()) + good_for_s)
        return token(link, purpose, self._key)


def made(template: Template, thing: str, private: Any) -> Any:
    """The service of apprise for one person; None if their number or address is none."""
    service = apprise.Apprise.instantiate(template.filled(thing, private), asset=ASSET)
    # Without a number, apprise would have Twilio write to its own sender.
    return None if isinstance(service, NotifyTwilio) and not service.targets else service


def _is_sms(service: Any) -> bool:
    return (
        isinstance(service, NotifyTwilio)
        and service.method == TwilioNotificationMethod.SMS
        and [mode for mode, _ in service.targets] == [TwilioMessageMode.TEXT]
    )


def _notify(service: Any, title: str, body: str) -> None:
    many = apprise.Apprise(asset=ASSET)
    many.add(service)
    result = many.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
    if result:
        return
    # Most of its services say which status they were answered, and all of them in the same words.
    found = [re.search(r"\berror=(\d{3})\b", str(entry)) for entry in result.logs()]
    status = next((int(each[1]) for each in found if each), 0)
    reason = f"answered {status}" if status else "not taken"
    raise NotSent(reason, passes=status in PASSES or not 400 <= status < 500)


def bounded(send: Callable[[], None]) -> None:
    """Send, and wait so long at most: what libraries call a time-out is for each read, if they have one.

    Raises:
        NotSent: it was not taken, or nobody knows.
    """
    sent: Future[None] = Future()
    Thread(target=_settle, args=(sent, send), name="alert-send", daemon=True).start()
    try:
        sent.result(timeout=TIMEOUT_S)
    except TimeoutError:
        raise NotSent(f"no answer within {TIMEOUT_S:.0f} s", passes=True) from None
    except NotSent:
        raise
    except Exception as error:  # by its kind alone: its text may hold the URL
        raise NotSent(f"not sent: {type(error).__name__}", passes=True) from None


def _settle(sent: "Future[None]", send: Callable[[], None]) -> None:
    try:
        send()
        sent.set_result(None)
    except Exception as error:  # it is raised again where the result is awaited
        sent.set_exception(error)


def _silence() -> None:
    """apprise writes numbers, addresses and tokens into its log."""
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())
    log.propagate = False
