"""Let Schemathesis ask both doors, with chance.

python -m tests.server.openapi --examples 2000
"""

import argparse
import sys

from tests.server.openapi.asking import DOORS, ask
from tests.server.serving import served


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=100, help="of each operation")
    options, more = parser.parse_known_args()
    failed = 0
    for door in DOORS:
        with served(f"tests.server.{door}") as place:
            done = ask(f"http://{place}", options.examples, *more)
        print(f"{door}:\n{done.stdout}{done.stderr}")
        failed |= done.returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
