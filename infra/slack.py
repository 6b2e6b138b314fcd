"""How people are told in Slack, as the settings say; the same in both places."""

import logging
from collections.abc import Sequence
from typing import Literal

from infra.settings import Settings
from shadows.calls import Place
from shadows.duty import Handover, announce
from slack_bridge import duty
from slack_bridge.tellers import BotTeller, WebhookTeller

log = logging.getLogger(__name__)


def bot_of(settings: Settings) -> BotTeller | None:
    """The bot; None without its token."""
    if not settings.slack_bot_token:
        return None
    return BotTeller(settings.slack_bot_token, settings.slack_channel, settings.slack_api_url, settings.lang)


def way_of(settings: Settings) -> Literal["bot", "webhook", ""]:
    """By which way people are told; "" for none."""
    if settings.slack_bot_token and settings.slack_channel:
        return "bot"
    return "webhook" if settings.slack_webhook_url else ""


def teller_of(settings: Settings, bot: BotTeller | None) -> BotTeller | WebhookTeller | None:
    """Who tells people; None if no Slack is set: then calls stay untold, and the kiosk says so."""
    way = way_of(settings)
    if way == "bot":
        return bot
    if way == "webhook":
        return WebhookTeller(settings.slack_webhook_url, settings.lang)
    log.warning("%s: nobody will be mentioned. README.md says how to connect Slack.", _lack(settings))
    return None


def _lack(settings: Settings) -> str:
    """What is missing before people can be told, in words."""
    if settings.slack_bot_token:
        return "SLACK_BOT_TOKEN is set without SLACK_CHANNEL"
    app = settings.slack_app_token or settings.slack_signing_secret or settings.slack_channel
    return "A Slack app is set without SLACK_BOT_TOKEN" if app else "No Slack is set"


def announce_duty(place: Place, teller: BotTeller | WebhookTeller, lang: str) -> None:
    """Post the hand-overs of the duty that the channel has not heard of.

    Raises:
        NotTold: Slack did not take it.
        Rejected: the roster cannot be read or written now.
    """

    def say(handovers: Sequence[Handover]) -> None:
        teller.post(duty.words(place, handovers, lang))

    announce(place, say)
