"""Fills a network from a model, and detects what TensorRT silently lets pass."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, cast

from trtasync.errors import BuildError
from trtasync.plans.api import FullTensorRT, NetworkDefinition, OnnxParser, Tensor
from trtasync.plans.parser_errors import problems_of
from trtasync.plans.sources import FunctionModel, OnnxModel
from trtasync.runtimes.tensorrt.library import Library
from trtasync.runtimes.tensorrt.plans import as_tuple

log: logging.Logger = logging.getLogger("trtasync")

DOUBLE: Final = 11
"""`TensorProto.DOUBLE`."""

LONGEST_NAME: Final = 1024
"""Letters of a network's name; TensorRT takes 4096 bytes."""


def fill(lib: Library, network: NetworkDefinition, model: OnnxModel | FunctionModel) -> object:
    """Define an empty network according to a model.

    Returns:
        what holds its weights: keep it until the plan is built.

    Raises:
        BuildError: TensorRT cannot parse it, the function failed or made a call that TensorRT
            refused, there is no output, or a name occurs twice.
    """
    if isinstance(model, OnnxModel):
        kept: object = _parse(lib, network, model)
    else:
        kept = _call(lib, network, model)
    if not network.num_outputs:
        raise BuildError(f"{model.name} marks no output; call network.mark_output(tensor).")
    tensors = [
        *(network.get_input(index) for index in range(network.num_inputs)),
        *(network.get_output(index) for index in range(network.num_outputs)),
    ]
    _demand_names(tensors, model.name)
    _demand_shapes(lib, tensors, model.name)
    return kept


def _call(lib: Library, network: NetworkDefinition, model: FunctionModel) -> object:
    network.name = model.name[:LONGEST_NAME]
    mark = lib.journal.mark()
    try:
        kept = model.call(network, lib.trt)
    except Exception as error:  # the user's code may go on with a None that TensorRT returned
        said = lib.journal.said(mark)
        raise BuildError(
            f"the network function {model.name} failed: {type(error).__name__}: {error}."
            + (f" TensorRT said: {said}." if said else "")
        ) from error
    if said := lib.journal.said(mark):  # it ignores a call that it refuses, and builds the rest
        raise BuildError(
            f"the network function {model.name} made a call that TensorRT refused: {said}."
        )
    return kept


def _parse(lib: Library, network: NetworkDefinition, model: OnnxModel) -> OnnxParser:
    mark = lib.journal.mark()
    parser = cast(FullTensorRT, lib.trt).OnnxParser(network, lib.logger)
    with model.file.content.view() as content:
        parsed = parser.parse(content, str(model.file.path))
    model.file.content.let_go()  # the parser has its own copy
    if not parsed:
        reason = problems_of(parser) or lib.journal.since(mark)
        raise BuildError(f"{lib.title} cannot parse {model.file.path}: {reason}.")
    graph = model.file.model.graph
    name = graph.name if isinstance(graph.name, str) else ""  # bytes if it is not UTF-8
    network.name = (name or model.file.path.stem)[:LONGEST_NAME]
    _tell_of_doubles(graph, model.name)
    return parser


def _tell_of_doubles(graph: Any, name: str) -> None:
    """Warn that TensorRT has no float64, and uses float32 instead."""
    doubles = [
        f"'{value.name}'"
        for value in (*graph.input, *graph.output)
        if value.type.tensor_type.elem_type == DOUBLE
    ]
    if doubles:
        log.warning(
            "%s: %s: float64 in the file, but float32 in the plan: TensorRT has no float64",
            name,
            ", ".join(doubles),
        )


def _demand_names(tensors: Sequence[Tensor], name: str) -> None:
    """Refuse duplicate names: answers go by name, and some versions silently rename the second."""
    counts = Counter(tensor.name for tensor in tensors)
    twice = [each for each, count in counts.items() if count > 1]
    if twice:
        raise BuildError(
            f"{name} has several inputs or outputs called '{twice[0]}'; give each its own name."
        )


def _demand_shapes(lib: Library, tensors: Sequence[Tensor], name: str) -> None:
    """Query all shapes: an invalid layer is only noticed when its output's shape is queried."""
    for tensor in tensors:
        mark = lib.journal.mark()
        try:
            as_tuple(tensor.shape)
        except (RuntimeError, ValueError) as error:  # the former from TensorRT for RTX
            raise BuildError(
                f"{name}: '{tensor.name}' has no shape: {lib.journal.since(mark)}."
            ) from error
