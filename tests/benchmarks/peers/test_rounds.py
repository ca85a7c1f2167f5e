"""Rounds: who fails is left out with a reason, ratios are formed within a round."""

import pytest

from benchmarks.load import Sample
from benchmarks.peers.__main__ import PEERS
from benchmarks.peers.catalogue import SYSTEMS
from benchmarks.peers.comparing import chosen, parse
from benchmarks.peers.described import described, wanted_ratios
from benchmarks.peers.reasons import LONGEST, plain, told
from benchmarks.rounds import NotRun, tabled, take

OURS, BATCHED, RAY = "trtasync/in process", "batched/in process", "ray/HTTP"


def sample(cpu_us: float) -> Sample:
    return {
        "requests": 10.0,
        "seconds": 1.0,
        "requests_per_second": 1e6 / cpu_us,
        "cpu_us": cpu_us,
        "p50_us": 2 * cpu_us,
        "p99_us": 3 * cpu_us,
        "foreign_cores": 0.0,
    }


def test_ratios_are_formed_within_a_round() -> None:
    cost = {OURS: [2.0, 4.0, 8.0], BATCHED: [4.0, 12.0, 16.0]}

    def measure(cell: str) -> dict[str, Sample]:
        return {"64": sample(cost[cell].pop(0)), "1": sample(1.0)}

    taken, failed = take([OURS, BATCHED], 3, measure, patience=0)
    assert not failed
    table = tabled(taken)
    cells = table.by_callers()
    assert cells[BATCHED]["64"]["cpu_us"] == {"median": 12.0, "min": 4.0, "max": 16.0}
    assert cells[BATCHED]["1"]["cpu_us"]["median"] == 1.0
    found = table.ratios(wanted_ratios(taken[0]))
    key = f"{BATCHED} : {OURS}, cpu_us at 64"
    assert found[key] == {"median": 2.0, "min": 2.0, "max": 3.0}
    assert table.samples()[0] == {"cell": OURS, "callers": 64, "round": 1, **sample(2.0)}
    assert table.foreign_cores() == {"median": 0.0, "min": 0.0, "max": 0.0}


def test_one_failure_is_forgiven_and_two_leave_a_cell_out_of_all_rounds() -> None:
    calls: list[str] = []

    def measure(cell: str) -> dict[str, Sample]:
        calls.append(cell)
        count = calls.count(cell)
        if (cell == BATCHED and count == 1) or (cell == RAY and count > 1):
            raise NotRun("the server ended")
        return {"64": sample(1.0)}

    taken, failed = take([OURS, BATCHED, RAY], 3, measure, patience=0)
    assert failed == {RAY: "the server ended"}
    assert [list(found) for found in taken] == [[OURS, BATCHED]] * 3
    assert calls.count(RAY) == 3  # one sample, one failure, once more; none in the third round


def test_nobody_left_is_no_error() -> None:
    def measure(cell: str) -> dict[str, Sample]:
        raise NotRun("nothing works here")

    taken, failed = take([RAY], 2, measure, patience=0)
    assert (taken, list(failed)) == ([{}, {}], [RAY])
    assert tabled(taken).summary() == {}
    assert wanted_ratios(taken[0]) == []


def test_a_system_without_its_environment_is_told_with_the_reason() -> None:
    about = described(
        {cell: SYSTEMS[cell] for cell in (BATCHED, RAY)},
        {"batched": {"batched": "0.1.5"}},
        {"ray": "no wheel"},
    )
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
    assert chosen(SYSTEMS, []) == list(SYSTEMS)
    assert chosen(SYSTEMS, ["mosec"]) == ["mosec/HTTP", "mosec-best/HTTP"]
    assert chosen(SYSTEMS, ["bentoml/HTTP"]) == ["bentoml/HTTP"]
    assert not parse(PEERS, []).no_write
    assert parse(PEERS, ["--only", "mosec"]).no_write
    assert parse(PEERS, ["--quick"]).no_write
    assert not parse(PEERS, ["--quick", "--out", "x.json"]).no_write
    with pytest.raises(SystemExit):
        parse(PEERS, ["--only", "nobody"])
