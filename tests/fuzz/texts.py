"""JSON and other text made hostile."""

import json
from random import Random
from typing import Any

from tests.fuzz.values import BYTES, NUMBERS, TEXTS

DEEP = 100_000
DIGITS = 6000
"""More than Python reads as a number."""

HOLE = "hole to be filled with what `json` would not write"
RAW = ("[" * DEEP, '{"a":' * DEEP, "9" * DIGITS, "1e999", "NaN", "-Infinity", '"\\ud800"', "")


def broken_json(chance: Random, value: Any) -> bytes:
    """A value with some parts changed, in JSON that may be none."""
    value = json.loads(json.dumps(value))
    for _ in range(chance.choice((1, 1, 2, 3))):
        value = _changed(chance, value)
    text = json.dumps(value).replace(json.dumps(HOLE), chance.choice(RAW)).encode()
    return text if chance.randrange(4) else broken_bytes(chance, text)


def broken_bytes(chance: Random, data: bytes) -> bytes:
    """With some bytes changed, cut out or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 8))):
        at = chance.randrange(len(changed) + 1)
        length = chance.choice((0, 1, 1, 4, 40))
        changed[at : at + length] = chance.choice((*BYTES, chance.randbytes(length)))
    return bytes(changed)


def _changed(chance: Random, value: Any) -> Any:
    """One part of it, at any depth."""
    if isinstance(value, dict) and value and chance.randrange(8):
        key = chance.choice(list(value))
        if not chance.randrange(6):
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _changed(chance, value[key])}
    if isinstance(value, list) and value and chance.randrange(8):
        at = chance.randrange(len(value))
        return [*value[:at], _changed(chance, value[at]), *value[at + 1 :]]
    return chance.choice((*NUMBERS, *TEXTS, HOLE, HOLE, None, True, [], {}, [[]], {"": 0}, 0.5))
