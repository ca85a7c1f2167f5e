"""What the requests hold."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.helpers import tensor
from trtasync import InvalidInput, TensorSpec
from trtasync.measure import Inputs
from trtasync.measure.inputs import MOST_INPUTS, random_array, read_shapes


def rowed(name: str, *shape: Any, axis: int | None = 0) -> TensorSpec:
    return replace(tensor(name, *shape), batch_axis=axis)


IMAGE = rowed("x", "N", 3, None, None)


def test_one_row_comes_without_a_batch_axis_and_several_with_one() -> None:
    for rows, shape in ((1, (4,)), (3, (3, 4))):
        requests = Inputs(rows).make([rowed("x", "N", 4)])
        assert {request.shape for request in requests} == {shape}


def test_several_inputs_come_by_name_and_the_seed_decides() -> None:
    specs = [rowed("a", "N", 4), rowed("b", "N", 2)]
    first, again, other = (Inputs(seed=seed).make(specs)[0] for seed in (1, 1, 2))
    assert {name: array.shape for name, array in first.items()} == {"a": (4,), "b": (2,)}
    assert np.array_equal(first["a"], again["a"])
    assert not np.array_equal(first["a"], other["a"])


def test_rows_lie_where_the_model_has_them_and_what_is_shared_is_the_same_in_all(
    tmp_path: Path,
) -> None:
    specs = [rowed("x", "N", 3), rowed("h", 2, "N", 5, axis=1), rowed("rate", axis=None)]
    requests = Inputs(4).make(specs)
    assert [array.shape for array in requests[0].values()] == [(4, 3), (2, 4, 5), ()]
    assert len({float(request["rate"]) for request in requests}) == 1
    file = tmp_path / "rows.npz"
    h = np.arange(40, dtype=np.float32).reshape(2, 4, 5)
    np.savez(file, x=np.zeros((4, 3), np.float32), h=h, rate=np.float32(3))
    first, second, *none = Inputs(2, file=file).make(specs)
    assert none == []
    assert np.array_equal(second["h"], h[:, 2:])
    assert float(first["rate"]) == 3.0


@pytest.mark.parametrize("given", [(1, 3, 8, 6), (3, 8, 6)])
def test_dynamic_axes_are_given(given: tuple[int, ...]) -> None:
    assert Inputs(shapes={"x": given}).make([IMAGE])[0].shape == (3, 8, 6)


@pytest.mark.parametrize("given", [{}, {"x": (3, 8)}, {"x": (1, 4, 8, 6)}, {"y": (1, 3, 8, 6)}])
def test_a_shape_that_is_missing_or_does_not_fit_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="--shape"):
        Inputs(shapes=given).make([IMAGE])


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8", "int64", "bool"])
def test_random_numbers_suit_the_dtype(dtype: str) -> None:
    array = random_array(np.random.default_rng(0), np.dtype(dtype), (1000,))
    assert array.dtype == dtype
    if dtype == "int64":
        assert set(array.tolist()) == {0, 1}  # an index into a table of unknown size
    if dtype == "uint8":
        assert (array.min(), array.max()) == (0, 255)


def test_a_file_gives_its_rows_in_turn(tmp_path: Path) -> None:
    file = tmp_path / "rows.npz"
    np.savez(file, x=np.arange(20, dtype=np.float32).reshape(5, 4))
    requests = Inputs(2, file=file).make([rowed("x", "N", 4)])
    assert [request[0, 0] for request in requests] == [0, 8]
    assert len(Inputs(file=file).make([rowed("x", "N", 4)])) == 5
    assert MOST_INPUTS >= 5


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.npz"
    np.savez(file, y=np.zeros((1, 4), np.float32), x=np.zeros((1, 4), np.float32))
    for wanted, rows in (("z", 1), ("x", 2)):
        with pytest.raises(InvalidInput, match=r"rows\.npz"):
            Inputs(rows, file=file).make([rowed(wanted, "N", 4)])
    with pytest.raises(InvalidInput, match=r"cannot be read"):
        Inputs(file=tmp_path / "none.npz").make([rowed("x", "N", 4)])


def test_shapes_are_read() -> None:
    assert read_shapes(["x:1x3x8x6,y:2", "z:4"]) == {"x": (1, 3, 8, 6), "y": (2,), "z": (4,)}
    for text in ("x", "x:", "x:3xn"):
        with pytest.raises(InvalidInput, match="--shape"):
            read_shapes([text])


def test_a_file_whose_array_has_another_rank_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.npz"
    np.savez(file, x=np.zeros((1, 1, 4), np.float32))
    with pytest.raises(InvalidInput, match=r"has shape \(1, 1, 4\) for x"):
        Inputs(file=file).make([rowed("x", "N", 4)])


@pytest.mark.parametrize("content", [b"", b"text", b"PK broken zip"])
def test_what_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "rows.npz"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"cannot be read as an \.npz file"):
        Inputs(file=file).make([rowed("x", "N", 4)])


def test_an_array_alone_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(InvalidInput, match=r"one array without a name"):
        Inputs(file=tmp_path / "x.npy").make([rowed("x", "N", 4)])


def _archive(file: Path, data: bytes) -> Path:
    """An .npz with these bytes for its array x."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", data)
    return file


def _array(array: Any, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def _header(text: str) -> bytes:
    """Of an array, without its elements."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


DAMAGED = {
    "pickled": _array(np.array([print], object), allow_pickle=True),
    "no array": b"text",
    "half a header": _header("{'descr': '<f4'\n"),
    "no sizes": _header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n"),
    "too large": _header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**60},)}}\n"),
    "too many axes": _header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(1,) * 99}}}\n"),
    "cut": _array(np.zeros((3, 4), np.float32))[:-1],
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_array_in_a_file_is_refused(tmp_path: Path, data: bytes) -> None:
    file = _archive(tmp_path / "rows.npz", data)
    with pytest.raises(InvalidInput, match=r"rows\.npz cannot be read as an \.npz file: \S"):
        Inputs(file=file).make([rowed("x", "N", 4)])


def test_nothing_that_is_pickled_runs(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    file = _archive(tmp_path / "rows.npz", _array(np.array([Attack()], object), allow_pickle=True))
    with pytest.raises(InvalidInput):
        Inputs(file=file).make([rowed("x", "N", 4)])
    assert not (tmp_path / "ran").exists()


def test_a_damaged_compression_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.npz"
    np.savez_compressed(file, x=np.arange(4000, dtype=np.float32).reshape(-1, 4))
    data = bytearray(file.read_bytes())
    data[60:80] = bytes(20)
    file.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"cannot be read as an \.npz file"):
        Inputs(file=file).make([rowed("x", "N", 4)])


@pytest.mark.parametrize("length", [2**44, 2**62])
def test_requests_of_more_bytes_than_there_are_are_refused(length: int) -> None:
    with pytest.raises(InvalidInput, match="bytes cannot be made"):
        Inputs(shapes={"x": (length,)}).make([rowed("x", "N", None)])
