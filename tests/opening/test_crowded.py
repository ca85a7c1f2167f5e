"""No descriptors, no addresses, Ctrl-C while opening: errors of ours, and an orderly end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.helpers import heed_sigint

ROOT = Path(__file__).parents[2]
LOOPS = ["asyncio", "uvloop", "trio"]


def child(program: str, loop: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.opening.crowded", program, loop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=heed_sigint,
    )


@pytest.mark.parametrize("loop", LOOPS)
def test_ctrl_c_while_a_model_is_opened(loop: str) -> None:
    """What was opened is closed before the program ends."""
    with child("opening", loop) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "opening\n"
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate("go on\n", timeout=120)
    assert output == "closed\n"
    assert "KeyboardInterrupt" in errors
    assert program.returncode != 0


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_files", ["PlanError", "True"]),
        ("no_threads", ["NoThread", "NoThread", "threads", "1", "True", "closed"]),
        ("many_threads", ["threads", "100", "open"]),
        ("little_memory", ["InvalidInput", "True", "InferenceError", "True"]),
    ],
)
def test_a_full_machine(name: str, expected: list[str], loop: str) -> None:
    """Who asks too much is refused; the others are answered, and closing ends."""
    with child(name, loop) as program:
        output, errors = program.communicate(timeout=120)
    assert output.split() == [*expected, "ended"], errors
    assert program.returncode == 0
