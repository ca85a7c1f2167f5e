"""A report as people read it."""

from dataclasses import replace

import pytest

from trtasync.doctor.backends import BackendState
from trtasync.doctor.gpus import Gpus
from trtasync.doctor.limits import Limits
from trtasync.doctor.packages import Extra
from trtasync.doctor.report import Report
from trtasync.doctor.text import text

LIMITS = Limits(
    cores=3,
    machine_cores=64,
    quota=3.5,
    free_memory=5 << 30,
    locked_memory=8 << 20,
    open_files=1024,
    most_open_files=None,
    huge_pages=0,
    transparent_huge_pages="never",
)
REPORT = Report(
    trtasync="1.2.3",
    python="3.12.1",
    system="Linux x86_64",
    backends=[
        BackendState("tensorrt", "", ["there is no driver: install one.", "nor TensorRT."]),
        BackendState("onnxruntime", "1.24", []),
    ],
    gpus=Gpus("", [], None),
    limits=LIMITS,
    extras=[
        Extra("cpu", "models on the CPU", {"onnxruntime": "1.24"}, []),
        Extra("plot", "pictures", {}, ["matplotlib"]),
    ],
)


def test_what_is_missing_is_told_with_its_remedy() -> None:
    told = " ".join(text(REPORT, 80).split())

    assert (
        "tensorrt cannot be used: there is no driver: install one. Besides: nor TensorRT." in told
    )
    assert "onnxruntime ready, 1.24" in told
    assert "pictures: matplotlib missing; pip install 'trtasync[plot]'" in told
    assert "cores 3 of 64, by a quota of 3.5" in told
    assert "open files 1024, at most unlimited" in told


def test_memory_that_cannot_be_locked_matters_where_there_is_a_gpu() -> None:
    with_gpu = replace(REPORT, gpus=Gpus("580.1", ["NVIDIA L4"], None))
    free = replace(with_gpu, limits=replace(LIMITS, locked_memory=None))

    assert "ulimit -l" in text(with_gpu, 80)
    assert "ulimit -l" not in text(REPORT, 80) + text(free, 80)


@pytest.mark.parametrize("width", [200, 80, 40, 20])
def test_it_fits_terminals_of_any_width(width: int) -> None:
    told = text(REPORT, width)

    assert max(map(len, told.splitlines())) <= width
    assert "".join(told.split()) == "".join(text(REPORT, 80).split())


def test_words_of_others_give_a_terminal_no_orders() -> None:
    bad = replace(REPORT, gpus=Gpus("580\x1b[2J", ["a\x07b"], None))

    assert text(bad, 80).replace("\n", "").isprintable()
