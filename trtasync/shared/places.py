"""Where hosts are found: a folder of this user's own, with a socket for each engine."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from trtasync.errors import BackendUnavailable, InvalidInput

VARIABLE = "TRTASYNC_RUNTIME_DIR"
"""The environment variable that names the folder."""

MOST_PATH = 107
"""Bytes of the path of a socket: the system has room for no more."""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one engine that processes share.

    Attributes:
        socket: where its host listens.
        lock: held while a host is started or ended.
        log: what the last host wrote to stderr.
        starts: recent starts of a host.
    """

    socket: Path
    lock: Path
    log: Path
    starts: Path

    @classmethod
    def of(cls, identity: str) -> "Place":
        """The files of an engine of this identity, in an existing folder.

        Raises:
            InvalidInput: there is no folder that belongs to this user alone, or its path is too
                long.
        """
        base = runtime_folder() / identity
        files = [base.with_suffix(f".{kind}") for kind in ("sock", "lock", "log", "starts")]
        if len(os.fsencode(files[0])) > MOST_PATH:
            raise InvalidInput(
                f"{files[0]} is longer than the {MOST_PATH} bytes that the path of a socket may "
                f"have; name a shorter folder with {VARIABLE}.",
                name=VARIABLE,
            )
        return cls(*files)


def runtime_folder() -> Path:
    """The folder of this user's sockets, created if missing.

    Raises:
        InvalidInput: it belongs to another user, or is open to others.
        BackendUnavailable: this system has no users, so no such folder.
    """
    if not hasattr(os, "geteuid"):
        raise BackendUnavailable("shared=True needs Linux; leave it out.")
    path = _chosen()
    try:
        path.mkdir(0o700)
        path.chmod(0o700)  # whatever the umask
    except FileExistsError:
        pass
    except OSError as error:
        raise InvalidInput(
            f"the folder of shared engines cannot be created ({error}); name another one with "
            f"{VARIABLE}.",
            name=VARIABLE,
        ) from error
    problem = _problem(path)
    if problem:
        raise InvalidInput(
            f"the folder of shared engines, {path}, {problem}: others could impersonate the "
            f"engine. Fix it (chmod 700), or name one of your own with {VARIABLE}.",
            name=VARIABLE,
        )
    return path


def _chosen() -> Path:
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and not _problem(Path(base)):
        return Path(base).absolute() / "trtasync"
    return Path(f"/tmp/trtasync-{os.geteuid()}")  # not TMPDIR: all processes must agree


def _problem(path: Path) -> str:
    """Why the folder is not trusted; "" if it is this user's alone."""
    try:
        facts = path.lstat()
    except OSError as error:
        return f"cannot be looked at ({error})"
    if not stat.S_ISDIR(facts.st_mode):
        return "is no plain folder"
    if facts.st_uid != os.geteuid():
        return f"belongs to user {facts.st_uid}"
    if facts.st_mode & 0o077:
        return f"is open to others (mode {stat.S_IMODE(facts.st_mode):o})"
    return ""
