"""`trtasync serve --traces`: spans of requests and batches, in whichever process they are made."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.doubles.child import ROOT
from support.helpers import PATIENCE
from tests.server.program.serving import ask, serving, times, until

EXPORTER = '''
import json, os
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

class Lines(SpanExporter):
    """A file per process, a line per span."""

    def export(self, spans):
        with open(os.path.join(os.environ["SPANS"], f"{os.getpid()}.json"), "a") as file:
            for span in spans:
                links = [link.context.span_id for link in span.links]
                told = {"name": span.name, "id": span.context.span_id, "links": links}
                file.write(json.dumps({**told, "is_root": span.parent is None}) + "\\n")
        return SpanExportResult.SUCCESS
'''


def offer_lines(folder: Path) -> dict[str, str]:
    """The environment of processes that find the exporter "lines"."""
    (folder / "lines_of_spans.py").write_text(EXPORTER)
    about = folder / "lines_of_spans-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lines_of_spans\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[opentelemetry_traces_exporter]\nlines = lines_of_spans:Lines\n"
    )
    (folder / "spans").mkdir()
    return {"PYTHONPATH": str(folder), "SPANS": str(folder / "spans")}


def exported(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """What processes have exported."""
    files = (folder / "spans").glob("*.json")
    return {
        int(file.stem): [json.loads(line) for line in file.read_text().splitlines()]
        for file in files
    }


def named(folder: Path, name: str) -> list[dict[str, Any]]:
    """Spans of all processes."""
    spans = [span for each in exported(folder).values() for span in each]
    return [span for span in spans if span["name"] == name]


@pytest.mark.parametrize("workers", [1, 2])
def test_spans_of_requests_and_batches(tmp_path: Path, workers: int) -> None:
    environment = offer_lines(tmp_path)
    config = tmp_path / "models.toml"
    config.write_text('[server]\ntraces = "lines"\n[[models]]\npath = "m.onnx"\n')
    times(tmp_path, 2)
    with serving(tmp_path, "--config", config, "--workers", workers, **environment) as server:
        for _ in range(4):
            with server.client() as client:
                assert ask(client).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        until(lambda: len(named(tmp_path, "batch m")) == 4)  # the engine's process ends by itself
    requests, batches = named(tmp_path, "infer m"), named(tmp_path, "batch m")
    assert len(requests) == 4
    assert all(span["is_root"] for span in [*requests, *batches])
    links = {link for batch in batches for link in batch["links"]}
    assert links == {each["id"] for each in requests}
    assert all(bool(each["links"]) is (workers == 1) for each in requests)
    assert len(exported(tmp_path)) >= min(workers, 2)


def test_an_exporter_that_is_not_there(tmp_path: Path) -> None:
    with serving(tmp_path, times(tmp_path, 2), "--traces", "nowhere") as server:
        assert server.process.wait(PATIENCE) == 2
        assert "no exporter 'nowhere' here; there are: " in server.log.read_text()


def test_a_host_exports_by_what_it_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trtasync", "host", str(times(tmp_path, 2))]
    command += ["--socket", str(tmp_path / "host.sock"), "--traces", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert "no exporter 'nowhere' here; there are: " in done.stderr
