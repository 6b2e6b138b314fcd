"""What ``staffcall doctor`` looks at in both places: routes, buttons, settings and Slack."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from infra.actions import Starter
from infra.local.signs import of_buttons as of_heartbeats
from infra.local.signs import silent
from infra.settings import SHORT, Settings, guessable
from infra.slack import bot_of, teller_of, way_of
from shadows import registry
from shadows.actions import Action, Result
from shadows.calls import Place
from shadows.channels import Channels
from shadows.errors import Rejected
from shadows.finding import Finding, right, unknown, wrong
from shadows.registry import Booth, Button, Person
from shadows.routes import SLACK_ALONE, flaws, unmentioned
from shadows.trouble import Trouble
from slack_bridge import check
from slack_bridge.check import Asker, Member
from slack_bridge.tellers import web_client

LOW: Final = 0.25
ALLOW: Final = "Set what is missing where Staff Call runs (docs/actions.md), and start or deploy again."
PRESS: Final = "Mend what it says, and press the button again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Everybody and everything that is registered."""

    people: tuple[Person, ...] = ()
    buttons: tuple[Button, ...] = ()
    booths: tuple[Booth, ...] = ()

    @classmethod
    def of(cls, place: Place) -> "Roster":
        """As it is in a place now."""
        return cls(
            people=tuple(registry.people(place)),
            buttons=tuple(registry.buttons(place)),
            booths=tuple(registry.booths(place)),
        )


def of_routes(roster: Roster, channels: Channels = SLACK_ALONE) -> Iterator[Finding]:
    """Whether each way from a button to a person leads to somebody, on paper; ``channels`` are those beside Slack."""
    found = list(flaws(roster.people, roster.buttons, roster.booths, channels))
    flawed = {flaw.thing for flaw in found}
    things = [
        *(f"staff-{each.id}" for each in roster.people),
        *(f"button-{each.id}" for each in roster.buttons),
    ]
    for thing in things:
        if thing not in flawed:
            yield right("route", f"{thing} leads to somebody", thing)
    yield from map(wrong, found)
    if not roster.buttons:
        detail, fix = "There is no button: nobody can be called", "Run `staffcall button add`."
        yield wrong(Trouble(what="route", detail=detail, fix=fix))


def of_buttons(buttons: Iterable[Button], now: int) -> Iterator[Finding]:
    """Whether each button has ever pressed, says that it lives if it ever did, and has a battery that is not low.

    Args:
        buttons: all of them.
        now: ms since 1970.
    """
    buttons = list(buttons)
    yield from map(wrong, silent(of_heartbeats(buttons, now, now), now))
    for button in buttons:
        thing = f"button-{button.id}"
        if not button.at:
            fix = "Press it once, as a visitor would, and see that somebody is mentioned."
            yield wrong(Trouble(what="button", thing=thing, detail="It has never pressed", fix=fix))
        else:
            yield right("button", "It has pressed", thing)
        if button.battery is not None:
            yield _battery(thing, button.battery)


def of_actions(buttons: Iterable[Button], settings: Settings) -> Iterator[Finding]:
    """Whether each click that starts something may, and what came of the last."""
    on_aws = settings.target == "aws"
    doer = Starter(settings.actions, settings.webhook_secret, publish=_nowhere, named_only=on_aws)
    for button in buttons:
        thing = f"button-{button.id}"
        actions = {click: Action.read(click, does) for click, does in button.calls.items()}
        for click, action in actions.items():
            if action and (why := doer.refuses(action)):
                detail = f"Its {click} click does not start {action.label}: {why}"
                yield wrong(Trouble(what="action", thing=thing, detail=detail, fix=ALLOW))
            elif action:
                yield right("action", f"Its {click} click may start {action.label}", thing)
        if button.result == Result.FAILED:
            detail = f"The last that it was to start was not started: {button.reason}"
            yield wrong(Trouble(what="action", thing=thing, detail=detail, fix=PRESS))


def _nowhere(_topic: str, _payload: bytes, _correlation: bytes) -> None:
    """Publish nothing: whoever only looks starts nothing."""


def _battery(thing: str, charge: float) -> Finding:
    if charge > LOW:
        return right("button", f"Its battery is at {charge:.0%}", thing)
    detail = f"Its battery is at {charge:.0%}"
    return wrong(Trouble(what="button", thing=thing, detail=detail, fix="Change its battery."))


def of_settings(settings: Settings) -> Iterator[Finding]:
    """Whether what is set fits together: a way to tell people, a way to hear them, and no guessable token."""
    found = list(_slack_settings(settings))
    yield from map(wrong, found) if found else [right("settings", "Slack is set, both ways")]


