"""What `make dist` holds the packages in a folder to, beside `twine check`.

python -m tests.package.dist dist
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

from tests.package.fresh import clone


def metadata(wheel: Path) -> Message:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def differences(made: Path, again: Path) -> Iterator[str]:
    """Packages of a folder that another one has not, byte by byte."""
    for package in sorted(made.iterdir()):
        other = again / package.name
        if not other.is_file() or package.read_bytes() != other.read_bytes():
            yield f"{package.name} differs when it is built again, from a clone."


def homeless(about: Message) -> Iterator[str]:
    """A release must say where it comes from; else its page on an index has no links."""
    urls = [each.partition(", ")[0] for each in about.get_all("Project-URL", [])]
    if ".dev" not in about["Version"] and "Repository" not in urls:
        yield "a release needs its public address: Repository, under [project.urls]."


def main() -> None:
    """Say what is wrong; the exit status is 1 then."""
    made = Path(sys.argv[1])
    [wheel] = made.glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        source, again = Path(folder) / "clone", Path(folder) / "dist"
        clone(source)
        build = [sys.executable, "-m", "build", "--outdir", str(again), str(source)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        if found := [*differences(made, again), *homeless(metadata(wheel))]:
            sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
