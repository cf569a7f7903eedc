"""Makes a CA and a server's certificate for the stand-in, with the program openssl."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.components import require_program


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM."""

    ca: Path
    chain: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA's certificate."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.ca.read_text("ascii"))).hexdigest()

    def server(self) -> ssl.SSLContext:
        """What a server shows."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context


def made(folder: Path, name: str = "127.0.0.1") -> Certificates:
    """New ones for a server that is reached as ``name``, an address."""
    folder.mkdir(parents=True, exist_ok=True)
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    ca, ca_key, key = folder / "ca.pem", folder / "ca.key", folder / "server.key"
    _openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-subj", f"/CN=CA of {folder.name}")
    request, chain, extensions = folder / "server.csr", folder / "server.pem", folder / "extensions"
    extensions.write_text(f"subjectAltName=IP:{name},DNS:localhost\n", encoding="ascii")
    _openssl("req", *new[:-2], "-keyout", key, "-out", request, "-subj", "/CN=engine")
    signed = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "30", "-extfile", extensions)
    _openssl("x509", "-req", "-in", request, *signed, "-out", chain)
    return Certificates(ca, chain, key)


def _openssl(*arguments: str | Path) -> None:
    program = require_program("openssl", package="openssl")
    subprocess.run([program, *arguments], check=True, capture_output=True)
