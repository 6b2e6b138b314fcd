"""``staffcall backup`` and ``staffcall restore``: the data folder as one file, and back."""

from pathlib import Path

import click

from infra.commands.here import Here


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def backup(here: Here, file: Path) -> None:
    """Write everything that is kept on this machine into a new FILE; nothing has to stop for that.

    People, buttons, calls, the history, and the tokens that were made: keep it as safe as the data folder. What is set in
    the environment or in .env is not in it.
    """
    _on_this_machine(here)
    from infra.local import backup as backups  # noqa: PLC0415

    try:
        digest = backups.backup(Path(here.running.data), file)
    except backups.BackupError as no:
        raise click.ClickException(str(no)) from no
    click.echo(f"{file}: written, SHA-256 {digest}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Move what is in the data folder aside.")
@click.pass_obj
def restore(here: Here, file: Path, replace: bool) -> None:
    """Put what a backup FILE holds into the data folder: all of it, or nothing. Stop `staffcall run` before."""
    _on_this_machine(here)
    from infra.local import backup as backups  # noqa: PLC0415

    folder = here.settings.data
    try:
        former = backups.restore(folder, file, replace=replace)
    except backups.BackupError as no:
        raise click.ClickException(str(no)) from no
    click.echo(f"{folder}: restored" + (f"; what was there is in {former.name}" if former else ""))


def _on_this_machine(here: Here) -> None:
    if here.on_aws:
        raise click.ClickException(
            "--target: expected local, got aws: a backup is of the data folder on this machine"
        )
