"""Hooks that mkdocs calls while it builds the site (`hooks` in mkdocs.yml)."""

import re
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from support.site.generated import GENERATED, code_page, contents, folder_page
from support.site.links import ROOT, beyond, for_site, is_code, loaded, place

MARKED = re.compile(r"<!-- generated: (\w+) -->.*?<!-- /generated -->", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add README as the first page, and everything else in the repository that pages link to."""
    own = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    found = {"README.md", *beyond(iter([*own, "README.md"]))}
    for path in sorted({each for page in found for each in _with_contents(page)}):
        files.append(File.generated(config, place(path), content=_content(path)))
    return files


def _with_contents(path: str) -> list[str]:
    """A file, or a folder and the code in it."""
    return [path, *contents(path)] if (ROOT / path).is_dir() else [path]


def _content(path: str) -> str | bytes:
    if (ROOT / path).is_dir():
        return folder_page(path)
    if is_code(path):
        return code_page(path)
    if path.endswith(".md"):
        return for_site(path, (ROOT / path).read_text(encoding="utf-8"))
    return (ROOT / path).read_bytes()


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite links for the site, and insert the generated parts."""
    source = f"docs/{page.file.src_uri}"
    if (ROOT / source).is_file():
        markdown = for_site(source, markdown)
    return MARKED.sub(lambda mark: GENERATED[mark[1]](), markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Demand that no page loads anything from elsewhere."""
    if found := loaded(output):
        raise PluginError(
            f"{page.file.src_uri} loads {', '.join(found)}; a page loads nothing from elsewhere."
        )
    return output
