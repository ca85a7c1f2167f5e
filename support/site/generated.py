"""Parts of the site that are made of the code."""

import ast
from collections.abc import Iterator
from typing import Any

from support.site.links import ROOT


def code_page(path: str) -> str:
    """A Python file as a page."""
    code = (ROOT / path).read_text(encoding="utf-8")
    return f"# `{path}`\n\n````python\n{code}````\n"


def folder_page(path: str) -> str:
    """What there is in a folder of Python files: their names, and what they say of themselves."""
    lines = [f"# `{path}`", "", "| | |", "| --- | --- |"]
    for file in sorted((ROOT / path).glob("[a-z]*.py")):
        said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        about = " ".join(said.partition("\n\n")[0].split())
        lines.append(f"| [{file.name}]({file.name}.md) | {about} |")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Every command with its arguments and options, from the command line itself."""
    import typer

    from trtasync.cli import app

    group = typer.main.get_group(app)
    return "\n".join(
        line for name, command in group.commands.items() for line in _command(name, command)
    )


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"## `trtasync {name}`\n"
    yield f"{_prose(command.help or '')}\n"
    by_panel: dict[str, list[Any]] = {}
    for each in command.params:
        if not getattr(each, "hidden", False):
            by_panel.setdefault(getattr(each, "rich_help_panel", None) or "", []).append(each)
    for panel, parameters in by_panel.items():
        if panel:
            yield f"\n**{panel}**\n"
        yield "| | |\n| --- | --- |"
        yield from map(_parameter, parameters)
        yield ""


def _parameter(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = [parameter.name]
    shown = ", ".join(f"`{name}`" for name in names)
    default = parameter.default
    said = "" if default in (None, False, True, "", ()) or callable(default) else f" ({default})"
    return f"| {shown} | {_cell(parameter.help or '')}{said} |"


def _prose(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|").replace("<", "&lt;")


GENERATED = {"commands": commands}
"""What can stand between `<!-- generated: NAME -->` and `<!-- /generated -->`."""
