"""An AWS account and region, as boto3 finds them in its environment variables and files."""

from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

# Path style, as addresses other than AWS's own need it; AWS takes both.
PATIENT: Final = Config(retries={"mode": "standard", "max_attempts": 5}, s3={"addressing_style": "path"})


class Account:
    """Clients of one account and region; made on first use, closed together.

    Args:
        region: "" for boto3's own choice (``AWS_DEFAULT_REGION``, the profile's).
        endpoint_url: where all services are; "" for AWS, or wherever ``AWS_ENDPOINT_URL*`` say.

    Raises:
        botocore.exceptions.BotoCoreError: there is no such profile.
    """

    def __init__(self, *, region: str = "", endpoint_url: str = "") -> None:
        self.session = boto3.Session(region_name=region or None)
        self._endpoint_url = endpoint_url or None
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service.

        Raises:
            botocore.exceptions.BotoCoreError: there is no region.
        """
        make: Any = self.session.client  # its stubs know services by their literal names only
        if service not in self._clients:
            self._clients[service] = make(service, endpoint_url=self._endpoint_url, config=PATIENT)
        return self._clients[service]

    @cached_property
    def number(self) -> str:
        """The twelve digits."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def region(self) -> str:
        """The region's name.

        Raises:
            botocore.exceptions.BotoCoreError: there is none.
        """
        return str(self.client("iot").meta.region_name)  # STS answers without any region, too

    @property
    def partition(self) -> str:
        """Of the region, as an ARN names it: ``aws``, or another one."""
        return self.session.get_partition_for_region(self.region)

    @cached_property
    def shadow_host(self) -> str:
        """The host of shadows and MQTT, with its port if it is not 443."""
        return str(self.client("iot").describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"])

    @property
    def plain_address(self) -> str:
        """``host:port`` of an AWS on one's own machine, which has no TLS, and not every name resolves; else ""."""
        parts = urlsplit(self.client("iot").meta.endpoint_url)
        return parts.netloc if parts.scheme == "http" else ""

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()
