"""No link of a document is dead: in the repository, and, as the site makes it, there."""

import re

import pytest

from support.site.generated import commands, folder_page
from support.site.links import FENCED, anchors, beyond, for_site, links, loaded, place, target
from tests.cli.options import OPTIONS
from tests.documents.running import ROOT, all_pages

FURTHER = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
FURTHER += ["changes/README.md"]
PAGES = [*all_pages(), *FURTHER]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for path, anchor in links(text):
        there = target(page, path)
        assert (ROOT / there).exists(), f"{page}: {path}"
        if anchor:
            site, repository = anchors((ROOT / there).read_text(encoding="utf-8"))
            assert anchor[1:] in site, f"{page}: {path}{anchor}, on the site"
            assert anchor[1:] in repository, f"{page}: {path}{anchor}"


def test_changes_lead_somewhere_when_they_are_gathered() -> None:
    """In CHANGELOG.md, that is."""
    for change in (ROOT / "changes").glob("+*.md"):
        for path, anchor in links(change.read_text(encoding="utf-8")):
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not anchor or anchor[1:] in anchors(text)[1], f"{change.name}: {path}{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_lists_and_tables_begin_after_an_empty_line(page: str) -> None:
    """Or the site shows them as part of the paragraph before."""
    text = FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    found = re.findall(r"^(?![-|>#<\s]|\d+\.)(.+)\n(?:- |1\. |\| )", text, re.MULTILINE)
    assert found == []


def test_links_are_those_of_the_site() -> None:
    text = "[a](../examples/hello.py) [b](policies.md#overload) ![c](../README.md#install)\n"
    assert for_site("docs/faq.md", text) == (
        "[a](repository/examples/hello.py.md) [b](policies.md#overload) ![c](index.md#install)\n"
    )
    assert for_site("benchmarks/README.md", "[d](../docs/policies.md) [e](#peers)") == (
        "[d](../../policies.md) [e](#peers)"
    )
    code = "```md\n[f](../examples/hello.py)\n```"
    assert for_site("docs/faq.md", code) == code
    assert for_site("docs/faq.md", "[g](https://host/x.md)") == "[g](https://host/x.md)"


def test_what_pages_lead_to_is_on_the_site_too() -> None:
    found = beyond(iter(["README.md"]))
    assert {"examples", "ARCHITECTURE.md", "benchmarks/results/peers.json"} <= found
    assert place("examples") == "repository/examples/index.md"
    page = folder_page("examples")
    assert "| [hello.py](hello.py.md) | The shortest use: are two" in page
    assert "[models/graphs.py](models/graphs.py.md)" in page
    assert ".cache" not in page
    assert "__init__" not in page


def test_a_page_that_loads_from_elsewhere_is_noticed() -> None:
    here = '<script src="assets/a.js"></script><a href="https://b"></a><img src="c.png">'
    assert loaded(here) == []
    away = '<link rel="stylesheet" href="https://fonts/x"><script async src="//y/z.js"></script>'
    assert loaded(away) == ["https://fonts/x", "//y/z.js"]


def test_the_page_of_commands_has_every_option_of_every_command() -> None:
    parts = dict(re.findall(r"^## `trtasync (\w+)`\n(.*?)(?=^## |\Z)", commands(), re.M | re.S))
    assert set(parts) == set(OPTIONS)
    for name, options in OPTIONS.items():
        shown = set(re.findall(r"`(--?[a-z][\w-]*)`", parts[name]))
        assert {each for each in options if each.startswith("-")} - {"--help"} <= shown, name
