"""`python -m trtasync.host`: how clients start a host. For people there is `trtasync host`."""

import sys

from trtasync.host.starting import start

if __name__ == "__main__":
    sys.exit(start())
