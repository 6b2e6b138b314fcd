"""``staffcall slack``: what it takes to connect Slack."""

from urllib.parse import urlsplit

import click


@click.group()
def slack() -> None:
    """Slack: the app that connects it."""


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
def manifest(http: str) -> None:
    """Print the app's manifest, to be pasted where Slack makes an app from one."""
    from slack_bridge.manifest import as_yaml  # noqa: PLC0415
    from slack_bridge.manifest import manifest as made  # noqa: PLC0415

    click.echo(as_yaml(made(http)), nl=False)
