"""`trtasync` and `python -m trtasync`."""

import io
import sys
from shutil import get_terminal_size

from trtasync.system.version import __version__

_WITHOUT_PACKAGES: str = """\
trtasync doctor     Say what is installed here, and what each backend lacks.
trtasync --version  Print the version.

The other commands (build, inspect, bench, tune, check, serve, host) come with
pip install 'trtasync[cli]'; then trtasync --help tells about them."""


def main() -> None:
    """Run the command line; most of it needs packages that come with the extra `cli`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a name that this terminal cannot show must not cost what was measured
            stream.reconfigure(errors="backslashreplace")
    try:
        from trtasync.cli import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.exit(_without_packages(sys.argv[1:], error))
    app(prog_name="trtasync")


def _without_packages(words: list[str], error: ModuleNotFoundError) -> int:
    """What of the command line needs nothing; returns the exit code."""
    if words == ["--version"]:
        sys.stdout.write(f"{__version__}\n")
        return 0
    if words == ["doctor"]:
        from trtasync.doctor import examine
        from trtasync.doctor.text import text

        sys.stdout.write(f"{text(examine(), get_terminal_size().columns)}\n")
        return 0
    if words in ([], ["--help"]):
        sys.stdout.write(f"{_WITHOUT_PACKAGES}\n")
        return 0
    sys.stderr.write(
        f"trtasync: this needs pip install 'trtasync[cli]' ({error}); without it there are "
        "`trtasync doctor`, without options, and `trtasync --version`.\n"
    )
    return 3  # as for whatever else is not installed


if __name__ == "__main__":
    main()
