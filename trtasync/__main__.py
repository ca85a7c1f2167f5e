"""`trtasync` and `python -m trtasync`."""

import io
import sys


def main() -> None:
    """Run the command line; its packages come with the extra `cli`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a name that this terminal cannot show must not cost what was measured
            stream.reconfigure(errors="backslashreplace")
    try:
        from trtasync.cli import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.stderr.write(f"trtasync: this needs pip install 'trtasync[cli]' ({error}).\n")
        sys.exit(3)  # as for whatever else is not installed
    app(prog_name="trtasync")


if __name__ == "__main__":
    main()
