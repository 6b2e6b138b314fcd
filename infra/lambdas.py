"""The entry points on AWS: the packages' own handlers, given their services. Importing does no work."""

import os
import time
from functools import lru_cache
from typing import Any, Final

from button_handlers.doors import on_button
from button_handlers.register import on_register
from infra.aws.place import AwsPlace, registry
from shadows.actions import Allowed
from shadows.shadow import JsonObject
from slack_bridge.doors import on_slack

SECRETS_FOR_S: Final = 300  # a secret that was changed holds after this time, in a function that is warm, too


def wired() -> AwsPlace:
    """The services, built on first use."""
    return _wired(int(time.time() // SECRETS_FOR_S))


@lru_cache(maxsize=1)
def _wired(_period: int) -> AwsPlace:
    return AwsPlace(os.environ)


def button(event: JsonObject, context: Any) -> JsonObject:
    """A press: by the HTTP API, by a topic rule, or invoked by SORACOM Funk or as 1-Click did.

    Raises:
        Rejected: what the sender got wrong; the HTTP API is answered instead.
    """
    here = wired()
    with here.settler.settled():
        return on_button(event, context, here.button_services)


def register(event: JsonObject, _context: Any) -> JsonObject:
    """Somebody of the account registers a button, by the HTTP API."""
    return on_register(event, registry(), Allowed.read(os.environ["STAFFCALL_ACTIONS"]))


def slack(event: JsonObject, _context: Any) -> JsonObject:
    """What somebody wrote in Slack, by the HTTP API."""
    here = wired()
    with here.settler.settled():
        return on_slack(event, here.slack_services)


def timer(event: JsonObject, _context: Any) -> JsonObject:
    """A batch of the queue: alarms, and messages to tell again. What could not be done comes back, and in the end to the dead letters."""
    failed = wired().settler.take((record["messageId"], record["body"]) for record in event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}


def sweep(_event: JsonObject, _context: Any) -> None:
    """Once a minute: whatever an alarm or a message has missed."""
    here = wired()
    try:
        here.settler.sweep()
    finally:  # calls come first
        here.announce_duty()


def quiet(_event: JsonObject, _context: Any) -> None:
    """Once a minute: who wants not to be disturbed in Slack."""
    wired().ask_quiet()


def webhook(event: JsonObject, _context: Any) -> JsonObject:
    """A batch of the outbox: transitions that other programs are to be told. What they did not take comes back."""
    failed = wired().outbox.take(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}


def alert(event: JsonObject, _context: Any) -> JsonObject:
    """Who is to be reached by another way than Slack. What was not taken comes back."""
    failed = wired().alerter.take(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}


def answer(event: JsonObject, _context: Any) -> JsonObject:
    """The page of an alert's link, and what Twilio says later of a message, by the HTTP API."""
    from infra.alerts.doors import on_answer  # noqa: PLC0415 - what it needs is in the package of this function alone

    here = wired()
    with here.settler.settled():
        return on_answer(event, here.answer_services(event["rawPath"]))
