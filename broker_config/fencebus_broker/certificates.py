"""Makes a certificate authority, and certificates of brokers and hosts, with the program openssl.

What an earlier rendering has made is kept: a new CA would shut out everybody who trusts the old one.
"""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import tempfile
from pathlib import Path

from fencebus_broker.tree import write_private
from fencebus_schemas.errors import FencebusError

CA_DAYS, DAYS = 3650, 1825
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class NoCertificate(FencebusError):
    """openssl is missing, or did not do what it was asked; ``detail`` is what it said."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"no certificate could be made: {self.detail}"


class Authority:
    """A CA in a folder that its owner alone may read: ca.pem, ca.key, and a folder of what it has signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def certificate(self) -> bytes:
        """The CA's own, for all who are to trust it."""
        if not (self._folder / "ca.pem").exists():
            self._found()
        return (self._folder / "ca.pem").read_bytes()

    def broker(self, address: str) -> tuple[bytes, bytes]:
        """Certificate and key of a broker that is reached at ``address``; nodes also speak with each other by it."""
        kind = "IP" if _is_ip(address) else "DNS"
        return self._pair(
            "brokers", address, f"subjectAltName={kind}:{address}\nextendedKeyUsage=serverAuth,clientAuth\n"
        )

    def user(self, name: str) -> tuple[bytes, bytes]:
        """Certificate and key of a host, or of whoever else connects."""
        return self._pair("users", name, f"subjectAltName=DNS:{name}\nextendedKeyUsage=clientAuth\n")

    def _pair(self, kind: str, name: str, extensions: str) -> tuple[bytes, bytes]:
        chain, key = (self._folder / kind / f"{name}.{ending}" for ending in ("pem", "key"))
        if not chain.exists():
            self.certificate()
            self._sign(name, extensions, chain, key)
        return chain.read_bytes(), key.read_bytes()

    def _found(self) -> None:
        subject = ("-subj", "/CN=fencebus CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        with tempfile.TemporaryDirectory() as made:
            pem, key = Path(made) / "pem", Path(made) / "key"
            _openssl("req", "-x509", *CURVE, "-days", str(CA_DAYS), *subject, "-keyout", key, "-out", pem)
            write_private(self._folder / "ca.key", key.read_bytes())
            write_private(self._folder / "ca.pem", pem.read_bytes())

    def _sign(self, name: str, extensions: str, chain: Path, key: Path) -> None:
        with tempfile.TemporaryDirectory() as made:
            request, new, pem, with_ = (Path(made) / each for each in ("request", "key", "pem", "extensions"))
            with_.write_text(f"basicConstraints=CA:FALSE\n{extensions}", "ascii")
            _openssl("req", *CURVE, "-subj", f"/CN={name[:64]}", "-keyout", new, "-out", request)
            ca = ("-CA", self._folder / "ca.pem", "-CAkey", self._folder / "ca.key", "-CAcreateserial")
            serial = ("-CAserial", Path(made) / "serial", "-days", str(DAYS), "-extfile", with_)
            _openssl("x509", "-req", "-in", request, *ca, *serial, "-out", pem)
            write_private(key, new.read_bytes())
            write_private(chain, pem.read_bytes())


def _openssl(*arguments: str | Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise NoCertificate("the program openssl is not installed")
    done = subprocess.run([program, *arguments], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoCertificate(done.stderr.strip() or f"openssl ended with {done.returncode}")


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
