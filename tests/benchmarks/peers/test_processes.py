"""Trees of processes: whose CPU is counted, and that none is left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.processes import Process, below, parse
from benchmarks.report import ROOT

STAT = "71 (a (b) c) S 7 71 71 0 -1 4194560 1 2 3 4 150 50 20 30 20 0 1 0 9 9 9"


def test_a_stat_line_with_a_command_that_holds_anything() -> None:
    assert parse(STAT, 100) == Process(71, 7, "S", 2.5)


def test_descendants_without_a_tree() -> None:
    parents = {2: 1, 3: 2, 4: 2, 5: 4, 6: 1, 9: 8}
    table = {pid: Process(pid, parent, "S", pid / 10) for pid, parent in parents.items()}
    assert {process.pid for process in below(1, table)} == {2, 3, 4, 5, 6}
    assert {process.pid for process in below(1, table, without=[4])} == {2, 3, 6}


PARENT = """
import os, subprocess, sys, time
from benchmarks.peers.processes import adopt_orphans, cpu_below, end_all
adopt_orphans()
work = "sum(range(3_000_000))"  # some ticks of the clock
nap = "import time; time.sleep(60)"
stubborn = f"import signal; signal.signal(15, signal.SIG_IGN); {work}; print(flush=True); {nap}"
start = f"subprocess.Popen([sys.executable, '-c', {nap!r}], start_new_session=True)"
subprocess.run([sys.executable, "-c", f"import subprocess, sys; {start}"])
child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
child.stdout.readline()
used = cpu_below(os.getpid())
print(end_all(patience=1.0))
assert used > 0
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("none left")
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_orphans_and_stubborn_children_are_ended() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split("\n")[:2] == ["1", "none left"], done.stderr
