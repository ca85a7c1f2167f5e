"""A numpy function as the model. `python -m examples.own_model`.

For something that is no function (another runtime, a device), write an object that implements
`trtasync.runtimes.Backend`: a spec, lanes, slots.
"""

import anyio
import numpy as np
import numpy.typing as npt

import trtasync

Array = npt.NDArray[np.float32]

CENTRES = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
INPUTS = [trtasync.TensorSpec("point", np.dtype("float32"), ("N", 16))]
OUTPUTS = [
    trtasync.TensorSpec("nearest", np.dtype("int64"), ("N",)),
    trtasync.TensorSpec("distance", np.dtype("float32"), ("N",)),
]


def nearest(points: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """The nearest centre to each point (float32 [N, 16]), and how far it is."""
    distances = np.linalg.norm(points[:, None] - CENTRES, axis=2)
    return distances.argmin(axis=1), distances.min(axis=1)


async def main() -> None:
    """Ask for all five centres at once: each is nearest to itself."""
    backend = trtasync.FunctionBackend(nearest, inputs=INPUTS, outputs=OUTPUTS)
    async with trtasync.open_engine(backend) as engine:
        answer = await engine.infer(CENTRES)
        print("five rows:", answer["nearest"], answer["distance"])
        one = await engine.infer(CENTRES[3])
        print("one row:", one["nearest"], one["distance"])


if __name__ == "__main__":
    anyio.run(main)
