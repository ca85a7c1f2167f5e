"""What the ONNX parser has against a model, in one sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trtasync.plans.api import OnnxParser, ParserError

UNSUPPORTED = ("UNSUPPORTED_NODE", "UNSUPPORTED_GRAPH", "UNSUPPORTED_NODE_OPERATOR")
"""Names of codes that say so; other versions say it as a plugin that was not found."""

NO_IMPORTER = ("Plugin not found", "No importer registered", "not found in plugin registry")

SHOWN = 3
"""Nodes, and other complaints, that are told one by one; more are counted."""

LONGEST = 300
"""Letters of one of TensorRT's reasons."""


@dataclass(frozen=True, slots=True)
class _Complaint:
    """One error, as far as it can be read.

    Attributes:
        place: the node that is to blame, in words; "" where none is.
        operator: its operator.
        reason: TensorRT's words, on one line.
        code: the name of TensorRT's code.
    """

    place: str
    operator: str
    reason: str
    code: str

    @property
    def unsupported(self) -> bool:
        """The operator as such is what TensorRT lacks."""
        return bool(self.operator) and (
            self.code in UNSUPPORTED or any(words in self.reason for words in NO_IMPORTER)
        )


def complaints(parser: OnnxParser) -> str:
    """All of them, operators that TensorRT lacks together; "" for none. Only while the parser
    lives: its errors are its own memory."""
    found = [_read(parser.get_error(index)) for index in range(parser.num_errors)]
    lacking = [each for each in found if each.unsupported]
    others = [each for each in found if not each.unsupported]
    parts = [] if not lacking else [f"not supported by this TensorRT: {_operators(lacking)}"]
    return "; ".join([*parts, *_told(others)])


def _operators(lacking: Sequence[_Complaint]) -> str:
    nodes: dict[str, list[_Complaint]] = {}
    for each in lacking:
        nodes.setdefault(each.operator, []).append(each)
    return ", ".join(
        f"{operator} ({_some([each.place for each in those])}: {those[0].reason} [{those[0].code}])"
        for operator, those in nodes.items()
    )


def _some(places: Sequence[str]) -> str:
    more = len(places) - SHOWN
    return ", ".join(places[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _told(others: Sequence[_Complaint]) -> Iterator[str]:
    for each in others[:SHOWN]:
        place = f"{each.place} ({each.operator}): " if each.place else ""
        yield f"{place}{each.reason} [{each.code}]"
    if len(others) > SHOWN:
        yield f"and {len(others) - SHOWN} more errors"


def _read(error: ParserError) -> _Complaint:
    try:
        name = error.node_name()
    except UnicodeDecodeError:  # a file may call its nodes anything
        name = ""
    operator = error.node_operator() if error.node() >= 0 else ""
    place = f"node {error.node()}" + (f" '{name}'" if name else "") if operator else ""
    return _Complaint(place, operator, _reason(error), str(getattr(error.code(), "name", "")))


def _reason(error: ParserError) -> str:
    try:
        text = error.desc()
    except UnicodeDecodeError:
        return "its reason cannot be read"
    lines = [line.strip().rstrip(".") for line in text.splitlines()]
    # without a GPU every error of TensorRT for RTX is followed by this one
    words = " ".join(line for line in lines if line and "catchCudaError" not in line)
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}..."
