"""Other people's models through `build_plan` on NVIDIA's own builder, for GPUs that nobody has.

What is asked: a plan comes out, or one clear sentence does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import numpy as np
import onnx

from tests.genuine.library import VERSION, installed
from tests.judging.judgements import Judgement, Outcome
from tests.judging.oracles import Feed
from tests.onnx_backend.cases import Case
from tests.real_models.packages import Model
from tests.real_models.suite import Way, file_of, requests
from trtasync import BuilderConfig, Profile, Shapes, TrtasyncError, build_plan
from trtasync.runtimes.flavours import RTX

CONFIG = BuilderConfig(compute_capabilities=["8.9"])

LONGEST = 700
"""Letters of a sentence; what the parser itself says of a model can be thousands."""

SOURCE_CODE = re.compile(r"Assertion failed|&& \"|creator|gave no reason")
"""What is no sentence for a user."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be built.

    Attributes:
        name: of the model.
        path: its file.
        shapes: what is known of its inputs' shapes.
    """

    name: str
    path: Path
    shapes: Mapping[str, Shapes] = field(default_factory=dict)


def sweep(subjects: Iterable[Subject]) -> Iterator[Judgement]:
    """Build each. RIGHT is a plan, REFUSED a sentence, UNCLEAR what is no such thing."""
    with installed(), TemporaryDirectory() as folder:
        output = Path(folder) / "model.plan"
        for subject in subjects:
            text = anyio.run(_refusal, subject, output)
            clear = text.isprintable() and len(text) < LONGEST and not SOURCE_CODE.search(text)
            refused = Outcome.REFUSED if clear else Outcome.UNCLEAR
            outcome = refused if text else Outcome.RIGHT
            yield Judgement(subject.name, outcome, "build", _without_place(text, subject.path))


def _without_place(text: str, path: Path) -> str:
    """A refusal without where the file lies, which is elsewhere for everybody."""
    about = f"{RTX.title} {VERSION} cannot parse {path}: "
    return text.replace(about, "").replace(str(path), path.name)


async def _refusal(subject: Subject, output: Path) -> str:
    try:
        await build_plan(
            subject.path,
            builder_config=CONFIG,
            output=output,
            cache=False,
            profiles=[Profile(subject.shapes)] if subject.shapes else (),
        )
    except TrtasyncError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def of_the_onnx_package() -> list[Subject]:
    """The model files in it, named as their tests."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    files = sorted(data.rglob("*.onnx"))
    return [Subject(f.parent.name if f.stem == "model" else f.stem, f) for f in files]


def of_cases(cases: Iterable[Case]) -> Iterator[Subject]:
    """Models that the package makes when asked; each is written when it is taken."""
    with TemporaryDirectory() as folder:
        for case in cases:
            path = Path(folder) / "model.onnx"
            path.write_bytes(case.model.SerializeToString())
            yield Subject(case.name, path)


def of_real_life(models: Iterable[Model]) -> Iterator[Subject]:
    """Models that were fetched, with the shapes of what they are asked."""
    for model in models:
        way = Way.LENGTHS if len(model.lengths) > 1 else Way.SHAPE
        path = file_of(model)
        yield Subject(model.name, path, _ranges(path, requests(model, way)))


def _ranges(path: Path, feeds: Sequence[Feed]) -> dict[str, Shapes]:
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
