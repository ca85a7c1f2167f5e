"""The findings about a cached plan's rows, in a file beside it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trtasync.errors import BuildError
from trtasync.model.tensors import ModelSpec, TensorSpec
from trtasync.plans.cache import rows_path
from trtasync.plans.files import PRIVATE, write_atomically
from trtasync.plans.notes import MOST_NOTE_BYTES, UNREADABLE, read_note
from trtasync.plans.order import Built
from trtasync.rows import Finding, Judgement, Verdict
from trtasync.rows.judge import ALGORITHM
from trtasync.system.trust import Owner

Examined = tuple[dict[str, int | None], tuple[Finding, ...]]
"""(the batch axis of every input, what was found of every output)."""

log: logging.Logger = logging.getLogger("trtasync")


@dataclass(frozen=True, slots=True)
class RowNote:
    """The note of one plan.

    Attributes:
        path: the note's path.
        plan: SHA-256 of the plan.
        owner: the owner whose note is accepted.
        mode: the file's mode.
    """

    path: Path
    plan: str
    owner: Owner = field(default_factory=Owner.me)
    mode: int = PRIVATE

    @classmethod
    def beside(cls, built: Built) -> "RowNote | None":
        """The note of a plan in the cache; None for others."""
        if not built.key or built.path.stem != built.key:
            return None
        return cls(rows_path(built.path), built.checksum, built.owner, built.mode)

    def find(self, spec: ModelSpec, said: bool, seconds: float) -> Examined | None:
        """Return the findings of an examination that had at least as much time.

        Args:
            spec: what the plan suggests and the user says.
            said: the user named batch axes.
            seconds: the time that an examination may take now.
        """
        try:
            known = read_note(self.path, self.owner)
            if known["of"] != self._subject(spec, said) or known["seconds"] < seconds:
                return None
            return _examined(known, spec)
        except FileNotFoundError:
            return None
        except UNREADABLE as why:
            log.warning("%s: unreadable (%s); rows are checked again", self.path, why)
            return None

    def keep(
        self,
        spec: ModelSpec,
        said: bool,
        seconds: float,
        settled: ModelSpec,
        judgement: Judgement,
    ) -> None:
        """Write the findings, unless more time could have found more.

        Args:
            spec: see `find`.
            said: see `find`.
            seconds: the time that the examination was given.
            settled: the resulting spec.
            judgement: the resulting judgement.
        """
        findings = judgement.findings
        open_ends = {Verdict.UNKNOWN} | (
            {Verdict.TESTED} if judgement.seconds >= seconds else set()
        )
        if not findings or any(finding.verdict in open_ends for finding in findings):
            return
        note = {
            "of": self._subject(spec, said),
            "seconds": seconds,
            "axes": {each.name: each.batch_axis for each in settled.inputs},
            "findings": [asdict(finding) for finding in findings],
        }
        text = json.dumps(note, indent=1).encode()
        if len(text) > MOST_NOTE_BYTES:
            return
        try:
            write_atomically(self.path, text, self.mode)
        except BuildError as error:  # another user's cache may be read-only
            log.info("the findings about rows are not kept: %s", error)

    def _subject(self, spec: ModelSpec, said: bool) -> dict[str, Any]:
        """Everything by which examinations differ."""
        return {
            "algorithm": ALGORITHM,
            "plan": self.plan,
            "axes": {each.name: each.batch_axis for each in (*spec.inputs, *spec.outputs)},
            "said": said,
            "proof": find_spec("onnx") is not None,
        }


def _examined(known: Mapping[str, Any], spec: ModelSpec) -> Examined:
    """Read it. Raises ValueError, LookupError or TypeError if it is incomplete."""
    axes = {tensor.name: _axis(known["axes"][tensor.name], tensor) for tensor in spec.inputs}
    findings = tuple(
        Finding(
            output=tensor.name,
            verdict=Verdict(found["verdict"]),
            axis=_axis(found["axis"]),
            why=str(found["why"]),
            beside=str(found["beside"]),
            difference=float(found["difference"]),
        )
        for tensor, found in zip(spec.outputs, known["findings"], strict=True)
        if found["output"] == tensor.name
    )
    if len(findings) != len(spec.outputs):
        raise ValueError("the findings are for other outputs")
    return axes, findings


def _axis(given: object, tensor: TensorSpec | None = None) -> int | None:
    """Read an axis, of a tensor if one is given."""
    if given is None:
        return None
    if type(given) is not int or given < 0 or (tensor and given >= len(tensor.shape)):
        raise ValueError(f"{given!r} is not an axis")
    return given
