"""``staffcall``: everything one does with the system, from the command line."""

import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click

from infra.commands.aws import aws
from infra.commands.backup import backup, restore
from infra.commands.booth import booth
from infra.commands.button import button
from infra.commands.completion import completion, know_ids
from infra.commands.doctor import doctor
from infra.commands.here import Here
from infra.commands.history import history
from infra.commands.kiosk import kiosk
from infra.commands.listen import listen
from infra.commands.machine import machine
from infra.commands.press import press
from infra.commands.report import report
from infra.commands.roster import roster
from infra.commands.slack import slack
from infra.commands.staff import staff
from infra.commands.watch import watch
from shadows.errors import Rejected


def _aim(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """Set it for the subcommand, wherever in the line it stood: the last one counts."""
    here = context.ensure_object(Here)
    if value is not None:
        setattr(here, str(option.name), value)


TARGET: Final = click.Option(
    ["--target"],
    type=click.Choice(["local", "aws"]),
    expose_value=False,
    callback=_aim,
    help="Where to act [STAFFCALL_TARGET, else local].",
)
STACK: Final = click.Option(
    ["--stack"],
    metavar="NAME",
    expose_value=False,
    callback=_aim,
    help="The stack on AWS [STAFFCALL_STACK, else staffcall].",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, params=[TARGET, STACK])
@click.pass_context
def staffcall(context: click.Context) -> None:
    """Staff Call: a press at a booth calls somebody, and the screen there shows that they are coming."""
    context.call_on_close(context.ensure_object(Here).close)


@staffcall.command()
@click.option("--demo", is_flag=True, help="With a booth, two staff, a button and a Slack to play with.")
@click.pass_obj
def run(here: Here, demo: bool) -> None:
    """Run everything on this machine, until Ctrl-C."""
    if here.target == "aws":
        raise click.ClickException(
            "--target: expected local, got aws: `staffcall aws deploy` brings everything up there"
        )
    _stop_at_once()
    from infra.settings import misspelt  # noqa: PLC0415

    for name, ours in misspelt(here.environment):
        click.echo(f"{name} is no setting, and nothing reads it: did you mean {ours}?", err=True)
    settings = here.settings
    from infra.local.run import run as run_here  # noqa: PLC0415

    run_here(settings, demo=demo)


@staffcall.command("shadows")
@click.pass_obj
def shadows_alone(here: Here) -> None:
    """Serve AWS IoT's device shadows alone, for your own tests, until Ctrl-C."""
    _stop_at_once()
    settings = here.settings
    from infra.local.shadows import run as run_here  # noqa: PLC0415

    run_here(settings)


def _stop_at_once() -> None:
    """Until all is imported, and somebody listens for the signals."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _aimed(command: click.Command, *options: click.Option) -> click.Command:
    """The command, and all below it, with options that may also stand at the end of the line."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _aimed(each, *options)
    else:
        command.params += options
    return command


for command in (
    staff, button, booth, roster, kiosk, machine, slack, press, listen, watch, report, history, doctor, backup, restore,
):  # fmt: skip
    staffcall.add_command(_aimed(command, TARGET, STACK))
staffcall.add_command(_aimed(aws, STACK))
staffcall.add_command(completion)
know_ids(staffcall.commands.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; whatever goes wrong is one line on stderr, and a status that is not 0."""
    try:
        staffcall.main(arguments, prog_name="staffcall", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        return asked.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "staffcall"
        return _failed(f"{error.format_message()} See: {path} --help", error.exit_code)
    except click.ClickException as error:
        return _failed(error.format_message(), error.exit_code)
    except click.Abort:
        return _failed("interrupted", 130)
    except Exception as error:
        return _failed(_words(error), 1)
    return 0


def _words(error: Exception) -> str:
    from infra.settings import SettingsError  # noqa: PLC0415

    if isinstance(error, Rejected | SettingsError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"this is a bug of ours: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"


def _failed(message: str, status: int) -> int:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return status
