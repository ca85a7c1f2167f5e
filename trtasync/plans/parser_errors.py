"""The errors of TensorRT's parser as one line: operators grouped, reasons in words.

The parser reports one error per node, in terms of its own source code ("false" among them), and a
large model of an unsupported kind has hundreds.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trtasync.plans.api import OnnxParser, ParserError
from trtasync.words import one_line, shown

NODES_NAMED, OPERATORS_NAMED, REASONS_NAMED = 3, 12, 4
"""So many of each, and how many there are beside."""

LONGEST_REASON = 200

UNSUPPORTED = "not supported by this TensorRT"

_UNKNOWN_OPERATOR = re.compile(
    r"false|No importer registered|Plugin not found|failed to load \w+ plugin"
    r"|\w+ plugin creator .*not found"
)
"""What is said of a node whose operator the parser has not."""

_UNKNOWN_TYPE = re.compile("Failed to convert ONNX dat[ae] type")
"""What is said of an input; `date` is the parser's own."""

UNKNOWN_TYPE = "an input is of a data type that this TensorRT has not"

_QUOTED = re.compile(r'&& "(.+)"', re.DOTALL)
_ASSERTION = re.compile(r"Assertion failed: .+?[^:]:(?!:)\s+(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, of one node or none.

    Attributes:
        reason: the reason in words.
        operator: the node's operator; "" for none.
        node: its index, and its name if it has one.
    """

    reason: str
    operator: str
    node: str


def problems_of(parser: OnnxParser) -> str:
    """All that a parser reports, "" for nothing. Its errors do not outlive the parser."""
    errors = (parser.get_error(index) for index in range(parser.num_errors))
    problems = dict.fromkeys(map(_problem, errors))
    reasons = dict.fromkeys(problem.reason for problem in problems)
    told = [_told(reason, [p for p in problems if p.reason == reason]) for reason in reasons]
    return "; ".join(_some(told, REASONS_NAMED, "other problems"))


def _problem(error: ParserError) -> Problem:
    operator = shown(error.node_operator()) if error.node() >= 0 else ""
    return Problem(_reason(error, operator), operator, _node(error) if operator else "")


def _reason(error: ParserError, operator: str) -> str:
    text = error.desc()
    if operator and _UNKNOWN_OPERATOR.match(_words_of(text)):
        return UNSUPPORTED
    reason = UNKNOWN_TYPE if _UNKNOWN_TYPE.search(text) else one_line(_words_of(text)).rstrip(".")
    if len(reason) > LONGEST_REASON:
        reason = f"{reason[:LONGEST_REASON]}..."
    return f"{reason} [{getattr(error.code(), 'name', error.code())}]"


def _words_of(text: str) -> str:
    """The message without the failed condition from the parser's source."""
    for pattern in (_QUOTED, _ASSERTION):
        if found := pattern.search(text):
            return found[1]
    return text.strip()


def _node(error: ParserError) -> str:
    try:
        name = shown(error.node_name())
    except UnicodeDecodeError:  # a file may contain any bytes
        name = ""
    return f"{error.node()} '{name}'" if name else str(error.node())


def _told(reason: str, problems: list[Problem]) -> str:
    nodes: dict[str, list[str]] = {}
    for problem in problems:
        if problem.operator:
            nodes.setdefault(problem.operator, []).append(problem.node)
    operators = [f"{operator} ({_listed(found)})" for operator, found in nodes.items()]
    told = ", ".join(_some(operators, OPERATORS_NAMED, "other operators"))
    return f"{reason}: {told}" if told else reason


def _listed(nodes: list[str]) -> str:
    return f"node {', '.join(_some(nodes, NODES_NAMED, 'more'))}"


def _some(items: Iterable[str], most: int, what: str) -> Iterator[str]:
    """The first ones, and how many more there are."""
    known = list(items)
    yield from known[:most]
    if len(known) > most:
        yield f"{len(known) - most} {what}"
