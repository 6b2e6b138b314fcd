"""The local place's shadows and things, and the same through boto3 and the REST port: for the contract suites."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from waitress.server import create_server

from infra.local.gateway import Gateway
from infra.local.gateway import Message as Published
from infra.local.rest import app
from infra.local.service import Message, ShadowService
from infra.local.store import Store
from infra.local.things import Registry


@dataclass
class Rest:
    """A REST port on loopback, and what came through it."""

    service: ShadowService
    registry: Registry
    port: int = 0
    said: list[Message] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)

    def client(self, name: Any) -> Any:
        return boto3.client(
            name,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(
                retries={"mode": "standard", "max_attempts": 1}, connect_timeout=5, read_timeout=10
            ),
        )


@contextmanager
def rest_place(folder: Path, *, throttle: bool = False) -> Iterator[Rest]:
    store = Store(folder / "store.sqlite")
    said: list[Message] = []
    service = ShadowService(store, clock=lambda: 1_000_500, announce=said.extend, throttle=throttle)
    place = Rest(service, Registry(store), said=said)
    for kind in ("staff", "button", "booth"):
        place.registry.create_type(kind)
    flask = app(service, place.registry, place.published.append, Gateway())
    server = create_server(flask, host="127.0.0.1", port=0, threads=8)
    place.port = server.effective_port
    serving = threading.Thread(target=server.run)
    serving.start()
    try:
        yield place
    finally:
        server.task_dispatcher.shutdown()  # its threads first: they wake the loop when they are done
        # On the loop's own thread, or it would wait a second for sockets that are gone.
        with suppress(OSError):  # it may close between the word and the waking
            server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
        serving.join(10)
        store.close()
