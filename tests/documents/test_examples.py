"""Every example runs and prints what it promises."""

import re
from pathlib import Path

import anyio
import numpy as np
import pytest

from examples import identity_network, resnet50
from support import doubles
from tests.documents.running import ROOT, run, start

PROMISED = {
    "hello": r"2 and 2: the same with probability 1\.00\n2 and \d: the same with probability 0\.",
    "padding": r"the answers are equal, bit for bit: True",
    "embeddings": r"(\w+ +is most like \w+ +\(0\.\d\d\)\n){8}",
    "pipeline": r"16 pages in \d+ batches\n148 crops in \d+ batches\n14\d of 148 digits are right",
    "voice": r"(voice from and to, in s: \[1\.[45]\d* +3\.4\d*\]\n){2}",
    "deadlines": (
        r"in time: \[2\.\]\ntoo late: True - .*: True\n"
        r".*the others got \[6\.0, 8\.0\]\n.*as number [1-6]\n"
        r"full for now: \d\d rows are waiting and 40 more.*\nnever: a request of 65 rows"
    ),
    **dict.fromkeys(
        ("aiohttp_app", "fastapi_app", "litestar_app", "trio_app"),
        r"64 clients, 5\d lines read.*\n"
        r"a bad body: 400 \{\"error\": ?\"the body must be float32 .*\n"
        r"health: \{\"engines\": ?\{\"lines\": ?true\}\}",
    ),
    "open_inference": (
        r"left FP32 \[-1, 64\]\n(.*\n){2}"
        r"\{\"id\":\"first\",.*\"same_probability\",.*\[1\],\"data\":\[0\."
    ),
    "open_inference_grpc": r"left FP32 \[-1, 64\]\n(.*\n)+same_probability \[0\.\d+\]",
    "live_statistics": r"rows per batch +│ [1-9]",
    "blocking": r"8\d of 100 lines read",
    "own_model": r"five rows: \[0 1 2 3 4\] \[0\. 0\. 0\. 0\. 0\.\]\none row: 3 0\.0",
    "resnet50": r"on the CPU: .*\none answer: \(1000,\) float32, finite: True\n32 requests at once",
}
ARGUMENTS = {"resnet50": ["--small"]}

VERSIONS = ["11.4.0.106", "10.16.1.11"]


@pytest.mark.parametrize("name", PROMISED)
def test_example_prints_what_it_promises(name: str) -> None:
    assert re.search(PROMISED[name], run("-m", f"examples.{name}", *ARGUMENTS.get(name, [])))


def test_every_example_is_tested() -> None:
    helpers = {"__init__", "digit_lines", "digit_pages", "line_service", "ocr_service"}
    helpers |= {"demo", "pictures"}
    found = {path.stem for path in (ROOT / "examples").glob("*.py")}
    elsewhere = {"identity_network", "fastapi_workers"}
    assert found - helpers == {*PROMISED, *elsewhere}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_identity_network_is_built_once_and_loaded_then(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builds = []
    for _ in range(2):
        with doubles.install(version=version) as gpu:
            gpu.builds.static_contexts = True  # the plain half's have memory of their own
            assert identity_network.main(["--plan", str(tmp_path / "identity.plan")]) == 0
            builds.append(gpu.builds.finished)
    assert builds == [2, 0]  # one plan per half
    wanted = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    assert capsys.readouterr().out == f"{wanted}\nplain TensorRT gives the same: True\n" * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_both_halves_of_the_identity_network_give_the_right_numbers(
    version: str, tmp_path: Path
) -> None:
    wanted = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    with doubles.install(version=version) as gpu:
        gpu.builds.static_contexts = True
        by_hand = identity_network.plain(tmp_path / "plain.plan")
        answer = anyio.run(identity_network.ours, tmp_path / "ours.plan")
    for each in (by_hand, answer):
        assert each.dtype == wanted.dtype
        np.testing.assert_array_equal(each, wanted)


def test_the_plain_half_says_what_tensorrt_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.plan"
    path.write_bytes(b"no plan")
    with (
        doubles.install(),
        pytest.raises(RuntimeError, match=r"^TensorRT refused: .*[a-z]"),
    ):
        identity_network.plain(path)


def test_the_identity_network_without_a_gpu_is_one_line_and_status_3(tmp_path: Path) -> None:
    done = start("-m", "examples.identity_network", "--plan", str(tmp_path / "identity.plan"))
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"the TensorRT backend needs .*\n", done.stderr), done.stderr
    assert not list(tmp_path.iterdir())


def test_resnet_on_the_doubles_builds_a_plan_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resnet50, "CACHE", tmp_path)
    for how in (r"built in \d+ s", "from the cache"):
        with doubles.install():
            resnet50.command_line(["--small"])
        printed = capsys.readouterr().out
        assert ("build: Building an engine" in printed) is (how != "from the cache")
        assert re.search(
            rf"the plan: {how}\none answer: \(1000,\) float32, finite: True\n", printed
        )
        assert re.search(r"rows in a batch: .*32 \(", printed)


def test_the_demo_checks_every_answer() -> None:
    output = run("-m", "examples.demo", "--quick")
    assert re.search(r"All [\d,]+ answers have the bits of the model run alone", output)
