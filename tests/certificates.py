"""A small CA, as somebody with a few devices has one: the folder of STAFFCALL_MQTT_TLS, and what devices hold."""

import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ARN = "arn:aws:iot:us-east-1:123456789012:"
DAY = timedelta(days=1)


def statement(effect: str, action: str | list[str], *resources: str, **condition: str) -> dict[str, Any]:
    """A statement; ``attached="true"`` is its condition, and of a resource only what follows the ARN is written."""
    said = (
        {"Condition": {"Bool": {"iot:Connection.Thing.IsAttached": condition["attached"]}}}
        if condition
        else {}
    )
    named = [ARN + each if each != "*" else each for each in resources]
    return {"Effect": effect, "Action": action, "Resource": named, **said}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@dataclass(frozen=True)
class Held:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal."""
        return self.parsed.fingerprint(hashes.SHA256()).hex()


class Authority:
    """Signs certificates, and writes all into one folder.

    Attributes:
        own: its own certificate.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self._name = folder, _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.BasicConstraints(ca=True, path_length=0)
        unsigned = self._unsigned(self._name, self._key, DAY).add_extension(usage, critical=True)
        self.own = self._write("ca", unsigned, self._key)

    def server(self) -> Held:
        """That of the gateway, for this machine."""
        here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        return self.issue("server", "localhost", also=x509.SubjectAlternativeName(here))

    def issue(
        self, file: str, *names: str, until: timedelta = DAY, also: x509.ExtensionType | None = None
    ) -> Held:
        """A certificate with these common names, which ends that long from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        unsigned = self._unsigned(_named(*names), key, until).add_extension(purposes, critical=False)
        return self._write(file, unsigned.add_extension(also, critical=False) if also else unsigned, key)

    def _unsigned(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(issuer_name=self._name, serial_number=x509.random_serial_number())
        dated = builder.not_valid_before(now - 2 * DAY).not_valid_after(now + until)
        return dated.subject_name(subject).public_key(key.public_key())

    def _write(self, file: str, unsigned: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Held:
        signed = unsigned.sign(self._key, hashes.SHA256())
        held = Held(self.folder / f"{file}.pem", self.folder / f"{file}.key")
        held.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        write_key(held.key, key, serialization.NoEncryption())
        return held

    def held(self, file: str) -> Held:
        """One that was issued."""
        return Held(self.folder / f"{file}.pem", self.folder / f"{file}.key")

    def context(self, held: Held | None) -> ssl.SSLContext:
        """A client's TLS, that trusts this CA and shows what it holds."""
        context = ssl.create_default_context(cafile=self.own.certificate)
        if held:
            context.load_cert_chain(held.certificate, held.key)
        return context


def _named(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])


def write_key(
    file: Path, key: ec.EllipticCurvePrivateKey, lock: serialization.KeySerializationEncryption
) -> None:
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


def lock(file: Path, password: bytes) -> None:
    """Put a password before a key."""
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    write_key(file, key, serialization.BestAvailableEncryption(password))


def write_policies(folder: Path, entries: Mapping[str, Any]) -> None:
    (folder / "policies.json").write_text(json.dumps(entries))
