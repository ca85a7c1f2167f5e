"""Records that nobody says, thousands of them, to a host whose answers must stay right.

python -m tests.host_fuzz --records 100000            # fresh seeds; the first one is printed
python -m tests.host_fuzz --records 1 --seed 12345    # the attacker 12345 again
"""

import argparse
import random
import sys

from tests.host_fuzz.hunt import hunt


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="of the first; drawn by default")
    parser.add_argument("--loop", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    print(f"{options.records} records from seed {seed} on")
    done, seconds = hunt(seed, options.records, options.loop)
    print(f"{done.records} records, {done.answered} right answers, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
