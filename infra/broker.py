"""The external MQTT broker that ``STAFFCALL_MQTT_URL`` names, and how a client of it begins."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where a broker is, and who we are there.

    Attributes:
        is_tls: whether it proves itself by a certificate, and nobody can listen.
        user, password: "" for none.
    """

    host: str
    port: int
    is_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Read ``mqtt(s)://[user:password@]host[:port]``; what is special in a user or password is percent-encoded."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "",
            port=parts.port or PORTS[parts.scheme],
            is_tls=parts.scheme == "mqtts",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    @classmethod
    def at(cls, address: str, *, user: str = "", password: str = "") -> Self:
        """One at ``host:port`` that asks for no TLS."""
        host, _, port = address.rpartition(":")
        return cls(host=host.strip("[]"), port=int(port), is_tls=False, user=user, password=password)

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def login(self) -> dict[str, Any]:
        """The part of a ``ConnectPacket`` that says who we are."""
        return {"username": self.user or None, "password": self.password or None}

    @property
    def way(self) -> dict[str, Any]:
        """The part of ``ClientOptions`` that says where the broker is."""
        # Else it adds the name of AWS's SDK to the user's.
        options = {"host_name": self.host, "port": self.port, "disable_metrics": True}
        return options | ({"tls_ctx": _trusting()} if self.is_tls else {})


def _trusting() -> Any:
    """A client's TLS that trusts whom this machine trusts, or with ``SSL_CERT_FILE`` set whom that names."""
    from awscrt import io  # noqa: PLC0415

    options = io.TlsContextOptions()
    if file := ssl.get_default_verify_paths().cafile:
        options.override_default_trust_store_from_path(ca_filepath=file)
    return io.ClientTlsContext(options)
