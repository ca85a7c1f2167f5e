"""README as a package index shows it."""

import re

import pytest

from support.index_page import for_index
from tests.package.fresh import ROOT, ten_lines

README = (ROOT / "README.md").read_text(encoding="utf-8")
HOME = "https://forge.example/team/trtasync"
ADDRESS = re.compile(r"\]\(([^)]*)\)")


@pytest.mark.parametrize("repository", [None, HOME])
def test_the_readme_leads_nowhere_on_the_index_itself(repository: str | None) -> None:
    page = for_index(README, repository, "v1.0")
    assert [each for each in ADDRESS.findall(page) if not each.startswith("https://")] == []
    assert ten_lines(page) == ten_lines(README)


def test_links_and_pictures_lead_to_the_tag_of_the_version() -> None:
    text = "![p](docs/p.svg)\n[a](docs/a.md#b) [c](#d) [e](https://e.example/f) [g](mailto:h@i)"
    assert for_index(text, f"{HOME}/", "v1.0") == (
        f"![p]({HOME}/raw/v1.0/docs/p.svg)\n[a]({HOME}/blob/v1.0/docs/a.md#b) "
        f"[c]({HOME}/blob/v1.0/README.md#d) [e](https://e.example/f) [g](mailto:h@i)"
    )


def test_without_a_repository_words_stay_and_links_go() -> None:
    text = "![p](docs/p.svg) [a](docs/a.md), **[b](c)**, [e](https://e.example/f)"
    assert for_index(text, None, "v1.0") == " a, **b**, [e](https://e.example/f)"


def test_code_is_left_alone() -> None:
    text = "```python\nx[0](y)\n```\n[x](y)\n"
    assert for_index(text, None, "v1.0") == "```python\nx[0](y)\n```\nx\n"
