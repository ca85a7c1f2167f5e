"""What client and host say to each other, over one stream socket per client.

Every record has the same 32 bytes; those that are said once (a shape, an error) are followed by a
payload of JSON. A request is one record from the client (`INFER`) and one from the host (`DONE`),
both without payload: its content lies in a slot of memory that both have mapped.

A slot is the client's until `INFER` names it and the host's from then on, until the host says
`DONE`, `FAILED` or `CANCELLED` of it. So slots are credits: the host never has more to say than the
client has slots, and needs no queue for answers. `CANCEL` takes nothing back, it only asks.

The generation tells the uses of one slot apart: a `CANCEL` that crosses the answer means nothing to
the request after it.
"""

import json
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

from trtasync.errors import TrtasyncError

PROTOCOL = 3
"""Changes with every change of what is said; client and host must agree."""

RECORD: Struct = Struct("<BBHIIIQQ")
SIZE: int = RECORD.size

MOST_PAYLOAD = 256 * 1024
"""Bytes; a shape takes a hundred, the longest error a few thousand, a model of a thousand tensors
100 000."""

NEVER: int = 2**64 - 1
"""The deadline of who has none, in nanoseconds of CLOCK_MONOTONIC."""


class Op(IntEnum):
    """What a record says. In brackets: its fields other than `slot` and `generation`."""

    # the client's
    HELLO = 1
    """The first record. Payload: `Hello`."""
    MEMORY = 2
    """A file descriptor comes along: memory of `number` slots of `other` bytes each, to be known by
    numbers from `slot` on."""
    FORM = 3
    """[form] Requests of these shapes will come. Payload: `shapes`, `single`."""
    SOURCE = 4
    """[form: index of an input, number: a slot, other: bytes into it] Where an input of the `INFER`
    that follows lies, if not in its own slot: one record per input, for all or none."""
    INFER = 5
    """[flag: priority, form, number: deadline] A request, its inputs written one after another
    (`forms.place`), its answer to come behind them; with `SOURCE`s from the slot's beginning."""
    CANCEL = 6
    """Nobody waits for the request in this slot any more."""
    TAKE = 7
    """[number: a slot] Where an answer that was `LARGE` is to be written, from its beginning."""
    ASK = 8
    """Statistics are wanted."""
    TRACE = 9
    """[flag: of the trace, slot and generation: upper and lower half of the span's number, number
    and other: of the trace's] Who asks with the `INFER` that follows, as OpenTelemetry knows it."""

    PING = 10
    """Is the host's event loop still turning?"""

    # the host's
    WELCOME = 65
    """The answer to `HELLO`. Payload: `Welcome`."""
    MAPPED = 66
    """[number] The memory of slots from `slot` on is in use; or, payload an error, it is not."""
    FORMED = 67
    """[form, number: bytes that answers probably need] Or, payload an error: no such requests."""
    ANSWERS = 68
    """[form] Answers of these shapes will come. Payload: `shapes`."""
    DONE = 69
    """[form: of `ANSWERS`] The answer is in the slot."""
    FAILED = 70
    """Payload: the error."""
    CANCELLED = 71
    """Nothing reads or writes the slot any more."""
    LARGE = 72
    """[number: bytes] The answer has more bytes than are left in the slot. The host keeps it until
    the client says `TAKE`, or `CANCEL`. Payload: `shapes`."""
    TOLD = 73
    """The answer to `ASK`. Payload: statistics."""
    LOG = 74
    """Payload: `level`, `message`: a line of the host's log."""
    GONE = 75
    """The last record: the session ends. Payload: the error that says why."""
    PONG = 76
    """The answer to `PING`."""


class Record(NamedTuple):
    """One record, unpacked; `size` is that of the payload behind it."""

    op: int
    flag: int
    form: int
    slot: int
    generation: int
    size: int
    number: int
    other: int


class Nonsense(TrtasyncError):
    """The other side said what nobody says; the connection is closed."""


def pack(
    op: Op,
    slot: int = 0,
    generation: int = 0,
    *,
    flag: int = 0,
    form: int = 0,
    number: int = 0,
    other: int = 0,
    payload: bytes = b"",
) -> bytes:
    """One record with its payload. The hot path packs `RECORD` itself."""
    return RECORD.pack(op, flag, form, slot, generation, len(payload), number, other) + payload


def dump(value: Any) -> bytes:
    """A payload."""
    return json.dumps(value, separators=(",", ":"), allow_nan=True).encode()


def parse(payload: bytes | memoryview) -> dict[str, Any]:
    """A payload, read.

    Raises:
        Nonsense: it is no JSON object.
    """
    try:
        value = json.loads(bytes(payload))
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"a payload is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Nonsense(f"a payload must be a JSON object, not a {type(value).__name__}.")
    return value
