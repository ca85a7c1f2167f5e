"""Compressed bodies: decompressed up to a limit, and compressed in a form that a client accepts."""

import zlib

from trtasync.server.protocol.refusals import Refusal

GZIP, ZLIB = 31, 15
"""zlib's `wbits` of the two forms; what HTTP calls deflate is zlib's."""

FORMS = {"gzip": GZIP, "deflate": ZLIB}

LEVEL = 1
"""The level of compression: tensors hardly get smaller with a higher one."""


def form_of(encoding: str) -> int | None:
    """The form that a Content-Encoding names; None for an uncompressed body.

    Raises:
        Refusal: it is not understood here (415).
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding not in FORMS:
        raise Refusal(
            f"Content-Encoding {encoding!r} is not understood; send gzip, deflate or none.",
            status=415,
        )
    return FORMS[encoding]


def too_large(most: int) -> Refusal:
    """The refusal of a body of more than `most` bytes (413)."""
    return Refusal(
        f"the body has more than {most} bytes, the most that this server takes.", status=413
    )


def decompress(body: bytes, form: int, most: int) -> bytes:
    """Return what a compressed body holds.

    Raises:
        Refusal: it holds more than `most` bytes (413), or is damaged (400).
    """
    stream = zlib.decompressobj(form)
    try:
        content = stream.decompress(body, most + 1)
    except zlib.error as error:
        raise Refusal(f"the compressed body is damaged: {error}.") from None
    if len(content) > most:
        raise too_large(most)
    if not stream.eof:
        raise Refusal("the compressed body ends too early.")
    if stream.unused_data:  # for gzip too: a body of many small streams would take for ever
        raise Refusal("something follows the compressed body, which has to be one stream.")
    return content


def compress(body: bytes, encoding: str) -> bytes:
    """Compress a body in one of `FORMS`."""
    stream = zlib.compressobj(LEVEL, wbits=FORMS[encoding])
    return stream.compress(body) + stream.flush()


def choose_encoding(accepted: str) -> str | None:
    """The one of `FORMS` that an Accept-Encoding prefers; None if it accepts none of them."""
    weights: dict[str, float] = {}
    for each in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        weights[name] = _weight(parameters)
    chosen = max(FORMS, key=lambda name: weights.get(name, 0.0))
    return chosen if weights.get(chosen, 0.0) > 0 else None


def _weight(parameters: list[str]) -> float:
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
