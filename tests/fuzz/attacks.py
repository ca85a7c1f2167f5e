"""What is fuzzed: each attack writes hostile files into a folder and has the library read them.

An attack may end with an error of the library's own, which is one line; with anything else the
library has failed.
"""

import json
import os
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random

import anyio
import numpy as np
from typer.testing import CliRunner

from support.helpers import MODELS
from tests.fuzz.archives import broken_archive
from tests.fuzz.arguments import command_line
from tests.fuzz.models import by_bytes, by_structure, by_text
from tests.fuzz.texts import broken_bytes, broken_json
from trtasync import TensorSpec, TrtasyncError, open_engine
from trtasync.cli import app
from trtasync.cli.failures import UNEXPECTED
from trtasync.inspection import inspect_onnx
from trtasync.measure.inputs import Inputs
from trtasync.measure.loads import Closed
from trtasync.model.tensors import ModelSpec
from trtasync.plans.appearing import Appearing
from trtasync.plans.cache import PlanCache, key_of
from trtasync.plans.row_note import RowNote
from trtasync.plans.sources import read_source
from trtasync.rows import Finding, Judgement, Verdict
from trtasync.system.stopping import Stop
from trtasync.tune.probes import Outcome, Probe
from trtasync.tune.space import Config
from trtasync.tune.state import State

Attack = Callable[[Random, Path], None]

CHECK_SECONDS = 0.02

SPEC = ModelSpec.from_tensors(
    [TensorSpec("x", np.dtype("float32"), ("N", 4))],
    [TensorSpec("y", np.dtype("float32"), ("N", 4))],
)


class Broken(AssertionError):
    """The library did something else than it may."""


def _allowed(work: Callable[[], object]) -> None:
    """Run it; an error of the library's own is well if it is one line."""
    try:
        work()
    except TrtasyncError as error:
        if not str(error).strip() or "\n" in str(error):
            raise Broken(f"no line of words: {str(error)!r}") from error


def _model(change: Callable[[Random], bytes], chance: Random, folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(change(chance))
    (folder / "link").symlink_to("/etc/hostname")
    _allowed(lambda: inspect_onnx(path))
    _allowed(lambda: read_source(path, None, kept=True).axes)
    _allowed(lambda: anyio.run(_open, path))


async def _open(path: Path) -> None:
    async with open_engine(path, backend="onnxruntime", threads=1, check_seconds=CHECK_SECONDS):
        pass


def _cache_note(chance: Random, folder: Path) -> None:
    cache, facts = PlanCache(folder), {"model": "abc", "gpu": {"name": "x", "sizes": [1, 2]}}
    key = key_of(facts)
    plan = cache.plan_path(key)
    plan.parent.mkdir()
    with Appearing(Stop()) as files:
        cache.keep(key, b"ftrt plan", facts, 1.0, files)
        files.appear()
    note = plan.with_suffix(".json")
    note.write_bytes(broken_json(chance, json.loads(note.read_bytes())))
    entry = cache.find(key)
    if entry is not None and key_of(entry.facts) != key:
        raise Broken("a plan of other facts is served")


def _row_note(chance: Random, folder: Path) -> None:
    note = RowNote(folder / "rows.json", "0" * 64)
    found = Finding("y", Verdict.PROVED, 0, "")
    note.keep(SPEC, False, 1.0, SPEC, Judgement(True, "", (found,)))
    note.path.write_bytes(broken_json(chance, json.loads(note.path.read_bytes())))
    note.find(SPEC, False, 1.0)


def _tune_state(chance: Random, folder: Path) -> None:
    path, facts = folder / "state.jsonl", {"model": "abc", "shapes": {"x": [1, 3]}}
    probe = Probe(Config(1, 8, "any"), Closed(4))
    with State(path, facts, fresh=False, given=True) as state:
        for _ in range(3):
            state.begin(probe)
            state.end(probe, Outcome(1.0, {"requests": 5.0}))
    lines = path.read_bytes().splitlines(keepends=True)
    at = chance.randrange(len(lines))
    line = broken_json(chance, json.loads(lines[at])) + b"\n"
    data = b"".join([*lines[:at], line, *lines[at + 1 :]])
    path.write_bytes(data if chance.randrange(4) else broken_bytes(chance, data))

    def go_on() -> None:
        with State(path, facts, fresh=False, given=True) as state:
            state.find(probe)

    _allowed(go_on)


def _samples(chance: Random, folder: Path) -> None:
    path = folder / "samples.npz"
    path.write_bytes(broken_archive(chance))
    _allowed(lambda: Inputs(chance.choice((1, 2)), file=path).make(SPEC.inputs))


def _arguments(chance: Random, folder: Path) -> None:
    words = command_line(chance)
    (folder / "arguments.json").write_text(json.dumps(words))
    (folder / "model.onnx").write_bytes((MODELS / "gather.onnx").read_bytes())
    (folder / "broken.onnx").write_bytes(b"no model")
    (folder / "folder").mkdir()
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, words)
    finally:
        os.chdir(before)
    if result.exit_code == UNEXPECTED:
        raise Broken(f"{words}: {result.output}") from result.exception


ATTACKS: Mapping[str, tuple[int, Attack]] = {
    "model by bytes": (6, partial(_model, by_bytes)),
    "model by structure": (8, partial(_model, by_structure)),
    "model by text": (1, partial(_model, by_text)),
    "cache note": (1, _cache_note),
    "note of rows": (1, _row_note),
    "tune state": (1, _tune_state),
    "samples": (1, _samples),
    "arguments": (2, _arguments),
}
"""By name, with how often each comes beside the others."""


def attack(seed: int, folder: Path, only: str = "") -> str:
    """Make the attack of a seed, in an empty folder; returns its name.

    Args:
        seed: decides everything.
        folder: for its files.
        only: a word that the attack's name must hold.

    Raises:
        whatever the library raises that it must not.
    """
    chance = Random(seed)
    chosen = {name: each for name, each in ATTACKS.items() if only in name}
    weights = [weight for weight, _ in chosen.values()]
    [(name, (_, run))] = chance.choices(list(chosen.items()), weights)
    (folder / "attack").write_text(f"{name}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(chance, folder)
    return name
