"""How far much work has come, for whoever looks on."""

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

import click

T = TypeVar("T")


def told(work: Iterable[T], line: Callable[[T], str], *, title: str, total: int) -> list[T]:
    """Do the work and print a line for each, in a terminal with a bar below them; what came of it all."""
    if not sys.stdout.isatty():
        return [_printed(each, line) for each in work]
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    done = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        for each in bar.track(work, total=total, description=title):
            bar.console.print(Text(line(each)), soft_wrap=True)  # click.echo would write across the bar
            done.append(each)
    return done


def _printed(each: T, line: Callable[[T], str]) -> T:
    click.echo(line(each))
    return each
