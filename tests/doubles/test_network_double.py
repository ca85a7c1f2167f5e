"""Every rule of the network's double bites; what it describes is computed."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from support import doubles
from tests.doubles.building import F32, VERSIONS, Kit, X


@pytest.fixture(params=VERSIONS)
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """Of each version."""
    with doubles.install(version=request.param, clean=False) as gpu:
        yield Kit(gpu)


def test_a_built_plan_computes_what_was_defined(kit: Kit) -> None:
    plan = kit.define().profile().build()
    assert plan.nbytes == len(bytes(plan))
    assert np.array_equal(kit.run(plan, x=X)["y"], X + 1)
    assert kit.gpu.builds.finished == kit.gpu.builds.started == 1
    assert kit.gpu.violations == []


def test_every_layer_computes(kit: Kit) -> None:
    n, trt = kit.network, kit.trt
    x = n.add_input("x", trt.DataType.FLOAT, (-1, 4))
    weights = trt.Weights(np.arange(8, dtype=F32).reshape(2, 4))
    constant = n.add_constant((2, 4), weights).get_output(0)
    none, transpose = trt.MatrixOperation.NONE, trt.MatrixOperation.TRANSPOSE
    product = n.add_matrix_multiply(x, none, constant, transpose).get_output(0)
    assert tuple(product.shape) == (-1, 2)
    kit.output(n.add_activation(product, trt.ActivationType.RELU), "relu")
    kit.output(n.add_cast(n.add_identity(x).get_output(0), trt.DataType.HALF), "half")
    kit.output(n.add_shape(x), "shape")
    shuffle = n.add_shuffle(x)
    shuffle.first_transpose, shuffle.reshape_dims = (1, 0), (2, -1)
    kit.output(shuffle, "shuffled")
    found = kit.run(kit.profile((1, 4), (2, 4), (8, 4)).build(), x=X)
    factor = np.arange(8, dtype=F32).reshape(2, 4)
    assert np.array_equal(found["relu"], np.maximum(X @ factor.T, 0))
    assert np.array_equal(found["half"], X.astype(np.float16))
    assert found["half"].dtype == np.float16
    assert list(found["shape"]) == [3, 4]
    assert np.array_equal(found["shuffled"], X.T.reshape(2, -1))


def test_an_input_that_gives_a_shape_is_a_shape_tensor(kit: Kit) -> None:
    n, trt = kit.network, kit.trt
    x = n.add_input("x", trt.DataType.FLOAT, (-1,))
    shape = n.add_input("shape", trt.DataType.INT64, (2,))
    shuffle = n.add_shuffle(x)
    shuffle.set_input(1, shape)
    assert shape.is_shape_tensor
    assert not x.is_shape_tensor
    kit.output(shuffle)
    assert tuple(shuffle.get_output(0).shape) == (-1, -1)
    profile = kit.builder.create_optimization_profile()
    profile.set_shape("x", (1,), (4,), (8,))
    kit.config.add_optimization_profile(profile)
    kit.refused("shape: dynamic input is missing dimensions in profile 0")
    profile.set_shape_input("shape", (1, 1), (2, 2), (8, 8))
    assert profile.get_shape_input("shape") == [[1, 1], [2, 2], [8, 8]]
    found = kit.run(kit.build(), x=X[:2].ravel(), shape=np.array([4, 2]))
    assert np.array_equal(found["y"], X[:2].reshape(4, 2))


def test_weights_are_read_when_they_are_built(kit: Kit) -> None:
    kit.define().profile()
    kit.network._operations[0].options["array"][...] = 5
    assert np.array_equal(kit.run(kit.build(), x=X)["y"], X + 5)


def test_types_that_do_not_fit_are_an_error_where_types_are_strong(kit: Kit) -> None:
    n, trt = kit.network, kit.trt
    x = n.add_input("x", trt.DataType.FLOAT, (2, 4))
    half = n.add_cast(x, trt.DataType.HALF).get_output(0)
    kit.output(n.add_elementwise(x, half, trt.ElementWiseOperation.SUM))
    kit.refused("equal types")


def test_what_pybind11_would_raise(kit: Kit) -> None:
    n, trt = kit.network, kit.trt
    wrong: list[Callable[[], Any]] = [
        lambda: n.add_input("x", "float32", (1,)),
        lambda: n.mark_output(None),
        lambda: n.add_identity(None),
        lambda: kit.config.set_flag(4),
        lambda: setattr(kit.config, "builder_optimization_level", "high"),
        lambda: setattr(kit.config, "profiling_verbosity", 2),
        lambda: setattr(kit.config, "progress_monitor", object()),
        lambda: kit.builder.build_serialized_network(n, None),
        lambda: trt.OnnxParser(None, kit.logger),
        lambda: trt.Builder(None),
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()
    with pytest.raises(AttributeError):
        kit.config.max_workspace_size = 1
    kit.gpu.builds.no_builder = True
    with pytest.raises(TypeError, match="factory function returned nullptr"):
        trt.Builder(kit.logger)


def test_a_builder_before_cuda_has_answered_ends_the_process() -> None:
    with doubles.install(clean=False) as gpu:
        kit = Kit(gpu)
        gpu.world.answered = False
        gpu.trt.Builder(kit.logger)
        assert gpu.violations == ["segfault: Builder was made before CUDA answered any call"]
