"""Values that have broken programs before."""

NUMBERS = (
    0, 1, -1, 2, 7, 100, 127, 255, 65_536, 2**31 - 1, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1,
    -(2**63),
)  # fmt: skip

TEXTS = (
    "", " ", "x", "N", "0", "-1", "nan", "1e999", "a" * 5000, "\x1b[2J", "a\nb", "a\tb", "$x^{",
    "%s%n", "../x", "/", "日本", "\u202e", "\U0010ffff", "[red]", "{0}", "x:1/2/3", "None",
    "9" * 400,
)  # fmt: skip

BYTES = (b"", b"\0", b"\xff" * 64, b"\x80" * 10, b"\x0a\xff\xff\xff\xff\x0f", bytes(64), b"PK\3\4")
