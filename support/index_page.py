"""README as a package index shows it: a hook of hatchling, run while packages are built.

An index has none of the files that README links to. With a `Repository` under `[project.urls]`,
links lead there, to the tag of the version being built; without one, the text stays and links are
dropped.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\[\]]*)\]\((?![a-z]+:)(?P<path>[^)\s]+)\)")


class IndexPage(MetadataHookInterface):
    """Fills in `readme`, which pyproject.toml declares as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add it to the `metadata` of the project."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        page = for_index(text, repository, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": page}


def for_index(text: str, repository: str | None, tag: str) -> str:
    """A page without relative links.

    Args:
        text: Markdown; code in fences is left alone.
        repository: its address on a forge that supports `/blob/` and `/raw/`, such as GitHub and
            GitLab; None if it has none.
        tag: the version of the files that are linked to.
    """

    def absolute(link: re.Match[str]) -> str:
        if repository is None:
            return "" if link["picture"] else link["words"]
        path = f"README.md{link['path']}" if link["path"].startswith("#") else link["path"]
        kind = "raw" if link["picture"] else "blob"
        address = f"{repository.rstrip('/')}/{kind}/{tag}/{path}"
        return f"{link['picture']}[{link['words']}]({address})"

    parts = _FENCED.split(text)
    parts[::2] = [_LINK.sub(absolute, part) for part in parts[::2]]
    return "".join(parts)
