"""`python -m trtasync.host`: how clients start a host. People use `trtasync host`."""

import sys

from trtasync.host.starting import start

if __name__ == "__main__":
    sys.exit(start())
