"""`python -m tests.genuine.child`: every program on the genuine builder, a JSON line for each.

In a process of its own, because some mistakes kill it, and because TensorRT keeps one logger only:
what has run before is on the lines that came.
"""

import json

from tests.genuine.library import load
from tests.genuine.programs import PROGRAMS
from tests.genuine.trial import Workshop


def main() -> None:
    """Run them."""
    workshop = Workshop(load())
    for name, program in PROGRAMS.items():
        print(json.dumps([name, workshop.run(program)]), flush=True)  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
