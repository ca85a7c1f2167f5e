"""Rounds: who fails is left out with a reason, ratios are formed within a round."""

import pytest

from benchmarks.load import Sample
from benchmarks.peers.__main__ import chosen, parse
from benchmarks.peers.catalogue import SYSTEMS, System
from benchmarks.peers.reasons import LONGEST, NotRun, plain, told
from benchmarks.peers.taking import described, take, wanted_ratios
from benchmarks.rounds import ratios, summarize

OURS, BATCHED, RAY = "trtasync/in process", "batched/in process", "ray/HTTP"


def sample(cpu_us: float) -> Sample:
    return Sample(
        requests=10,
        seconds=1.0,
        requests_per_second=1e6 / cpu_us,
        cpu_us=cpu_us,
        p50_us=2 * cpu_us,
        p99_us=3 * cpu_us,
        foreign_cores=0.0,
    )


def test_ratios_are_formed_within_a_round() -> None:
    cost = {OURS: [2.0, 4.0, 8.0], BATCHED: [4.0, 12.0, 16.0]}

    def measure(system: System) -> dict[str, Sample]:
        return {"64": sample(cost[system.cell].pop(0)), "1": sample(1.0)}

    taken, failed = take([OURS, BATCHED], 3, measure, patience=0)
    assert not failed
    assert summarize(taken)[BATCHED]["64"]["cpu_us"] == {"median": 12.0, "min": 4.0, "max": 16.0}
    found = ratios(taken, wanted_ratios(taken[0]))
    key = f"{BATCHED} : {OURS}, cpu_us at 64"
    assert found[key] == {"median": 2.0, "min": 2.0, "max": 3.0}


def test_one_failure_is_forgiven_and_two_leave_a_cell_out_of_all_rounds() -> None:
    calls: list[str] = []

    def measure(system: System) -> dict[str, Sample]:
        calls.append(system.cell)
        count = calls.count(system.cell)
        if (system.cell == BATCHED and count == 1) or (system.cell == RAY and count > 1):
            raise NotRun("the server ended")
        return {"64": sample(1.0)}

    taken, failed = take([OURS, BATCHED, RAY], 3, measure, patience=0)
    assert failed == {RAY: "the server ended"}
    assert [list(found) for found in taken] == [[OURS, BATCHED]] * 3
    assert calls.count(RAY) == 3  # one sample, one failure, once more; none in the third round


def test_nobody_left_is_no_error() -> None:
    def measure(system: System) -> dict[str, Sample]:
        raise NotRun("nothing works here")

    taken, failed = take([RAY], 2, measure, patience=0)
    assert (taken, list(failed)) == ([{}, {}], [RAY])
    assert summarize(taken) == {}
    assert wanted_ratios(taken[0]) == []


def test_a_system_without_its_environment_is_told_with_the_reason() -> None:
    about = described([BATCHED, RAY], {"batched": {"batched": "0.1.5"}}, {"ray": "no wheel"})
    assert about[BATCHED]["title"] == "batched 0.1.5"
    assert "not_run" not in about[BATCHED]
    assert about[RAY]["not_run"] == "no wheel"
    assert about[RAY]["title"] == "Ray Serve 2.60.0"
    assert list(about) == [BATCHED, RAY]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", "it said nothing"),
        ("one\ntwo\n", "two"),
        ("ERROR: No matching distribution for x==1\nhint: upgrade", "ERROR: No matching"),
        ("OSError: https://example.org/simple/x failed", "OSError: (address) failed"),
        ("ERROR: (host='example.org', port=443): timed out", "ERROR: (host, port=443): timed"),
        ("ImportError: /a/b-c/libx.so: cannot open", "ImportError: libx.so: cannot open"),
        ("\x1b[31mKeyError: 'a|b'\x1b[0m", "KeyError: 'a/b'"),
    ],
)
def test_reasons_name_no_address_and_no_folder(said: str, line: str) -> None:
    assert plain(said).startswith(line)
    assert "example.org" not in plain(said)


def test_an_exception_is_told_in_one_line() -> None:
    group = ExceptionGroup("several", [ExceptionGroup("more", [ValueError("no\n  way")])])
    assert told(group) == "ValueError: no way"


def test_reasons_are_short() -> None:
    assert len(plain("x" * 1000)) == LONGEST


def test_the_command_line_chooses_by_environment_system_or_cell() -> None:
    assert chosen([]) == list(SYSTEMS)
    assert chosen(["mosec"]) == ["mosec/HTTP", "mosec-best/HTTP"]
    assert chosen(["bentoml/HTTP"]) == ["bentoml/HTTP"]
    assert parse([]).write
    assert not parse(["--only", "mosec"]).write
    assert not parse(["--quick"]).write
    assert parse(["--quick", "--out", "x.json"]).write
    with pytest.raises(SystemExit):
        parse(["--only", "nobody"])
