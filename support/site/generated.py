"""Parts of the site that are generated from the code."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.site.links import ROOT, is_code, language


def code_page(path: str) -> str:
    """A file of code as a page."""
    code = (ROOT / path).read_text(encoding="utf-8")
    return f"# `{path}`\n\n````{language(path)}\n{code}````\n"


def folder_page(path: str) -> str:
    """The code in a folder: file names, and what each file says about itself."""
    lines = [f"# `{path}`", "", "| | |", "| --- | --- |"]
    for file in contents(path):
        name = file.removeprefix(f"{path}/")
        page = f"{name}.md" if is_code(file) else name
        lines.append(f"| [{name}]({page}) | {_about(ROOT / file)} |")
    return "\n".join(lines) + "\n"


def contents(folder: str) -> list[str]:
    """Files of code in a folder and in those within, without caches and empty ones."""
    found = (path for path in (ROOT / folder).rglob("[!_.]*") if is_code(path.name))
    named = (path.relative_to(ROOT) for path in found)
    return sorted(str(path) for path in named if not re.search(r"(^|/)[._]", str(path)))


def _about(file: Path) -> str:
    """A docstring's first paragraph, or the comment that a file begins with."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        said = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]
    else:
        comment = re.match(r"(?:#.*\n)+", text)
        said = re.sub(r"^#+", "", comment[0], flags=re.MULTILINE) if comment else ""
    return _prose(said)


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
    context = command.context_class(command)
    for each in command.get_params(context):
        if each.name != "help" and not getattr(each, "hidden", False):
            by_panel.setdefault(getattr(each, "rich_help_panel", None) or "", []).append(each)
    for panel, parameters in by_panel.items():
        if panel:
            yield f"\n**{panel}**\n"
        yield "| | |\n| --- | --- |"
        yield from (_parameter(each, context) for each in parameters)
        yield ""
    yield f"\n```sh\n{(command.epilog or '').removeprefix('Example: ')}\n```\n"


def _parameter(parameter: Any, context: Any) -> str:
    if parameter.param_type_name == "argument":
        shown = f"`{parameter.name}`"
    else:
        names = [*parameter.opts, *parameter.secondary_opts]
        shown = ", ".join(f"`{name}`" for name in names)
        named = "display_type_rich" if hasattr(parameter, "display_type_rich") else "make_metavar"
        kind_of = getattr(parameter, named)  # the latter by older typers
        if kind := kind_of(context):
            shown += f" {_cell(kind)}"
    default = parameter.default
    said = "" if default in (None, False, True, "", ()) or callable(default) else f" ({default})"
    return f"| {shown} | {_cell(parameter.help or '')}{said} |"


def _prose(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|").replace("<", "&lt;")


GENERATED: dict[str, Callable[[], str]] = {"commands": commands, "nothing": str}
"""What can stand between `<!-- generated: NAME -->` and `<!-- /generated -->`; what stands there in
the repository is for who reads it there."""
