"""What the commands take, as typer knows it."""

import typer

from trtasync.cli import app

OPTIONS: dict[str, set[str]] = {
    name: {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    for name, command in typer.main.get_group(app).commands.items()
}
