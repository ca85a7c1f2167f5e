"""The table of states, and that nothing happens which is not in it."""

import math

import pytest

from tests.scheduler.harness import MS, Desk, slot_of
from trtasync.scheduler import Queue
from trtasync.scheduler import states as table
from trtasync.scheduler.states import TRANSITIONS, Event, ImpossibleTransition, State

EVENTS: tuple[Event, ...] = ("COMMIT", "EXPIRE", "REVIVE", "LEAVE", "LAUNCH", "END")


@pytest.mark.parametrize("state", TRANSITIONS)
@pytest.mark.parametrize("event", EVENTS)
def test_what_is_not_in_the_table_raises(state: State, event: Event) -> None:
    known = dict(TRANSITIONS[state])
    if event in known:
        assert TRANSITIONS[state][event] in TRANSITIONS
        return
    with pytest.raises(ImpossibleTransition, match=event):
        TRANSITIONS[state][event]
    assert known == TRANSITIONS[state]  # a look-up adds nothing


def test_the_documentation_lists_the_table() -> None:
    assert table.__doc__ is not None
    lines = [line.split()[:3] for line in table.__doc__.splitlines()]
    listed = {tuple(words) for words in lines if words and words[0] in TRANSITIONS}
    assert listed == {
        (state, event, after)
        for state, events in TRANSITIONS.items()
        for event, after in events.items()
    }


def test_every_ending_is_final() -> None:
    assert TRANSITIONS["OVER"] == {}
    assert all(dict(events) for state, events in TRANSITIONS.items() if state != "OVER")


def test_a_batch_cannot_end_twice() -> None:
    desk, queue = Desk(), Queue()
    desk.submit(queue)
    (batch,) = desk.launch()
    desk.finish(batch)
    batch.entries = []
    desk.lanes[0].running.append(batch)
    desk.running.append(batch)
    with pytest.raises(ImpossibleTransition, match="END"):
        desk.finish(batch)


def test_a_request_goes_through_the_table() -> None:
    desk, queue = Desk(), Queue()
    desk.teach(queue, 1)
    request = desk.submit(queue, deadline=0.1 * MS)
    seen = [request.state]
    desk.launch()
    seen.append(request.state)  # it cannot be done in time
    (batch,) = desk.launch(at=1.0)
    seen.append(request.state)  # its caller is still there
    assert (batch.state, request.deadline) == ("RUNNING", math.inf)
    desk.finish(batch)
    desk.withdraw(request)
    seen.append(request.state)
    assert seen == ["QUEUED", "EXPIRED", "QUEUED", "OVER"]
    assert batch.state == "OVER"
    assert slot_of(batch) in desk.policy.slots
