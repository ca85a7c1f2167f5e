"""Certificates for tests."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Of a host of this name or of this machine, signed by itself; and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    words = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    subprocess.run(
        ["openssl", *words, *names, "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return cert, key


def trusting(cert: Path) -> ssl.SSLContext:
    """Of a client."""
    return ssl.create_default_context(cafile=str(cert))
