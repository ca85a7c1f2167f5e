"""The states of requests and batches, and the only transitions between them.

A request (and each chunk of a split one):

    state      event      then
    RESERVED   COMMIT     QUEUED    its content is complete: from now on it counts
    RESERVED   LEAVE      OVER      dropped or displaced, or the engine was closed
    QUEUED     EXPIRE     EXPIRED   it cannot make its deadline, and is not computed for now
    QUEUED     LEAVE      OVER      failed, withdrawn or displaced
    EXPIRED    REVIVE     QUEUED    its caller is still there: the deadline was moved
    EXPIRED    LEAVE      OVER      its caller gave up, as expected

A batch:

    FORMING    LAUNCH     RUNNING   it goes to a lane; no row comes or goes any more
    FORMING    END        OVER      every request left it, or its slot is needed elsewhere
    RUNNING    END        OVER      it is done, or its lane is lost

A request's `batch` tells where it is queued (in line for a slot, in a forming batch, in a running
one). An answered request stays QUEUED: its batch is OVER, and nothing looks at it again. Strings,
not an Enum, whose members hash and compare in Python, a cost for every batch.
"""

from typing import Final, Literal

State = Literal["RESERVED", "QUEUED", "EXPIRED", "FORMING", "RUNNING", "OVER"]
Event = Literal["COMMIT", "EXPIRE", "REVIVE", "LEAVE", "LAUNCH", "END"]

RESERVED: Final = "RESERVED"
QUEUED: Final = "QUEUED"
EXPIRED: Final = "EXPIRED"
FORMING: Final = "FORMING"
RUNNING: Final = "RUNNING"
OVER: Final = "OVER"

COMMIT: Final = "COMMIT"
EXPIRE: Final = "EXPIRE"
REVIVE: Final = "REVIVE"
LEAVE: Final = "LEAVE"
LAUNCH: Final = "LAUNCH"
END: Final = "END"


class ImpossibleTransition(Exception):
    """A bug in the engine: an event happened to a request or batch in a state that excludes it."""


class _Ways(dict[Event, State]):
    """The transitions from one state, by event."""

    def __missing__(self, event: Event) -> State:
        raise ImpossibleTransition(
            f"{event} happened where only {', '.join(self) or 'nothing'} can"
        )


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    RESERVED: _Ways({COMMIT: QUEUED, LEAVE: OVER}),
    QUEUED: _Ways({EXPIRE: EXPIRED, LEAVE: OVER}),
    EXPIRED: _Ways({REVIVE: QUEUED, LEAVE: OVER}),
    FORMING: _Ways({LAUNCH: RUNNING, END: OVER}),
    RUNNING: _Ways({END: OVER}),
    OVER: _Ways(),
}
"""TRANSITIONS[state][event] is the next state; ImpossibleTransition where there is none."""
