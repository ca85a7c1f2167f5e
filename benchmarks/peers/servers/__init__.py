"""One module per server: `python -m benchmarks.peers.servers.<module> PORT SETTINGS`.

Each runs in its peer's own environment and may import only that peer, numpy and
`benchmarks.works`: only ours has what trtasync needs. What measures them runs outside.
SETTINGS is "default" (as the peer comes, but for the batch size) or "best".
"""

import sys


def port_and_best() -> tuple[int, bool]:
    """What the command line asks for: the port, and whether at its best."""
    port, settings = sys.argv[1:3]
    return int(port), settings == "best"
