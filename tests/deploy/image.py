"""The CPU image's recipe is executed without Docker: `python -m tests.deploy.image`.

Its base is made anew by debootstrap, every RUN happens in that root, and the image's command then
serves a model there as the first process of its own PID namespace. Needs root, Linux, debootstrap
and a way to Debian's and Python's packages. It is no container: what the kernel keeps apart
otherwise (network, users, cgroups) is this machine's.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.recipe import Stage, copied, entry, image
from tests.documents.running import ROOT, write_identity

BASE = re.compile(r"debian:(?P<suite>\w+)-slim")
"""Images that are what debootstrap makes, less manuals."""

CERTIFICATES = "PIP_CERT"
"""Names those whom pip trusts on this machine; they are lent to the root."""

PATIENCE = 60.0
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Root:
    """A file system that commands run in.

    Attributes:
        path: of it, on this machine.
        environment: of its commands.
        user: and group that they run as.
    """

    path: Path
    environment: dict[str, str]
    user: str = "0:0"

    def command(self, words: Sequence[str]) -> list[str]:
        """What runs it there: first process of a PID namespace, with /proc and /dev."""
        mount = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$@"'
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("sh", "-c", mount, str(self.path), f"--userspec={self.user}", str(self.path)),
            *words,
        ]

    def run(self, line: str) -> None:
        """As RUN does."""
        print(f"RUN {line}", flush=True)
        command = self.command(["/bin/sh", "-c", line])
        subprocess.run(command, env=self.environment, check=True, stdin=subprocess.DEVNULL)

    def inside(self, path: Path) -> Path:
        """Where a path of it is on this machine."""
        return self.path / path.relative_to("/")


def build(folder: Path) -> tuple[Root, Sequence[str]]:
    """Execute the recipe; the last stage's root, and its command."""
    recipe = image("cpu")
    base = _base(folder / "base", recipe[-1])
    made: dict[str, Root] = {}
    for number, stage in enumerate(recipe):
        root = Root(folder / str(number), {"PATH": SYSTEM} | _lent())
        subprocess.run(["cp", "-a", str(base), str(root.path)], check=True)
        for each in stage.instructions:
            _follow(each.word, each.value, root, made)
        made[stage.name] = root
    return root, entry(recipe[-1])


def _base(path: Path, stage: Stage) -> Path:
    suite = BASE.fullmatch(stage.base)
    assert suite is not None, f"{stage.base} cannot be made here"
    subprocess.run(["debootstrap", "--variant=minbase", suite["suite"], str(path)], check=True)
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", path / "etc" / name)
    if CERTIFICATES in os.environ:
        shutil.copy(os.environ[CERTIFICATES], path / "lent.crt")
    return path


def _lent() -> dict[str, str]:
    return {CERTIFICATES: "/lent.crt"} if CERTIFICATES in os.environ else {}


def _follow(word: str, value: str, root: Root, made: Mapping[str, Root]) -> None:
    if word == "RUN":
        root.run(value)
    elif word == "COPY":
        _copy(value, root, made)
    elif word == "ENV":
        for pair in value.split():
            name, _, text = pair.partition("=")
            root.environment[name] = text.replace("$PATH", root.environment["PATH"])
    elif word == "USER":
        root.user = value
    else:
        assert word in ("EXPOSE", "ENTRYPOINT"), f"{word} is not known here"


def _copy(value: str, root: Root, made: Mapping[str, Root]) -> None:
    source, what, where = copied(value)
    target = root.inside(where)
    for path in what:
        origin = made[source].inside(path) if source else ROOT / path
        if origin.is_dir():  # of a folder, its content is copied
            shutil.copytree(origin, target, symlinks=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, target)


@contextmanager
def started(root: Root, words: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A command in the root, and the number that its first process has on this machine."""
    with subprocess.Popen(
        root.command(words), env=root.environment, text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process, _child_of(process.pid)
        finally:
            process.kill()


def _child_of(pid: int) -> int:
    for _ in _until(PATIENCE):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
    raise TimeoutError(f"process {pid} has started none")


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)


def serve(root: Root, words: Sequence[str]) -> None:
    """Serve a model, ask it, and end it as Kubernetes would."""
    models = root.inside(Path("/models"))
    models.mkdir()
    write_identity(models / "same.onnx", ["N", 2])
    with started(root, [*words, "/models/same.onnx", "--port", "0"]) as (process, first):
        assert process.stdout is not None
        said = process.stdout.readline()
        print(said, end="", flush=True)
        url = re.findall(r"http://\S+:\d+", said)[0]
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
        body = json.dumps({"inputs": [tensor]}).encode()
        with urllib.request.urlopen(f"{url}/v2/models/same/infer", body, PATIENCE) as answer:
            assert json.load(answer)["outputs"][0]["data"] == [1.0, 2.0]
        os.kill(first, signal.SIGTERM)
        code = process.wait(PATIENCE)
        assert code == 0, f"after SIGTERM it ended with {code}"


def end_early(root: Root, words: Sequence[str]) -> None:
    """A server that is still opening its model heeds SIGTERM, too: here it waits for a pipe."""
    pipe = root.inside(Path("/models/late.onnx"))
    os.mkfifo(pipe)
    with started(root, [*words, "/models/late.onnx", "--port", "0"]) as (process, first):
        with pipe.open("wb"):  # goes on when it reads
            os.kill(first, signal.SIGTERM)
            code = process.wait(PATIENCE)
        assert code != 0, "a server that never served ended as if it had"


def main() -> int:
    """Build and try it in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        root, words = build(Path(folder))
        serve(root, words)
        end_early(root, words)
    print("the recipe is good: it served, and ended at SIGTERM")
    return 0


if __name__ == "__main__":
    sys.exit(main())
