"""TLS for devices: who a certificate is, and what the folder of `STAFFCALL_MQTT_TLS` lets it do."""

import hashlib
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self, cast

from infra.local.gateway.grants import Grants, Policy, PolicyError, policy_of
from infra.local.gateway.policy import DEVICE, Rights

POLICIES: Final = "policies.json"
FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
THING_NAME: Final = re.compile(r"[a-zA-Z0-9:_-]{1,128}")


_Subject = tuple[tuple[tuple[str, str], ...], ...]


class TlsError(ValueError):
    """What is wrong with the folder: the file, the field, what may stand there, and what stood there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Who a client has proved to be.

    Attributes:
        name: the common name of its subject; "" if it has none, or several.
        fingerprint: SHA-256 of it, in hexadecimal: what AWS calls its id.
    """

    name: str
    fingerprint: str

    @classmethod
    def of(cls, connection: ssl.SSLObject) -> Self:
        """That of the other side, after the handshake.

        Raises:
            ssl.SSLError: it has ended since. When a session is taken up again, openssl looks at no date.
        """
        raw, said = connection.getpeercert(binary_form=True), connection.getpeercert()
        assert raw is not None, "without one there is no handshake"
        assert said is not None
        ends, subject = str(said["notAfter"]), cast(_Subject, said.get("subject", ()))
        if ssl.cert_time_to_seconds(ends) < time.time():
            raise ssl.SSLError(f"the certificate ended on {ends}")
        names = [value for part in subject for kind, value in part if kind == "commonName"]
        return cls(name=names[0] if len(names) == 1 else "", fingerprint=hashlib.sha256(raw).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """What a certificate is attached to, in AWS's sense: things, and a policy."""

    things: frozenset[str] = frozenset()
    policy: Policy = ()


NOBODY: Final = Principal()


@dataclass(frozen=True, slots=True)
class Tls:
    """The device port's TLS.

    Attributes:
        principals: by common name or fingerprint.
    """

    context: ssl.SSLContext = field(repr=False)
    principals: Mapping[str, Principal]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read ``server.pem``, ``server.key``, ``ca.pem``, and ``policies.json``.

        Raises:
            TlsError: one of them is missing or wrong.
        """
        return cls(_context(folder), _principals(folder / POLICIES))

    def rights(self, certificate: Certificate, client_id: str) -> Rights:
        """What a client may do: what its policy grants it, and no more than any device may."""
        # A fingerprint goes before a name; a name that looks like one is nobody's.
        named = self.principals.get(certificate.name, NOBODY)
        by_name = NOBODY if FINGERPRINT.fullmatch(certificate.name) else named
        found = self.principals.get(certificate.fingerprint, by_name)
        return replace(DEVICE, grants=Grants.of(found.policy, client_id=client_id, things=found.things))


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # as AWS
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    for name in ("server.pem", "server.key", "ca.pem"):
        _text(folder / name)
    try:
        # Without a password here, openssl would ask for one at the terminal.
        context.load_cert_chain(folder / "server.pem", folder / "server.key", password="")
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(
            f"{folder / 'server.pem'}, server.key: expected a certificate and its own key, "
            f"both PEM and the key without a password, got {_reason(error)}"
        ) from None
    try:
        context.load_verify_locations(folder / "ca.pem")
    except ssl.SSLError as error:
        raise TlsError(f"{folder / 'ca.pem'}: expected PEM certificates, got {_reason(error)}") from None
    if not context.cert_store_stats()["x509_ca"]:
        raise TlsError(f"{folder / 'ca.pem'}: expected the certificate of a CA, got another one")
    return context


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or "what openssl cannot read"


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise TlsError(f"{file}: expected a file to read, got {error.strerror}") from None
    except UnicodeError:
        raise TlsError(f"{file}: expected text, got bytes that are not UTF-8") from None


def _principals(file: Path) -> dict[str, Principal]:
    text = _text(file)
    try:
        found = json.loads(text, object_pairs_hook=_unique)
        if not isinstance(found, dict):
            raise TlsError(f"expected an object of common names and fingerprints, got {found!r:.80}")
        return {_key(name): _principal(name, entry) for name, entry in found.items()}
    except (ValueError, RecursionError) as error:
        raise TlsError(f"{file}: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two fields of one name JSON would forget the first, and it may be a Deny."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise TlsError(f"{twice}: expected once in an object, got it twice")
    return dict(pairs)


def _key(name: str) -> str:
    """A common name as it is, a fingerprint as we write it."""
    plain = name.replace(":", "").lower()  # as openssl shows it
    return plain if FINGERPRINT.fullmatch(plain) else name


def _principal(name: str, entry: Any) -> Principal:
    if not name:
        raise TlsError("expected a common name or a fingerprint, got ''")
    if not isinstance(entry, dict) or not {"policy"} <= entry.keys() <= {"policy", "things"}:
        raise TlsError(f'{name}: expected {{"policy": {{…}}, "things"?: […]}}, got {entry!r:.80}')
    things = entry.get("things", [])
    if not isinstance(things, list) or not all(map(_is_thing, things)):
        raise TlsError(f"{name}.things: expected a list of thing names, got {things!r:.80}")
    try:
        return Principal(things=frozenset(things), policy=policy_of(entry["policy"]))
    except PolicyError as wrong:
        raise TlsError(f"{name}.{wrong}") from None


def _is_thing(name: Any) -> bool:
    return isinstance(name, str) and THING_NAME.fullmatch(name) is not None
