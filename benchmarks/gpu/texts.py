"""How long texts are: the docstrings of Python's standard library, in tokens.

Real prose that is on every machine, so nothing has to be fetched: one docstring is one text, as a
search over an API's documentation would embed it. Its length is an estimate of BERT's WordPiece
without its vocabulary: punctuation marks count one each, a word one per `PIECE` letters begun, the
two markers at a text's ends one each, and anything longer than the model takes is cut.
"""

import ast
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PIECE = 6
"""Letters per piece: English prose comes out at about 1.3 pieces a word."""
ENDS = 2
"""The marks before and behind a text."""
LEAST = 200
"""Texts without which there is no distribution to speak of."""

_PARTS = re.compile(r"[^\W_]+|[^\w\s]|_")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def count_tokens(text: str) -> int:
    """About how many tokens BERT would read."""
    parts = _PARTS.findall(text)
    return ENDS + sum(-(-len(part) // PIECE) if part[0].isalnum() else 1 for part in parts)


def docstrings(folder: Path) -> Iterator[str]:
    """Those of all modules in a folder (not in subfolders), by name."""
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, _DOCUMENTED) and (found := ast.get_docstring(node)):
                yield found


def lengths(longest: int, folder: Path | None = None) -> list[int]:
    """The length of every text, in tokens.

    Args:
        longest: what the model takes; longer texts are cut.
        folder: with Python modules; the standard library's where nothing is said.

    Raises:
        RuntimeError: there is hardly anything, as in an installation without sources.
    """
    where = Path(sysconfig.get_paths()["stdlib"]) if folder is None else folder
    found = [min(longest, count_tokens(text)) for text in docstrings(where)]
    if len(found) < LEAST:
        raise RuntimeError(f"{where} has {len(found)} docstrings; at least {LEAST} are needed")
    return found


def described(found: Sequence[int], sizes: Sequence[int]) -> dict[str, Any]:
    """Quantiles, and how many fall to each padded length: for results."""
    marks = (1, 5, 25, 50, 75, 90, 95, 99)
    return {
        "source": "docstrings of the modules in Python's standard library",
        "texts": len(found),
        "mean": round(float(np.mean(found)), 1),
        "longest": max(found),
        "quantiles": {
            str(mark): int(value)
            for mark, value in zip(marks, np.percentile(found, marks), strict=True)
        },
        "by_padded_length": dict(sorted(Counter(padded(found, sizes)).items())),
    }


def padded(found: Iterable[int], sizes: Sequence[int]) -> list[int]:
    """The padded length of each: the first of the (ascending) sizes that holds it."""
    return [next(size for size in sizes if size >= length) for length in found]
