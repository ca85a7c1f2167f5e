"""Links of Markdown pages, as they are read in the repository and on the site.

In the repository a page links to files by relative paths, including files outside docs. The site
has those too: README.md as its first page, other files under `repository/`, code with syntax
highlighting.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", "Dockerfile": "dockerfile"}
"""Code that the site shows as a page, by its suffix or name; other files lie there as they are."""

FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s]*)(?P<anchor>#[^)\s]*)?(?=\))")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
LOADED = re.compile(r'<(?:script|img|link)\b[^>]*?\b(?:src|href)="((?:https?:)?//[^"]*)')
ABROAD = re.compile(r"^(?:[a-z]+:|//)")


def replaced(text: str, change: Callable[[str, str], str]) -> str:
    """A page with its links replaced.

    Args:
        text: Markdown; code in fences is left alone.
        change: maps a link's path and anchor ("" or "#...") to its replacement.
    """
    parts = FENCED.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = LINK.sub(
            lambda link: change(link["path"], link["anchor"] or ""), parts[index]
        )
    return "".join(parts)


def links(text: str) -> Iterator[tuple[str, str]]:
    """Path and anchor of every link to a file of the repository, or to the page itself."""
    found: list[tuple[str, str]] = []

    def note(path: str, anchor: str) -> str:
        found.append((path, anchor))
        return path + anchor

    replaced(text, note)
    return (each for each in found if not ABROAD.match(each[0]))


def target(page: str, path: str) -> str:
    """A link's target, by its path in the repository.

    Args:
        page: the path of the page that has the link.
        path: as in the link; "" for the page itself.
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page


def place(path: str) -> str:
    """Where on the site a file or folder of the repository is, as mkdocs names sources."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"repository/{path}/index.md"
    return f"repository/{path}.md" if is_code(path) else f"repository/{path}"


def language(path: str) -> str:
    """The language of a code file; "" for any other."""
    name = posixpath.basename(path)
    return LANGUAGES.get(name) or LANGUAGES.get(posixpath.splitext(name)[1], "")


def is_code(path: str) -> bool:
    """Whether the site shows a file as a page of code."""
    return bool(language(path))


def for_site(page: str, text: str) -> str:
    """A page of the repository with links as the site needs them."""
    folder = posixpath.dirname(place(page))

    def change(path: str, anchor: str) -> str:
        if not path or ABROAD.match(path):
            return path + anchor
        return posixpath.relpath(place(target(page, path)), folder or ".") + anchor

    return replaced(text, change)


def beyond(pages: Iterator[str]) -> set[str]:
    """Files and folders outside docs that these pages link to, directly or indirectly."""
    found: set[str] = set()
    todo = list(pages)
    while todo:
        page = todo.pop()
        for path, _ in links((ROOT / page).read_text(encoding="utf-8")):
            there = target(page, path)
            if not there.startswith("docs/") and there != "README.md" and there not in found:
                found.add(there)
                todo += [there] if there.endswith(".md") else []
    return found


def anchors(text: str) -> tuple[set[str], set[str]]:
    """For every heading of a page: its anchor on the site, and in the repository."""
    headings = HEADING.findall(FENCED.sub("", text))
    bare = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[-\s]+", "-", each) for each in bare}, {
        each.replace(" ", "-") for each in bare
    }


def loaded(html: str) -> list[str]:
    """What a page would make a browser fetch from elsewhere."""
    return LOADED.findall(html)
