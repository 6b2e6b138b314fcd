"""By which ways other than Slack people are reached, as the settings say; the same in both places."""

from typing import TYPE_CHECKING

from infra.alerts.templates import templates
from infra.settings import Settings, SettingsError
from infra.slack import way_of
from shadows.channels import Channels

if TYPE_CHECKING:
    from infra.alerts.senders import Senders


def channels_of(settings: Settings) -> Channels:
    """Which ways there are; they were checked.

    Raises:
        ValueError: as :func:`infra.alerts.templates.templates`.
    """
    return Channels(
        each=tuple(template.channel for template in templates(settings.alerts)),
        after_s=settings.alert_s,
        slack=bool(way_of(settings)),
    )


def senders_of(settings: Settings, key: str) -> "Senders | None":
    """Who sends alerts; None if no way is set. ``key`` signs their links.

    Raises:
        ValueError: apprise does not know one of them.
    """
    if not settings.alerts:
        return None
    from infra.alerts.senders import Senders  # noqa: PLC0415 - apprise takes a while, and few need it

    return Senders(
        templates(settings.alerts),
        lang=settings.lang,
        public_url=settings.public_url,
        key=key,
        twilio_url=settings.twilio_api_url,
    )


def check_alerts(settings: Settings) -> None:
    """Raise SettingsError, if one of the ways is none."""
    try:
        senders_of(settings, "")
    except ValueError as error:
        raise SettingsError(
            "STAFFCALL_ALERTS: expected URLs of apprise with spaces between them, such as "
            "twilio://SID:TOKEN@FROM/{phone}; in braces phone, mail, line or id; got " + str(error)
        ) from None
