"""By which ways other than Slack people are reached, as the settings say."""

from typing import TYPE_CHECKING

from alert_bridge.templates import templates
from infra.settings import Settings, SettingsError, Tokens
from infra.slack import way_of
from shadows.channels import Channels

if TYPE_CHECKING:
    from alert_bridge.senders import Senders


def channels_of(settings: Settings) -> Channels:
    """Which ways there are; they were checked.

    Raises:
        ValueError: as :func:`alert_bridge.templates.templates`.
    """
    return Channels(
        each=tuple(template.channel for template in templates(settings.alerts)),
        after_s=settings.alert_s,
        slack=bool(way_of(settings)),
    )


def senders_of(settings: Settings, opened: Tokens) -> "Senders | None":
    """Who sends alerts; None if no way is set.

    Raises:
        ValueError: apprise does not know one of them.
    """
    if not settings.alerts:
        return None
    from alert_bridge.senders import Senders  # noqa: PLC0415 - apprise takes a while, and few need it

    return Senders(
        templates(settings.alerts),
        lang=settings.lang,
        public_url=settings.public_url,
        key=opened.link,
        twilio_url=settings.twilio_api_url,
    )


def check_alerts(settings: Settings) -> None:
    """Raise SettingsError, if one of the ways is none."""
    try:
        senders_of(settings, Tokens(admin="", button=""))
    except ValueError as error:
        raise SettingsError(
            "STAFFCALL_ALERTS: expected URLs of apprise with spaces between them, such as "
            "twilio://SID:TOKEN@FROM/{phone}; in braces phone, mail, line or id; got " + str(error)
        ) from None
