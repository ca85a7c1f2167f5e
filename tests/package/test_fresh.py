"""`make fresh` does what the README says."""

from tests.package.fresh import ROOT, ten_lines, ways

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_commands_are_those_of_the_readme() -> None:
    found = ways(README)
    assert found["the repository"] == ['pip install ".[cpu,cli]"']
    assert [command.split()[:2] for command in found["a wheel"]] == [
        ["pip", "wheel"],
        ["pip", "install"],
    ]
    assert "open_engine" in ten_lines(README)
