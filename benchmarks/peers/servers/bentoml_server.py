"""BentoML's own command line, with its settings in a file; at its best without an access log."""

import os
import sys
from pathlib import Path

from benchmarks.peers.servers import port_and_best

QUIET = """
logging:
  access:
    enabled: false
monitoring:
  enabled: false
metrics:
  enabled: false
tracing:
  sample_rate: 0.0
"""


def main() -> None:
    """Become `bentoml serve`."""
    port, best = port_and_best()
    if best:
        settings = Path("bentoml.yaml").resolve()  # in the sample's own folder
        settings.write_text("services:" + QUIET.replace("\n", "\n    "))
        os.environ["BENTOML_CONFIG"] = str(settings)
    os.environ |= {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(Path("home").resolve())}
    service = "benchmarks.peers.servers.bentoml_service:Rows"
    where = ["--host", "127.0.0.1", "--port", str(port), "--api-workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", service, *where])


if __name__ == "__main__":
    main()
