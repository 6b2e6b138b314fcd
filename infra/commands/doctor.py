"""``staffcall doctor``: whether every route works, from each button to each person's phone and each booth's screen."""

import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from infra.commands.here import Here, refusals
from infra.commands.table import plain
from shadows.errors import Rejected
from shadows.finding import Finding, Verdict, right, unknown, wrong
from shadows.shadow import JsonObject
from shadows.trouble import Trouble

if TYPE_CHECKING:
    from infra.checks import Roster

COLOURS: Final = {Verdict.RIGHT: "green", Verdict.WRONG: "red", Verdict.UNKNOWN: "yellow"}
START: Final = "Run `staffcall run`."


@click.command()
@click.option(
    "--post",
    is_flag=True,
    help="Post one harmless line in the channel, and a message to each webhook, to see whether they are taken.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: everything that was looked at.")
@click.pass_obj
def doctor(here: Here, post: bool, as_json: bool) -> None:
    """Look at every route from a button to a person and a screen; the status is 1 if anything is wrong.

    Nobody is called and nothing is changed; something is posted only with --post.
    """
    report(_on_aws(here, post=post) if here.on_aws else _here(here, post=post), as_json=as_json)


def report(looked: Iterable[Finding], *, as_json: bool) -> None:
    """Show what was found.

    Raises:
        click.ClickException: something is wrong.
    """
    findings = list(dict.fromkeys(looked))  # what the running process has found already is found here again
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], ensure_ascii=False, indent=1))
    else:
        _show(findings)
    if faults := _count(findings, Verdict.WRONG):
        raise click.ClickException(f"{faults} {'thing is' if faults == 1 else 'things are'} wrong")


def _here(here: Here, *, post: bool) -> Iterator[Finding]:
    from infra import checks  # noqa: PLC0415
    from infra.local import check  # noqa: PLC0415

    folder = Path(here.running.data)
    said = asked(here)
    if isinstance(said, Trouble):
        yield wrong(said)
        yield unknown(
            "run", "Screens, timers and links cannot be seen from outside", f"{START} Then ask again."
        )
        roster = yield from offline(folder)
        yield from check.of_place(None, roster, here.settings, folder, post=post)
    else:
        yield right("run", f"`staffcall run` answers at {here.running.http}")
        roster = checks.Roster.of(here.place)
        yield from check.of_place(said, roster, here.settings, folder, post=post)


def asked(here: Here) -> JsonObject | Trouble:
    """How the running process is, by its own account; or why it gives none."""
    from infra import running  # noqa: PLC0415
    from infra.settings import SettingsError  # noqa: PLC0415

    detail, fix = "`staffcall run` is not running: nobody can be called", START
    if running.read(here.settings.data) is not None:
        try:
            return here.ask("/admin/api/signs", "admin")
        except Rejected as no:
            detail = f"`staffcall run` does not let us in: {no.message}"
            fix = "Set the same STAFFCALL_ADMIN_TOKEN here as there."
            if no.code == 404:
                detail, fix = "`staffcall run` is of another version than this", "Start it again."
        except (click.ClickException, SettingsError) as no:
            detail, fix = str(no), "Look into its log, and start it again."
    return Trouble(what="run", detail=detail, fix=fix)


def offline(folder: Path) -> "Generator[Finding, None, Roster]":
    """Who is registered where no process runs."""
    from infra import checks  # noqa: PLC0415
    from infra.local import check  # noqa: PLC0415
    from infra.local.store import StoreError  # noqa: PLC0415

    try:
        return check.roster(folder)
    except StoreError as error:
        yield unknown("route", f"Who is registered could not be read: {error}", START)
        return checks.Roster()


def _on_aws(here: Here, *, post: bool) -> Iterator[Finding]:
    from infra import checks  # noqa: PLC0415
    from infra.aws import check  # noqa: PLC0415

    assert here.outputs  # or it says that there is no such stack
    with refusals():
        yield from check.of_stack(here.account, here.stack_name)
        settings = check.settings(here.account, here.stack_name)
    if settings is None:
        detail = "Slack was not looked at: you may not read the stack's secrets"
        yield unknown("slack", detail, "Have ssm:GetParametersByPath allowed to you.")
    yield from checks.of_anywhere(checks.Roster.of(here.place), settings, post=post)


# --- how it is shown


def _show(findings: list[Finding]) -> None:
    """Of each kind how much is right; then a line for each thing that is wrong, or could not be looked at."""
    for what in dict.fromkeys(each.what for each in findings):
        of_it = [each for each in findings if each.what == what]
        if count := _count(of_it, Verdict.RIGHT):
            _line(Verdict.RIGHT, what, str(count))
        for each in of_it:
            if each.verdict is not Verdict.RIGHT:
                about = f"{each.thing}: " if each.thing else ""
                _line(each.verdict, what, f"{about}{each.detail.rstrip('.')}. {each.fix}")


def _count(findings: list[Finding], verdict: Verdict) -> int:
    return sum(each.verdict is verdict for each in findings)


def _line(verdict: Verdict, what: str, words: str) -> None:
    click.echo(click.style(f"{verdict:8}", fg=COLOURS[verdict]) + f" {what:9} {plain(words)}")