def _slack_settings(settings: Settings) -> Iterator[Trouble]:
    way = way_of(settings)
    if not (way or settings.slack_bot_token or settings.alerts):
        yield _setting(
            "No Slack is set: nobody is mentioned",
            "Set SLACK_APP_TOKEN, SLACK_BOT_TOKEN and SLACK_CHANNEL; README.md says how to get them.",
        )
    if settings.slack_bot_token and not settings.slack_channel:
        yield _setting(
            "SLACK_BOT_TOKEN is set without SLACK_CHANNEL",
            "Set SLACK_CHANNEL to the channel's id (C…), from the bottom of its details.",
        )
    if way == "bot" and settings.slack_webhook_url:
        yield _setting(
            "SLACK_WEBHOOK_URL is not used, for SLACK_BOT_TOKEN is set too",
            "Unset the one that you do not want.",
        )
    hears = settings.slack_app_token or settings.slack_signing_secret or settings.slack_outgoing_token
    if way and not hears:
        yield _setting(
            "No answer of the staff can be heard",
            "Set SLACK_APP_TOKEN (Socket Mode), SLACK_SIGNING_SECRET (HTTP) or SLACK_OUTGOING_TOKEN (webhook).",
        )
    if (settings.slack_app_token or settings.slack_signing_secret) and not settings.slack_bot_token:
        yield _setting(
            "A Slack app is set without SLACK_BOT_TOKEN: its answers are not said",
            "Set SLACK_BOT_TOKEN to the Bot User OAuth Token (xoxb-…).",
        )


def of_guessing(settings: Settings) -> Iterator[Finding]:
    """Whether somebody on the network could guess a token, where the place is open to it."""
    if settings.host in ("127.0.0.1", "::1", "localhost"):
        return
    short = guessable(settings)
    for name in short:
        detail = f"{name} is short, and STAFFCALL_HOST lets the network try to guess it"
        fix = f"Set {name} to at least {SHORT} random characters, or unset it, and start again."
        yield wrong(_setting(detail, fix))
    if not short:
        yield right("settings", "No token can be guessed")


def _setting(detail: str, fix: str) -> Trouble:
    return Trouble(what="settings", detail=detail, fix=fix)


def bot_asker(settings: Settings) -> Asker:
    """Asks Slack with the bot's token."""
    return Asker(web_client(settings.slack_api_url, settings.slack_bot_token))


def id_by_email(settings: Settings, email: str) -> str:
    """The Slack user id of who has this address, which is not kept.

    Raises:
        Rejected: 400, if there is no bot that could look it up; else as :func:`slack_bridge.check.id_of`.
    """
    if not settings.slack_bot_token:
        can = "set SLACK_BOT_TOKEN, or give the Slack id from their profile (Copy member ID)"
        raise Rejected(400, f"email: only a bot can look it up: {can}")
    return check.id_of(bot_asker(settings), email)


def of_clock(settings: Settings) -> Iterator[Finding]:
    """Whether this machine and Slack agree about the time, if there is a Slack."""
    if way_of(settings):
        yield from check.of_clock(Asker(web_client(settings.slack_api_url)))


def of_mapping(people: Iterable[Person]) -> Iterator[Finding]:
    """Whether everybody has a Slack id."""
    yield from map(wrong, unmentioned(people))


def of_slack(settings: Settings, people: Iterable[Person], *, post: bool) -> Iterator[Finding]:
    """Whether Slack would take a mention of everybody, and let them answer.

    Args:
        settings: how Slack is connected.
        people: who is to be mentioned.
        post: whether to post one harmless line.
    """
    way = way_of(settings)
    if settings.slack_bot_token:
        members = [Member(thing=f"staff-{each.id}", slack=each.slack) for each in people if each.slack]
        asker = bot_asker(settings)
        events = bool(settings.slack_app_token or settings.slack_signing_secret)
        yield from check.of_bot(
            asker, settings.slack_channel, members, events=events, hours="dnd" in settings.slack_quiet
        )
    if settings.slack_app_token:
        yield from check.of_socket(Asker(web_client(settings.slack_api_url, settings.slack_app_token)))
    if teller := teller_of(settings, bot_of(settings)) if post and way else None:
        yield from check.of_post(teller.post)
    elif way == "webhook":
        detail = "A webhook can be asked nothing: whether Slack takes a mention was not looked at"
        yield unknown("slack", detail, "Run `staffcall doctor --post`, which posts one harmless line.")


def of_anywhere(roster: Roster, settings: Settings | None, *, post: bool) -> Iterator[Finding]:
    """What is looked at in both places.

    Args:
        roster: who is registered.
        settings: how Slack is connected; None if that is not to be looked at.
        post: whether to post one harmless line.
    """
    yield from of_routes(roster, _channels(settings))
    yield from of_buttons(roster.buttons, time.time_ns() // 1_000_000)
    if settings:
        yield from of_actions(roster.buttons, settings)
        yield from of_settings(settings)
        yield from of_slack(settings, roster.people, post=post)


def _channels(settings: Settings | None) -> Channels:
    """The ways beside Slack; a demo's Slack, and one that nobody may look at, is one, too."""
    from infra.ways import channels_of  # noqa: PLC0415

    return channels_of(settings) if settings and settings.alerts else Channels()
