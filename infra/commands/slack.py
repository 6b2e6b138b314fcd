"""``staffcall slack``: how Slack is connected."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from infra.commands.doctor import asked, offline, report
from infra.commands.here import Here, refusals
from shadows.finding import Finding
from shadows.trouble import Trouble

if TYPE_CHECKING:
    from infra.checks import Roster
    from infra.settings import Settings


@click.group()
def slack() -> None:
    """Slack: the app that connects it, and whether it does."""


@slack.command()
@click.option(
    "--post", is_flag=True, help="Post one harmless line in the channel, to see whether Slack takes it."
)
@click.option("--json", "as_json", is_flag=True, help="For programs: everything that was looked at.")
@click.pass_obj
def check(here: Here, post: bool, as_json: bool) -> None:
    """Look at what `staffcall doctor` looks at in Slack: tokens, scopes, channel, everybody; the status is 1 if anything is wrong.

    Nothing is changed; something is posted only with --post.
    """
    report(_looked(here, post=post), as_json=as_json)


def _looked(here: Here, *, post: bool) -> Iterator[Finding]:
    from infra import checks  # noqa: PLC0415

    settings = settings_of(here)
    roster = yield from _roster(here)
    yield from checks.of_settings(settings)
    yield from checks.of_clock(settings)
    yield from checks.of_mapping(roster.people)
    yield from checks.of_slack(settings, roster.people, post=post)


def _roster(here: Here) -> "Generator[Finding, None, Roster]":
    from infra import checks  # noqa: PLC0415

    if not here.on_aws and isinstance(asked(here), Trouble):
        return (yield from offline(Path(here.running.data)))
    return checks.Roster.of(here.place)


def settings_of(here: Here) -> "Settings":
    """How Slack is connected: as this machine's settings say, or the stack's.

    Raises:
        click.ClickException: there is no such stack, or its secrets may not be read.
    """
    if not here.on_aws:
        return here.settings
    from infra.aws import check as of_aws  # noqa: PLC0415

    assert here.outputs  # or it says that there is no such stack
    with refusals():
        found = of_aws.settings(here.account, here.stack_name)
    if found is None:
        raise click.ClickException(
            "you may not read the stack's secrets: have ssm:GetParametersByPath allowed to you"
        )
    return found


def _https(_context: click.Context, _option: click.Parameter, value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment):
        raise click.BadParameter(f"expected an address such as https://your.host, got {value!r}")
    return value


@slack.command()
@click.option(
    "--http",
    metavar="URL",
    default="",
    callback=_https,
    help="For a server that Slack reaches at this public address [else Socket Mode].",
)
@click.pass_obj
def manifest(here: Here, http: str) -> None:
    """Print the app's manifest, to be pasted where Slack makes an app from one."""
    from slack_bridge.manifest import as_yaml  # noqa: PLC0415
    from slack_bridge.manifest import manifest as made  # noqa: PLC0415

    click.echo(as_yaml(made(http, hours="dnd" in here.settings.slack_quiet)), nl=False)
