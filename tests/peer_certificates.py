"""Makes a CA and certificates for hosts, each by its name alone, with the program openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fencebus_schemas.bus_url import Tls
from tests.components import require_program

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA in a folder."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Authority:
        """A new one."""
        folder.mkdir(parents=True)
        _openssl(
            "req",
            "-x509",
            *KEY,
            "-days",
            "30",
            "-keyout",
            folder / "ca.key",
            "-out",
            folder / "ca.pem",
            "-subj",
            "/CN=CA",
        )
        return cls(folder)

    def sign(self, name: str) -> Tls:
        """What the host of that name shows, and believes."""
        request, chain, key = (self.folder / f"{name}.{kind}" for kind in ("csr", "pem", "key"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name}\n", encoding="ascii")
        _openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        signed: Sequence[str | Path] = (
            "-CA",
            self.folder / "ca.pem",
            "-CAkey",
            self.folder / "ca.key",
            "-CAcreateserial",
        )
        _openssl("x509", "-req", "-in", request, *signed, "-days", "30", "-extfile", extensions, "-out", chain)
        return Tls(str(self.folder / "ca.pem"), str(chain), str(key))


def _openssl(*arguments: str | Path) -> None:
    program = require_program("openssl", package="openssl")
    subprocess.run([program, *arguments], check=True, capture_output=True)
