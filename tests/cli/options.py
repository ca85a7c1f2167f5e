"""What the commands take, as typer knows it."""

import typer

from trtasync.cli import app

COMMANDS = typer.main.get_group(app).commands

OPTIONS: dict[str, set[str]] = {
    name: {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    for name, command in COMMANDS.items()
}
