"""What a release is made of: the version, the packages, the notes."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import trtasync
from support.index_page import for_index
from tests.documents.running import python_blocks
from tests.package.dist import differences, homeless, metadata

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"trtasync-{trtasync.__version__}"


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of this tree."""
    return _build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built as installers do it: from the unpacked source distribution."""
    source = _unpacked(sdist, tmp_path_factory.mktemp("unpacked"))
    return _build("wheel", source, tmp_path_factory.mktemp("wheel"))


def _unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / NAME


def _build(kind: str, source: Path, target: Path) -> Path:
    call = f"import sys, hatchling.build as backend; backend.build_{kind}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", call, target], cwd=source, check=True)
    [built] = target.iterdir()
    return built


def test_both_are_the_same_when_they_are_built_elsewhere(
    sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    """The wheel from the tree itself, the source from what another one unpacks to."""
    again = tmp_path / "again"
    for kind, first, source in (
        ("sdist", sdist, _unpacked(sdist, tmp_path)),
        ("wheel", wheel, ROOT),
    ):
        _build(kind, source, again / kind)
        assert list(differences(first.parent, again / kind)) == []


def test_another_byte_is_a_difference(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / wheel.name).write_bytes(wheel.read_bytes() + b"!")
    assert [each.split()[0] for each in differences(wheel.parent, tmp_path)] == [wheel.name]


@pytest.mark.parametrize(
    ("version", "url", "refused"),
    [
        ("1.0", "", True),
        ("1.0", "Changelog, https://forge.example/changes", True),
        ("1.0", "Repository, https://forge.example/trtasync", False),
        ("1.0.dev0", "", False),
    ],
)
def test_a_release_needs_a_public_home(version: str, url: str, refused: bool) -> None:
    about = Message()
    about["Version"] = version
    if url:
        about["Project-URL"] = url
    assert bool(list(homeless(about))) is refused


def test_the_version_is_the_library_s(sdist: Path, wheel: Path) -> None:
    assert sdist.name == f"{NAME}.tar.gz"
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    assert metadata(wheel)["Version"] == trtasync.__version__


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    found = metadata(wheel)
    needed = [each for each in found.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert [each.split(">=")[0] for each in needed] == ["anyio", "numpy"]
    assert found["Requires-Python"] == ">=3.11"
    assert found["License-Expression"] == "Apache-2.0"
    assert {"cpu", "cu12", "cu13", "cli"} <= set(found.get_all("Provides-Extra", []))
    assert {"GPU", "CPU"} <= set(re.findall(r"\w+", found["Summary"]))
    assert found["Author"] == "The trtasync maintainers"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    repository = PROJECT.get("urls", {}).get("Repository")
    assert found.get_payload() == for_index(readme, repository, f"v{trtasync.__version__}")
    assert found["Description-Content-Type"] == "text/markdown"


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        commands = archive.read(f"{NAME}.dist-info/entry_points.txt").decode()
    assert {name.split("/")[0] for name in names} == {"trtasync", f"{NAME}.dist-info"}
    inside = {name for name in names if name.startswith("trtasync/")}
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "trtasync").rglob("*.py")}
    assert inside == here | {"trtasync/py.typed", "trtasync/server/dashboard/style.css"}
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    assert "trtasync = trtasync.__main__:main" in commands


def test_the_installed_wheel_runs_the_readmes_ten_lines(wheel: Path, tmp_path: Path) -> None:
    """In an environment that has nothing of ours; what we depend on lies in this one's. With an
    index, and from the repository too, it is `make fresh`."""
    home = tmp_path / "venv"
    venv.create(home)
    python = home / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(_output(str(python), "-c", where).strip())
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    offline = ["--quiet", "--no-deps", "--no-index"]
    _output(*pip, "install", *offline, str(wheel), folder=tmp_path)

    (block,) = python_blocks("README.md")
    (tmp_path / "ten.py").write_text(f"{block}\nprint(trtasync.__file__)\n")
    answers, file = _output(str(python), "-W", "error", "ten.py", folder=tmp_path).splitlines()
    assert "594" in answers
    assert Path(file).is_relative_to(packages)
    version = _output(str(home / "bin" / "trtasync"), "--version", folder=tmp_path)
    assert version.strip() == trtasync.__version__


def _output(*command: str, folder: Path = ROOT) -> str:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_source_holds_what_tests_and_notes_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    wanted = (
        "tests/package/test_release.py",
        "examples/hello.py",
        "changes/template.md.jinja",
        "Makefile",
    )
    assert set(wanted) <= names
    assert [name for name in names if "/.cache/" in name or "__pycache__" in name] == []


def test_changes_are_list_items_that_fit(pytestconfig: pytest.Config) -> None:
    lines = [
        (path.name, line)
        for path in (pytestconfig.rootpath / "changes").glob("+*.md")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert [each for each in lines if not each[1].startswith(("- ", "  "))] == []


def test_the_notes_gather_the_changes(tmp_path: Path) -> None:
    head, mark, _ = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition(MARK)
    (tmp_path / "CHANGELOG.md").write_text(f"{head}{mark}\n")
    changes = tmp_path / "changes"
    changes.mkdir()
    for name in ("pyproject.toml", "changes/README.md", "changes/template.md.jinja"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (changes / "+new.fixed.md").write_text("- A fault.\n")
    (changes / "+other.added.md").write_text("- One.\n- Two,\n  in two lines.\n")
    _gather(tmp_path, "1.0", "2026-01-01")
    (changes / "+later.changed.md").write_text("- Another thing.\n")
    _gather(tmp_path, "1.1", "2026-02-01")
    assert (tmp_path / "CHANGELOG.md").read_text() == f"{head}{mark}\n{NOTES}"
    assert sorted(path.name for path in changes.iterdir()) == ["README.md", "template.md.jinja"]


MARK = "<!-- towncrier release notes start -->"
NOTES = """\

## 1.1 (2026-02-01)

### Changed
- Another thing.

## 1.0 (2026-01-01)

### Added
- One.
- Two,
  in two lines.

### Fixed
- A fault.
"""


def _gather(folder: Path, version: str, date: str) -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--yes"]
    command += ["--version", version, "--date", date]
    subprocess.run(command, cwd=folder, check=True)
