"""Shadows and things in AWS IoT Core, or in whatever speaks its REST: the protocols of shadows.shadow over boto3.

Whoever makes the clients decides how often a throttled or failed request is tried again: give them
``botocore.config.Config(retries={"mode": "standard", "max_attempts": 4})``, which waits with jitter in between.
boto3 itself is not imported here.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from shadows.document import shadow_of, update_payload, version_of
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow, Thing

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot.type_defs import (
        CreateThingRequestTypeDef,
        ListThingsRequestPaginateTypeDef,
        UpdateThingRequestTypeDef,
    )
    from mypy_boto3_iot_data import IoTDataPlaneClient

PAGE = 250  # things: as many as AWS gives at once


class AwsShadows:
    """Classic shadows: :class:`shadows.shadow.Shadows` over boto3 ``iot-data``."""

    def __init__(self, client: "IoTDataPlaneClient") -> None:
        self._client = client

    def get(self, thing: str) -> Shadow:
        """As :meth:`shadows.shadow.Shadows.get`."""
        with _refusals(self._client.meta.endpoint_url):
            return shadow_of(self._client.get_thing_shadow(thingName=thing)["payload"].read())

    def update(
        self,
        thing: str,
        *,
        desired: JsonObject | None = None,
        reported: JsonObject | None = None,
        version: int | None = None,
    ) -> int:
        """As :meth:`shadows.shadow.Shadows.update`."""
        payload = update_payload(desired=desired, reported=reported, version=version)
        with _refusals(self._client.meta.endpoint_url):
            return version_of(
                self._client.update_thing_shadow(thingName=thing, payload=payload)["payload"].read()
            )

    def delete(self, thing: str) -> None:
        """As :meth:`shadows.shadow.Shadows.delete`."""
        with _refusals(self._client.meta.endpoint_url):
            self._client.delete_thing_shadow(thingName=thing)


class AwsThings:
    """The registry: :class:`shadows.shadow.Things` over boto3 ``iot``."""

    def __init__(self, client: "IoTClient") -> None:
        self._client = client

    def create(self, thing: Thing) -> None:
        """As :meth:`shadows.shadow.Things.create`."""
        request: CreateThingRequestTypeDef = {
            "thingName": thing.name,
            "attributePayload": {"attributes": thing.attributes},
        }
        if thing.type:
            request["thingTypeName"] = thing.type
        with _refusals(self._client.meta.endpoint_url):
            self._client.create_thing(**request)

    def get(self, name: str) -> Thing:
        """As :meth:`shadows.shadow.Things.get`."""
        with _refusals(self._client.meta.endpoint_url):
            return _thing(self._client.describe_thing(thingName=name))

    def update(self, name: str, attributes: Mapping[str, str], *, version: int | None = None) -> None:
        """As :meth:`shadows.shadow.Things.update`."""
        request: UpdateThingRequestTypeDef = {
            "thingName": name,
            "attributePayload": {"attributes": attributes, "merge": True},
        }
        if version is not None:
            request["expectedVersion"] = version
        with _refusals(self._client.meta.endpoint_url):
            self._client.update_thing(**request)

    def delete(self, name: str) -> None:
        """As :meth:`shadows.shadow.Things.delete`."""
        with _refusals(self._client.meta.endpoint_url):
            self._client.delete_thing(thingName=name)

    def list(self, *, type: str = "", attribute: tuple[str, str] | None = None) -> Iterator[Thing]:
        """As :meth:`shadows.shadow.Things.list`. AWS promises no order: they are put in order of their names here."""
        wanted: ListThingsRequestPaginateTypeDef = {"PaginationConfig": {"PageSize": PAGE}}
        if type:
            wanted["thingTypeName"] = type
        if attribute:
            wanted["attributeName"], wanted["attributeValue"] = attribute
        with _refusals(self._client.meta.endpoint_url):
            pages = self._client.get_paginator("list_things").paginate(**wanted)
            things = [_thing(each) for page in pages for each in page["things"]]
        yield from sorted(things, key=lambda thing: thing.name)


def publish(client: "IoTDataPlaneClient", topic: str, payload: bytes, correlation: bytes) -> None:
    """Publish a message with QoS 1; ``correlation`` is MQTT 5's correlation data.

    Raises:
        Rejected: what AWS refuses; 503, if it did not answer.
    """
    with _refusals(client.meta.endpoint_url):
        known = base64.b64encode(correlation).decode()
        client.publish(topic=topic, qos=1, payload=payload, correlationData=known)


def _thing(found: Mapping[str, Any]) -> Thing:
    return Thing(
        name=found["thingName"],
        type=found.get("thingTypeName", ""),
        attributes=found.get("attributes", {}),
        version=found["version"],
    )


@contextmanager
def _refusals(endpoint: str) -> Iterator[None]:
    """What boto3 raises, as Rejected: AWS's own code and text; 400 for what boto3 will not send.

    503 if it got no answer, or was throttled to the end: 429 is our own, when too many booths wait for one person.
    """
    try:
        yield
    except ClientError as no:
        raise Rejected(_code(no), no.response["Error"].get("Message") or str(no)) from no
    except ParamValidationError as no:
        raise Rejected(400, " ".join(str(no).split())) from no
    except BotoCoreError as no:
        raise Rejected(503, f"No answer from {endpoint}: {no}") from no


def _code(no: ClientError) -> int:
    if no.response["Error"].get("Code", "").startswith("Throttling"):
        return 503  # AWS says 429, and the registry 400
    status = no.response["ResponseMetadata"]["HTTPStatusCode"]
    return 500 if status in (401, 403) else status  # our own rights, and nothing that a sender got wrong
