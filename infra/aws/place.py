"""The AWS place: the services of the Lambda functions, built from what the stack gives them."""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

import button_handlers.doors as button_doors
import slack_bridge.doors as slack_doors
from infra.actions import Starter
from infra.aws import quiet
from infra.aws.alerting import Alerter, Asks, noting
from infra.aws.outbox import Outbox
from infra.aws.settling import SWEEPERS, NotedShadows, Queue, Settler
from infra.aws.tables import Deliveries, UnknownButtons
from infra.settings import Settings
from infra.slack import announce_duty, bot_of, teller_of, way_of
from infra.ways import channels_of, senders_of
from shadows.aws import AwsShadows, AwsThings, publish
from shadows.calls import Place
from shadows.channels import Channels
from shadows.errors import Rejected
from shadows.telling import NotTold
from slack_bridge.check import Asker
from slack_bridge.tellers import web_client

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

    import infra.alerts.doors as answer_doors
    from infra.alerts.senders import Senders

log = logging.getLogger(__name__)

# "standard" waits with jitter between its attempts, and tries again when it is throttled.
CONFIG: Final = Config(
    retries={"mode": "standard", "max_attempts": 4},
    connect_timeout=2,
    read_timeout=5,
    max_pool_connections=SWEEPERS,
)
# What is only noted holds up neither a press nor an alert: a function that was ended for it would send that once more.
NOTING: Final = CONFIG.merge(
    Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=1, read_timeout=1)
)
LINK_KEY: Final = "LINK_KEY"  # signs the links of alerts; made by deploying, and nobody's setting
PATIENCE_S: Final = 1.0  # Slack waits for the function's answer for 3 s


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@cache
def client(service: Any, config: Config | None = None) -> Any:
    """The boto3 client of a service: one, for as long as the function lives."""
    return boto3.client(service, config=config or (NOTING if service == "dynamodb" else CONFIG))


def registry() -> Place:
    """What somebody who only registers needs; no secret."""
    return Place(shadows=AwsShadows(client("iot-data")), things=AwsThings(client("iot")), clock=now_ms)


class AwsPlace:
    """What the handlers are given.

    Attributes:
        settler: sets the alarms and tells people, once a handler is done.
        outbox: tells other programs.
        alerter: has alerts sent.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        """Build from a function's environment, and from the secrets below the path that it names.

        Raises:
            SettingsError: a setting or a secret is wrong.
        """
        private = secrets(client("ssm"), env["STACK_SECRETS"])
        settings = Settings.from_env({**env, **private})
        if not env.get("STACK_ALERTS"):  # there is nobody yet, or no more, who sends them
            settings = replace(settings, alerts=())
        table = env.get("STACK_QUIET", "")
        self._heard = quiet.Heard(client("dynamodb", quiet.BRIEF), table) if table else None
        seen = Place(
            shadows=AwsShadows(client("iot-data")),
            things=AwsThings(client("iot")),
            clock=now_ms,
            timing=settings.timing,
            channels=_channels(settings),
            is_quiet=quiet.Quiet(self._heard).has if self._heard else _nobody,
        )
        shadows = NotedShadows(seen.shadows)
        place = replace(seen, shadows=shadows)
        queue = Queue(client("sqs"), env["STACK_QUEUE"], now_ms)
        bot = bot_of(settings)
        board = bot if way_of(settings) == "bot" else None
        teller = teller_of(settings, bot)
        say = partial(publish, client("iot-data"))
        starter = Starter(settings.actions, settings.webhook_secret, say, named_only=True)
        asks = Asks(client("sqs"), env.get("STACK_ALERTS", ""))
        tries = env.get("STACK_DELIVERIES")  # of those functions that may write there
        on_record = Deliveries(client("dynamodb"), tries, now_ms, settings.history_days) if tries else None
        self.settler = Settler(
            place,
            shadows,
            queue,
            teller,
            board,
            doer=starter,
            sweeps_buttons=bool(settings.actions.each),
            asks=asks if place.channels.each else None,
            on_record=on_record,
        )
        self.alerter = Alerter(seen, asks, lambda: self._senders, on_record)
        self.outbox = Outbox(
            client("sqs"), env.get("STACK_OUTBOX", ""), settings.webhook_urls, settings.webhook_secret
        )
        self._place, self._seen, self._teller, self._lang = place, seen, teller, settings.lang
        self._settings, self._link_key = settings, private.get(LINK_KEY, "")
        self._on_record = on_record
        self.button_services = button_doors.Services(
            place=place,
            unknown=UnknownButtons(client("dynamodb"), env["STACK_UNKNOWN"]),
            token=settings.button_token,
            beam_key=settings.soracom_beam_key,
        )
        self.slack_services = slack_doors.Services(
            place=place,
            outgoing_token=settings.slack_outgoing_token,
            signing_secret=settings.slack_signing_secret,
            lang=settings.lang,
            seen=seen,
            say=partial(bot.say, patience_s=PATIENCE_S) if bot else None,
        )

    @cached_property
    def _senders(self) -> "Senders | None":
        return senders_of(self._settings, self._link_key)

    def answer_services(self, path: str) -> "answer_doors.Services":
        """What the doors of the links of alerts are given, for a request to this path.

        Twilio says a thing again at the same path until it is answered; that is signed, and not kept as it is.
        """
        from infra.alerts import doors  # noqa: PLC0415 - what it needs is in the package of its function alone

        return doors.Services(
            place=self._place,
            key=self._link_key,
            lang=self._lang,
            public_url=self._settings.public_url,
            twilio_tokens=lambda: self._senders.tokens() if self._senders else {},
            note=noting(self._on_record, hashlib.sha256(path.encode()).hexdigest()[:16]),
        )

    def ask_quiet(self) -> None:
        """Ask Slack who wants not to be disturbed, and keep it for whoever calls somebody.

        Raises:
            NotTold: Slack does not say it now.
            Rejected: the people cannot be listed now.
        """
        if self._heard and self._settings.slack_bot_token:
            bot = web_client(self._settings.slack_api_url, self._settings.slack_bot_token)
            quiet.ask(self._seen, Asker(bot, patience_s=0), self._settings.slack_quiet, self._heard)

    def announce_duty(self) -> None:
        """Post the hand-overs of the duty that the channel has not heard of; the next sweep tries again what fails."""
        try:
            if self._teller:
                announce_duty(self._seen, self._teller, self._lang)
        except (NotTold, Rejected) as no:
            log.warning("A hand-over of the duty was not announced: %s", no)


def _nobody(_thing: str) -> bool:
    return False


def _channels(settings: Settings) -> Channels:
    """Which other ways there are. A wrong one, which only somebody else than our command can have stored, stops no call."""
    try:
        return channels_of(settings)
    except ValueError as error:
        log.error("STAFFCALL_ALERTS: got %s: nobody is reached but by Slack", error)  # noqa: TRY400
        return Channels(slack=bool(way_of(settings)))


def secrets(ssm: "SSMClient", path: str) -> dict[str, str]:
    """The secrets below a path of the parameter store, by the names of their settings."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, WithDecryption=True)
    found = [each for page in pages for each in page["Parameters"]]
    return {each["Name"].rpartition("/")[2]: each["Value"] for each in found}
