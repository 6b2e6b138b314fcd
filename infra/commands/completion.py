"""``staffcall completion``: what the Tab key needs to know; ids are those that are there at that moment."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from infra.commands.here import Here

VARIABLE: Final = "_STAFFCALL_COMPLETE"
# What an argument or an option of a command stands for.
NAMED: Final[Mapping[str, str]] = {
    "staff": "staff",
    "backup": "staff",
    "single": "staff",
    "double": "staff",
    "long": "staff",
    "booth": "booth",
    "button": "button",
}


class Id(click.types.StringParamType):
    """The id of a person, a button or a booth."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The ids that begin so; none, if nothing runs: whoever presses Tab wants no message."""
        here = ctx.find_object(Here) or Here()
        try:
            names = (
                thing.name.removeprefix(f"{self.kind}-") for thing in here.place.things.list(type=self.kind)
            )
            return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]
        except Exception:
            return []


def know_ids(commands: Iterable[click.Command], group: str = "") -> None:
    """Have these commands, and all below them, know which of their parameters are ids of what is there."""
    for command in commands:
        if isinstance(command, click.Group):
            know_ids(command.commands.values(), command.name or "")
            continue
        for param in command.params:
            kind = NAMED.get(group if param.name == "id" else str(param.name))
            # The id of who is added is not there yet.
            if (
                kind
                and type(param.type) is click.types.StringParamType
                and (command.name, param.name) != ("add", "id")
            ):
                param.type = Id(kind)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes the Tab key complete commands and ids.

    \b
    bash:  staffcall completion bash > ~/.local/share/bash-completion/completions/staffcall
    zsh:   staffcall completion zsh > <a folder of your fpath>/_staffcall
    fish:  staffcall completion fish > ~/.config/fish/completions/staffcall.fish
    """
    made: Any = get_completion_class(shell)
    click.echo(made(context.find_root().command, {}, "staffcall", VARIABLE).source())
