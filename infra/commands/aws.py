"""``staffcall aws``: bring everything up on AWS, look at it, take it down."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from infra.commands.here import Here, refusals
from infra.commands.table import plain

if TYPE_CHECKING:
    from infra.aws.account import Account
    from infra.aws.deploy import Deployed
    from infra.settings import Settings

# The template's parameter, and the variable that sets it.
PARAMETERS: Final[Mapping[str, str]] = {
    "CallingSeconds": "STAFFCALL_CALLING_SECONDS",
    "RunningSeconds": "STAFFCALL_RUNNING_SECONDS",
    "QuietSeconds": "STAFFCALL_QUIET_SECONDS",
    "RemindSeconds": "STAFFCALL_REMIND_SECONDS",
    "AlertSeconds": "STAFFCALL_ALERT_SECONDS",
    "HistoryDays": "STAFFCALL_HISTORY_DAYS",
    "Lang": "STAFFCALL_LANG",
    "Actions": "STAFFCALL_ACTIONS",
    "SlackChannel": "SLACK_CHANNEL",
    "SlackApiUrl": "SLACK_API_URL",
    "SlackQuiet": "STAFFCALL_SLACK_QUIET",
    "TwilioApiUrl": "TWILIO_API_URL",
}
SECRETS: Final = (
    "STAFFCALL_BUTTON_TOKEN",
    "SLACK_WEBHOOK_URL",
    "SLACK_OUTGOING_TOKEN",
    "SLACK_BOT_TOKEN",
    "SLACK_SIGNING_SECRET",
    "SORACOM_BEAM_KEY",
    "STAFFCALL_WEBHOOK_URL",
    "STAFFCALL_WEBHOOK_SECRET",
    "STAFFCALL_ALERTS",
)
ADDRESSES: Final = {
    "KioskUrl": "Kiosk",
    "ButtonUrl": "Buttons",
    "RegisterUrl": "Registering buttons",
    "SoracomUrl": "SORACOM Beam",
    "SlackOutgoingUrl": "Slack, outgoing webhook",
    "SlackEventsUrl": "Slack, events of an app",
    "ButtonFunction": "SORACOM Funk, function",
}


@click.group()
def aws() -> None:
    """AWS: deploy, status, destroy."""


def _at_endpoint(command: Callable[..., None]) -> Callable[..., None]:
    """With ``--endpoint-url``; and what goes wrong on AWS is one line."""

    @click.option("--endpoint-url", default="", help="Where AWS is, if not where it always is.")
    @click.pass_obj
    @functools.wraps(command)
    def run(here: Here, /, endpoint_url: str, **options: Any) -> None:
        here.endpoint_url = endpoint_url
        with refusals(), _failures():
            command(here, **options)

    return run


@aws.command()
@click.option("--alarm-email", metavar="ADDRESS", help="Who is told of an alarm, by e-mail.")
@click.option("--domain", metavar="NAME", help="The kiosk's own domain name; with --certificate.")
@click.option("--certificate", metavar="ARN", help="Of that name, from ACM in us-east-1.")
@click.option(
    "--history-days", type=click.IntRange(1), help="How long calls stay on record [STAFFCALL_HISTORY_DAYS]."
)
@click.option("--log-days", type=click.IntRange(1), help="How long logs are kept, as CloudWatch allows.")
@_at_endpoint
def deploy(here: Here, **options: Any) -> None:
    """Bring everything up on AWS, or up to date; repeat it as often as you like.

    Timers, language and Slack come from the same variables as for `staffcall run`. What is not given stays as it is.
    """
    from infra.aws.deploy import Wish, deploy  # noqa: PLC0415
    from infra.ways import check_alerts  # noqa: PLC0415

    check_alerts(here.settings)
    wish = Wish(stack=here.stack_name, parameters=_parameters(here, options), secrets=_secrets(here))
    done = deploy(here.account, wish, _say)
    for line in ["", *_addresses(done.outputs), "", *_next_steps(here, done)]:
        _say(line)


@aws.command()
@_at_endpoint
def status(here: Here) -> None:
    """Show the addresses, what is in alarm, and how many timer messages were given up."""
    from infra.aws.deploy import status  # noqa: PLC0415

    found = status(here.account, here.stack_name)
    if found is None:
        raise click.ClickException(f"there is no stack {here.stack_name} in {here.account.region}")
    _say(f"Stack {here.stack_name}: {found.stack.status} {found.stack.reason}".rstrip())
    for name, value in sorted(found.stack.outputs.items()):
        _say(f"  {name}: {value}")
    for name, reason in found.alarms.items():
        _say(f"ALARM {name}: {reason}")
    if not found.alarms:
        _say("Alarms: none")
    if found.dead is not None:
        _say(f"Timer messages given up: {found.dead}")


@aws.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@_at_endpoint
def destroy(here: Here, yes: bool) -> None:
    """Take everything down: staff, buttons, booths, history, kiosk, code and secrets."""
    from infra.aws.deploy import destroy, roster  # noqa: PLC0415

    account, name = here.account, here.stack_name
    if not yes and not click.confirm(_question(name, account, roster(account))):
        raise click.ClickException("nothing was destroyed")
    destroy(account, name, _say)
    _say(f"Stack {name}: gone")


def _question(name: str, account: "Account", roster: Mapping[str, list[str]]) -> str:
    counts = ", ".join(f"{kind}: {len(names)}" for kind, names in roster.items())
    return (
        f"Destroy stack {name} of account {account.number}, region {account.region}, with its history and secrets, "
        f"and all that is registered there ({counts})?"
    )


def _parameters(here: Here, options: Mapping[str, Any]) -> dict[str, str]:
    if bool(options["domain"]) != bool(options["certificate"]):
        raise click.UsageError("--domain, --certificate: expected both or neither, got one")
    given = {
        "AlarmEmail": options["alarm_email"],
        "DomainName": options["domain"],
        "CertificateArn": options["certificate"],
        "HistoryDays": options["history_days"],
        "LogDays": options["log_days"],
    }
    chosen = {name: str(value) for name, value in given.items() if value is not None}
    return {**{name: _value(here, PARAMETERS[name]) for name in _set(here, PARAMETERS)}, **chosen}


def _secrets(here: Here) -> dict[str, str]:
    return {name: _value(here, name) for name in SECRETS if here.environment.get(name, "").strip()}


def _set(here: Here, names: Mapping[str, str]) -> list[str]:
    return [name for name, variable in names.items() if here.environment.get(variable, "").strip()]


def _value(here: Here, variable: str) -> str:
    """A setting, read and checked as for the local place, as a text."""
    from infra.settings import VARIABLES  # noqa: PLC0415

    settings: Settings = here.settings
    value = getattr(settings, VARIABLES[variable][0])
    if isinstance(value, tuple):
        return " ".join(value)
    return f"{value:f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _addresses(outputs: Mapping[str, str]) -> Iterator[str]:
    width = max(len(title) for title in ADDRESSES.values())
    for name, title in ADDRESSES.items():
        if name in outputs:
            yield f"{title:{width}}  {outputs[name]}"


def _next_steps(here: Here, done: "Deployed") -> Iterator[str]:
    command = "staffcall --target aws" + (
        "" if here.stack_name == "staffcall" else f" --stack {here.stack_name}"
    )
    yield "Next:"
    yield f"  {command} staff add hana --name Hana --slack U012AB3CD"
    yield f"  {command} button add demo --staff hana"
    yield f"  {command} press demo"
    yield f"  and open {done.outputs['KioskUrl'].rstrip('/')}/?booth=main on the booth's screen."
    yield f"Buttons send the token in SSM's parameter /{here.stack_name}/STAFFCALL_BUTTON_TOKEN."
    if not {"SLACK_WEBHOOK_URL", "SLACK_BOT_TOKEN"} & done.secrets:
        yield "Nobody is mentioned yet: set SLACK_WEBHOOK_URL or SLACK_BOT_TOKEN, and deploy again."


def _say(line: str) -> None:
    click.echo(plain(line))  # echo flushes: a line comes when it happens


@contextmanager
def _failures() -> Iterator[None]:
    from infra.aws.package import Unpackable  # noqa: PLC0415
    from infra.aws.stack import StackFailed  # noqa: PLC0415

    try:
        yield
    except (StackFailed, Unpackable) as error:
        raise click.ClickException(str(error)) from error
