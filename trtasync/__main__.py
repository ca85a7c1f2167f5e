"""`trtasync` and `python -m trtasync`."""

import sys


def main() -> None:
    """Run the command line; its packages come with the extra `cli`."""
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
