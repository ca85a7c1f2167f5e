"""What a description does not tell: the names of models and of their inputs.

Requests that suit the description are made to suit a model as well, or nearly.
"""

from typing import Any

import schemathesis

from trtasync.server.protocol.answers import JSON_LENGTH

INPUTS = {"double": "x", "pair": "ab", "bool": "x", "int64": "x", "float32": "x"}
"""Of the models that are asked."""

DATATYPES = {"bool": "BOOL", "int64": "INT64"}
"""Where it is not FP32."""

SPARE = "int8"
"""Is loaded and unloaded instead of others."""


def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Put names in, in place of those that are made up."""
    if case.meta is None or "model" not in (case.path_parameters or {}):
        return
    made_up, suits = str(case.path_parameters["model"]), case.meta.generation.mode.is_positive
    if "repository" in case.path:
        _name(case, SPARE)
    elif suits or made_up == SPARE:
        chosen = sum(map(ord, made_up)) + len(str(case.body))
        model = [*INPUTS, made_up][chosen % (len(INPUTS) + 1)]
        _name(case, "double" if model == SPARE else model)
        if suits and model in INPUTS and isinstance(case.body, dict):
            case.headers.pop(JSON_LENGTH, None)
            _suit(case.body, model)


def _name(case: Any, model: str) -> None:
    case.path_parameters["model"] = model
    if "version" in case.path_parameters:
        case.path_parameters["version"] = "1"


def _suit(body: Any, model: str) -> None:
    """Give a request the model's inputs; what else it says is left as it is."""
    names, made_up = INPUTS[model], body.get("inputs", ())
    body["inputs"] = [
        {
            "name": name,
            "datatype": DATATYPES.get(model, "FP32"),
            "shape": [1 + len(made_up) % 3, 4],
            "data": [[1, 0, 1, 0]] * (1 + len(made_up) % 3),
        }
        for name in names
    ]
    for name, output in zip("y", body.get("outputs", ()), strict=False):
        output["name"] = name


schemathesis.hook(before_call)
