"""The tests in docs/testing.md are tests, and pass."""

from pathlib import Path

from tests.documents.running import python_blocks, run


def test_its_tests_pass(elsewhere: Path) -> None:
    (elsewhere / "test_page.py").write_text("\n".join(python_blocks("docs/testing.md")))
    printed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=elsewhere)
    assert "6 passed" in printed  # each on asyncio and on trio
