"""What the ONNX parser says, in one line."""

from dataclasses import dataclass
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtasync.plans.parser_errors import LONGEST_REASON, UNSUPPORTED, problems_of

Code = Enum("Code", ["INVALID_NODE", "UNSUPPORTED_NODE"])

PLUGIN = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
DILATIONS = '(dilations[i] == 1) && "This version of TensorRT does not support dilations."'
OLD = "Assertion failed: ctx->getOpsetVersion() >= 7: Pre-opset 7 broadcasting is unsupported"
TYPE = 'convertDtype(a, &b) && "Failed to convert ONNX date type to TensorRT data type."'
WEIGHTS = (
    "Failed to import initializer: Assertion failed: ctx->f().convert(a, &b): Failed to import it"
)


@dataclass
class Said:
    """A parser's error."""

    text: str
    operator: str = ""
    index: int = -1
    name: str | bytes = ""
    kind: Code = Code.UNSUPPORTED_NODE

    def code(self) -> Code:
        return self.kind

    def desc(self) -> str:
        return self.text

    def node(self) -> int:
        return self.index

    def node_name(self) -> str:
        return self.name if isinstance(self.name, str) else self.name.decode()

    def node_operator(self) -> str:
        return self.operator


class Parser:
    """One that has failed."""

    def __init__(self, *errors: Said):
        self._errors = errors
        self.num_errors = len(errors)

    def parse(self, model: bytes, path: str) -> bool:
        return False

    def get_error(self, index: int) -> Said:
        return self._errors[index]


def test_operators_are_grouped_and_named_once() -> None:
    parser = Parser(
        Said("false", "NonZero", 3, "a"),
        Said(PLUGIN, "Mine", 4, kind=Code.INVALID_NODE),
        Said("No importer registered for op: NonZero.", "NonZero", 7),
        Said("NonZero plugin creator version 1 was not found in plugin registry", "NonZero", 8),
        Said("failed to load LinearAttention plugin", "Mine", 9),
        Said("false", "NonZero", 3, "a"),
    )
    assert problems_of(parser) == f"{UNSUPPORTED}: NonZero (node 3 'a', 7, 8), Mine (node 4, 9)"


def test_many_nodes_and_many_operators_are_counted() -> None:
    many = [Said("false", f"Op{i % 20}", i, f"some_node_{i}") for i in range(500)]
    text = problems_of(Parser(*many))
    assert "Op0 (node 0 'some_node_0', 20 'some_node_20', 40 'some_node_40', 22 more)" in text
    assert text.endswith(", 8 other operators")
    assert len(text) < 1000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DILATIONS, "This version of TensorRT does not support dilations"),
        (OLD, "Pre-opset 7 broadcasting is unsupported"),
        (WEIGHTS, "Failed to import it"),
        (TYPE, "an input is of a data type that this TensorRT has not"),
        ("Failed to parse the ONNX model.", "Failed to parse the ONNX model"),
        ("two\nlines\n", "two lines"),
        ("x" * 999, f"{'x' * LONGEST_REASON}..."),
    ],
)
def test_a_reason_is_told_in_words_and_with_its_code(text: str, reason: str) -> None:
    assert problems_of(Parser(Said(text))) == f"{reason} [UNSUPPORTED_NODE]"
    of_node = Parser(Said(text, "MaxPool", 0))
    assert problems_of(of_node) == f"{reason} [UNSUPPORTED_NODE]: MaxPool (node 0)"


def test_different_reasons_stand_side_by_side() -> None:
    assert problems_of(Parser(Said(OLD), Said("false", "Det", 1))) == (
        f"Pre-opset 7 broadcasting is unsupported [UNSUPPORTED_NODE]; {UNSUPPORTED}: Det (node 1)"
    )


def test_of_a_parser_that_says_nothing_nothing_is_told() -> None:
    assert problems_of(Parser()) == ""


def test_a_name_that_is_no_text_is_left_out() -> None:
    assert problems_of(Parser(Said("false", "Det", 1, b"\xff"))) == f"{UNSUPPORTED}: Det (node 1)"


@given(
    st.lists(
        st.builds(
            Said,
            text=st.text(),
            operator=st.text(),
            index=st.integers(-1, 9),
            name=st.one_of(st.text(), st.binary()),
        ),
        min_size=1,
    )
)
def test_whatever_it_says_is_one_line_of_bounded_length(errors: list[Said]) -> None:
    text = problems_of(Parser(*errors))
    assert text
    assert text.isprintable()
