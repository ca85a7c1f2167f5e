"""What a table's models take by themselves, as a line below it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from benchmarks.report import Result, when
from benchmarks.table import number


class Model(NamedTuple):
    """A model of a table.

    Attributes:
        words: that name it.
        result: where its own time lies.
        cell: of that result: of `models` the name without the rows of a batch; else what keeps the
            GPU at work without an engine.
    """

    words: str
    result: str
    cell: str


BATCH = 32
"""Rows, of `models`."""

PRODUCT = Model("12 KB by NumPy", "models", "product, NumPy")
PRODUCT_OF_FILE = Model("12 KB by ONNX Runtime", "models", "product, ONNX Runtime")
IMAGES = Model("602 KB by NumPy", "models", "first columns, NumPy")
IMAGES_OF_FILE = Model("602 KB by ONNX Runtime", "models", "first columns, ONNX Runtime")

TINY = Model("the tiny one, row by row", "gpu_tiny", "plain spinning/asyncio/one client")
TEXTS = Model("BERT-base's size, per text", "gpu_bert", "same batches/3")
UINT8 = Model("ResNet-50 uint8", "gpu_zero_copy", "ceiling/uint8/3")


def _resnet(result: str, *names: str, streams: str = "") -> tuple[Model, ...]:
    return tuple(Model(f"ResNet-50 {name}", result, f"ceiling/{name}{streams}") for name in names)


_DTYPES = ("float32", "uint8")
_FUSED = (*_DTYPES, "fused float32", "fused uint8")
_SHARED = _resnet("gpu_shared", *_DTYPES)
_COPIED = _resnet("gpu_resnet", *_FUSED, streams="/3")

MODELS: dict[str, tuple[Model, ...]] = {
    "headlines": (PRODUCT, *_resnet("gpu_resnet", "float32", "fused float32", streams="/3")),
    "overhead": (PRODUCT,),
    "effective_deadline": (PRODUCT,),
    "busy_thread": (PRODUCT, PRODUCT_OF_FILE, IMAGES_OF_FILE),
    "peers": (PRODUCT,),
    "sharing": (PRODUCT_OF_FILE,),
    "sharing_web": (PRODUCT_OF_FILE,),
    "serving": (PRODUCT, IMAGES),
    "serving_fronts": (PRODUCT_OF_FILE,),
    "fronts": (PRODUCT, IMAGES),
    "fleet": (*_SHARED, TEXTS, TINY),
    "gpu": (*_COPIED, TEXTS, TINY),
    "gpu_headlines": (*_COPIED, TEXTS),
    "gpu_arrivals": (UINT8,),
    "gpu_bert": (TEXTS,),
    "gpu_lead": (UINT8,),
    "gpu_busy": (TINY, _SHARED[0]),
    "gpu_shared": _SHARED,
    "gpu_two_gpus": (UINT8, TINY),
    "gpu_zero_copy": _resnet("gpu_zero_copy", *_FUSED, streams="/3"),
}
"""By table. The others simulate models, say what these take, measure nothing else, or no time."""


def own_times(table: str, results: Mapping[str, Result]) -> str:
    """The line, with a line break before; "" if none of the table's models was measured.

    Args:
        table: its name.
        results: by the names of their files.
    """
    models = [model for model in MODELS.get(table, ()) if model.result in results]
    said = "; ".join(
        f"{_those(result, [model for model in models if model.result == name])} "
        f"(`{name}.json`, {when(result)}; {_hardware(result)})"
        for name in dict.fromkeys(model.result for model in models)
        for result in [results[name]]
    )
    where = ", on a GPU with its copies" if any(_is_of_gpu(model) for model in models) else ""
    return f"\n\n<sub>Models alone, per row{where}: {said}.</sub>" if said else ""


def _those(result: Result, models: Iterable[Model]) -> str:
    return ", ".join(f"{model.words} {_microseconds(result, model)}" for model in models)


def _is_of_gpu(model: Model) -> bool:
    return model.result != "models"


def _microseconds(result: Result, model: Model) -> str:
    summary = result["summary"]
    if _is_of_gpu(model):
        rate = float(summary["cells"][model.cell]["requests_per_second"]["median"])
        return f"{number(1e6 / rate)} µs"
    many, one = (
        number(float(summary[f"{model.cell} at {rows}"]["us_per_row"]["median"]))
        for rows in (BATCH, 1)
    )
    return f"{many} µs in batches of {BATCH}, {one} µs by itself"


def _hardware(result: Result) -> str:
    hardware = result["hardware"]
    return str(hardware.get("gpu") or hardware["cpu"])
