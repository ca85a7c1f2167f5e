"""Other people's models through `build_plan` on the genuine builder, for GPUs that nobody has.

What is asked: a plan comes out, or one clear sentence does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import numpy as np
import onnx

from tests.genuine.library import installed
from tests.real_models.packages import Model
from tests.real_models.suite import Way, file_of, requests
from trtasync import BuilderConfig, Profile, Shapes, TrtasyncError, build_plan

CONFIG = BuilderConfig(compute_capabilities=["8.9"])

LONGEST = 700
"""Letters of a sentence; what TensorRT itself says of a model can be thousands."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of one model.

    Attributes:
        name: of the model.
        refusal: the sentence, with the error's class before it; "" where a plan was built.
    """

    name: str
    refusal: str

    @property
    def faults(self) -> list[str]:
        """What is wrong with the sentence."""
        told = {
            "more than one line": not self.refusal.isprintable(),
            f"more than {LONGEST} letters": len(self.refusal) > LONGEST,
            "no reason": "gave no reason" in self.refusal,
            "an expression of TensorRT's source": bool(
                re.search(r"Assertion failed|&& \"|creator", self.refusal)
            ),
        }
        return [f"{self.name}: {fault}: {self.refusal}" for fault, is_so in told.items() if is_so]


def sweep(models: Iterable[tuple[str, Path, Mapping[str, Shapes]]]) -> Iterator[Swept]:
    """Build each: (name, file, what is known of its shapes)."""
    with installed(), TemporaryDirectory() as folder:
        for name, path, shapes in models:
            yield Swept(name, anyio.run(_refusal, path, shapes, Path(folder) / "m.plan"))


async def _refusal(path: Path, shapes: Mapping[str, Shapes], output: Path) -> str:
    try:
        profiles = [Profile(shapes)] if shapes else ()
        await build_plan(path, config=CONFIG, output=output, cache=False, profiles=profiles)
    except TrtasyncError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def of_the_onnx_package() -> list[tuple[str, Path, Mapping[str, Shapes]]]:
    """The model files in it, named as their tests."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    files = sorted(data.rglob("*.onnx"))
    names = (path.parent.name if path.stem == "model" else path.stem for path in files)
    return [(name, path, {}) for name, path in zip(names, files, strict=True)]


def of_real_life(models: Iterable[Model]) -> Iterator[tuple[str, Path, Mapping[str, Shapes]]]:
    """Models that were fetched, with the shapes of what they are asked."""
    for model in models:
        way = Way.LENGTHS if len(model.lengths) > 1 else Way.SHAPE
        yield model.name, file_of(model), _ranges(file_of(model), requests(model, way))


def _ranges(path: Path, feeds: list[dict[str, np.ndarray]]) -> dict[str, Shapes]:
    """Of inputs with free axes, from the smallest request to the largest."""
    graph = onnx.load(str(path), load_external_data=False).graph
    free = {
        value.name
        for value in graph.input
        if any(not dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    }
    ranges = {}
    for name in free.intersection(feeds[0]):
        shapes = np.array([feed[name].shape for feed in feeds])
        least, most = (tuple(map(int, pick(shapes, axis=0))) for pick in (np.min, np.max))
        ranges[name] = Shapes(least, most, most)
    return ranges
