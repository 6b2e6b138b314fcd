"""``staffcall staff``: who is there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from infra.commands import history
from infra.commands.here import Here
from infra.commands.progress import told
from infra.commands.slack import settings_of
from infra.commands.table import moment, plain, show
from shadows import registry, sheet
from shadows.registry import Bereft, Done, NewStaff, Person, Row
from shadows.staff import BUSY, CallEvent, StaffState


@click.group()
def staff() -> None:
    """Staff: add, edit, list, show, remove, erase, import, export; backup, away and back."""


@staff.command()
@click.argument("id")
@click.option("--name", required=True, help="As the kiosk shows it.")
@click.option("--role", default="", help="As the kiosk shows it.")
@click.option("--slack", default="", help="Slack user id, U…; needed for mentions.")
@click.option(
    "--email", default="", help="In place of --slack: who has this address in Slack. It is not kept."
)
@click.option("--phone", default="", help="Digits with the country code, no +.")
@click.option("--mail", default="", help="E-mail address for alerts; kept, and shown to nobody else.")
@click.option("--line", default="", help="User id at LINE for alerts, U and 32 digits.")
@click.option("--backup", default="", help="Id of who is asked next.")
@click.option("--booth", default="main", show_default=True, help="Made if it is missing.")
@click.pass_obj
def add(here: Here, /, id: str, email: str, **fields: str) -> None:
    """Add somebody; running kiosks of the booth show them at once."""
    new = NewStaff(id=id, **fields)  # what is wrong here needs no Slack to be said
    if email:
        new = replace(new, slack=_slack_id(here, new, email))
    said(registry.add_staff(here.place, new), f"staff {id}")
    if email:
        click.echo(f"slack: {new.slack}")


@staff.command()
@click.argument("id")
@click.option("--name", help="As the kiosk shows it.")
@click.option("--role", help="As the kiosk shows it.")
@click.option("--slack", help="Slack user id, U…")
@click.option("--phone", help="Digits with the country code, no +.")
@click.option("--mail", help="E-mail address for alerts.")
@click.option("--line", help="User id at LINE for alerts.")
@click.pass_obj
def edit(here: Here, /, id: str, **fields: str | None) -> None:
    """Change what is known of somebody; what is not given stays, and "" takes it away. A call in progress goes on."""
    changes = {name: value for name, value in fields.items() if value is not None}
    if not changes:
        raise click.UsageError("say what changes, such as --name.")
    registry.edit_staff(here.place, id, changes)
    click.echo(f"staff {id}: {' '.join(changes)} changed")


@staff.command("list")
@click.pass_obj
def list_(here: Here) -> None:
    """List everybody, with their state and booth."""
    columns = ("id", "name", "role", "state", "call of", "booth", "backup", "slack", "phone", "mail", "line")
    show(columns, [_row(person) for person in registry.people(here.place)])


@staff.command("show")
@click.argument("id")
@click.pass_obj
def show_(here: Here, id: str) -> None:
    """Show one person, and their present or last call."""
    show(("", ""), _facts(registry.person(here.place, id)))


@staff.command()
@click.argument("id")
@click.option("--erase", "erased", is_flag=True, help="And take their name and notes out of the history.")
@click.pass_obj
def remove(here: Here, id: str, erased: bool) -> None:
    """Remove somebody; a call in progress is handed over first. What happened stays on record."""
    bereft = registry.remove_staff(here.place, id)
    click.echo(f"staff {id}: removed")
    for warning in _warnings(id, bereft):
        click.echo(warning, err=True)
    if erased:
        _erase(here, id)


@staff.command()
@click.argument("id")
@click.pass_obj
def erase(here: Here, id: str) -> None:
    """Take somebody who was removed out of the history: name, id and notes. The statistics stay as they are."""
    _erase(here, id)


@staff.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def import_(here: Here, file: Path) -> None:
    """Add everybody of a CSV file: id,name,role,slack,phone,backup,booth,mail,line.

    The header is required, and of the columns id and name. A backup may come in a later line.
    """
    lines = sheet.read(file.read_bytes())
    if not lines:
        click.echo("no line below the header: nobody was added")
        return
    rows = told(registry.import_staff(here.place, lines), _line, title="import", total=len(lines))
    if failed := sum(row.done is None for row in rows):
        raise click.ClickException(f"{failed} of {len(lines)} lines failed")


@staff.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.pass_obj
def export(here: Here, file: Path | None) -> None:
    """Write everybody into a CSV file that `staff import` reads; without a FILE, here."""
    written = sheet.write(registry.people(here.place), registry.booths(here.place))
    if file:
        file.write_bytes(written.encode("utf-8-sig"))  # by that mark Excel knows the encoding
    else:
        click.echo(written.replace("\r\n", "\n"), nl=False)


@staff.command()
@click.argument("id")
@click.argument("backup", default="")
@click.pass_obj
def backup(here: Here, id: str, backup: str) -> None:
    """Say who is asked when somebody cannot come; nobody without a BACKUP."""
    registry.set_backup(here.place, id, backup)
    click.echo(f"staff {id}: {f'{backup} stands in' if backup else 'nobody stands in'}")


@staff.command()
@click.argument("id")
@click.pass_obj
def away(here: Here, id: str) -> None:
    """Do not disturb somebody until they are back; their calls go to their backup."""
    _answer(here, id, CallEvent.AWAY, StaffState.AWAY)


@staff.command()
@click.argument("id")
@click.pass_obj
def back(here: Here, id: str) -> None:
    """Have somebody take calls again."""
    _answer(here, id, CallEvent.BACK, StaffState.IDLE)


def _slack_id(here: Here, new: NewStaff, email: str) -> str:
    from infra.checks import id_by_email  # noqa: PLC0415

    if new.slack:
        raise click.UsageError("give --slack or --email, not both.")
    return id_by_email(settings_of(here), email)


def _erase(here: Here, id: str) -> None:
    click.echo(f"staff {id}: on record as {history.erase(here, id)} from now on")


def said(done: Done, what: str) -> None:
    """Say what an ``add`` came to.

    Raises:
        click.ClickException: it was there already.
    """
    if done is Done.THERE:
        raise click.ClickException(f"{what} is there already, exactly so; nothing was changed")
    click.echo(f"{what}: {done}")


def _answer(here: Here, id: str, kind: CallEvent, state: StaffState) -> None:
    outcome = registry.answer(here.place, id, kind)
    if outcome.changed:
        click.echo(f"staff {id}: {outcome.state}")
    elif outcome.state is state:
        click.echo(f"staff {id} is {state} already")
    else:
        click.echo(f"staff {id} is not away, but {outcome.state}")


def _row(person: Person) -> tuple[str, ...]:
    staff = person.staff
    return (
        person.id,
        staff.name if staff else "",
        staff.role if staff else "",
        staff.state if staff else "incomplete: add again",
        staff.call.booth if staff and staff.state in BUSY else "",
        " ".join(person.booths),
        person.backup,
        person.slack,
        person.phone,
        person.mail,
        person.line,
    )


def _facts(person: Person) -> Iterator[tuple[str, str]]:
    names = ("id", "name", "role", "state", "call of", "booth", "backup", "slack", "phone", "mail", "line")
    yield from zip(names, _row(person), strict=True)
    if person.staff is None:
        return
    asked, call = person.staff.asked, person.staff.call
    yield "since", f"{moment(asked.since)} ({asked.why})"
    yield "told", "no" if asked.age > person.staff.told.age else "yes"
    if call.id:
        yield "last call", f"{call.id} at {moment(call.at)}, {call.click}, pressed {call.count} times"
        yield "note", call.note
        yield "end", f"{call.end} {call.to}".strip()


def _warnings(id: str, bereft: Bereft) -> Iterator[str]:
    if bereft.buttons:
        yield f"Warning: these buttons still call {id}, so their presses call nobody: {' '.join(bereft.buttons)}"
    if bereft.staff:
        yield f"Warning: {id} was the backup of: {' '.join(bereft.staff)}"
    if bereft.booths:
        yield f"Warning: the roster still has {id} at: {' '.join(bereft.booths)}"


def _line(row: Row) -> str:
    return plain(f"line {row.line}: {row.id or '(no id)'}: {row.done or f'failed: {row.problem}'}")
