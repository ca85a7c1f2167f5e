"""The README's figures are those of the committed results."""

from benchmarks.readme_tables import main


def test_the_readme_shows_the_committed_results() -> None:
    assert main(["--check"]) == 0
