"""The address that the kiosk signs for itself is the one that botocore signs."""

import json
import random
import shutil
import string
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.built import SPA

CASES = 300

# Builds the module as the page's build does, then signs all that it reads.
SIGN_ALL = """
import { json } from "node:stream/consumers";
import { build } from "vite";

const built = await build({
  configFile: false,
  logLevel: "warn",
  build: { write: false, target: "es2022", lib: { entry: "src/presign.ts", formats: ["es"], fileName: "presign" } },
});
const { code } = built[0].output[0];
const { presigned } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
const cases = await json(process.stdin);
const sign = ({ endpoint, region, key, ms }) => presigned(endpoint, region, key, new Date(ms));
console.log(JSON.stringify(await Promise.all(cases.map(sign))));
"""


class TokenBeside(SigV4QueryAuth):
    """Signs as AWS IoT wants it: without a lifetime, the token after the signature."""

    def __init__(self, key: dict[str, str], region: str) -> None:
        super().__init__(Credentials(key["accessKeyId"], key["secretKey"]), "iotdevicegateway", region)

    def _modify_request_before_signing(self, request: Any) -> None:
        super()._modify_request_before_signing(request)  # type: ignore[misc]
        request.url = request.url.replace(f"&X-Amz-Expires={self.DEFAULT_EXPIRES}", "")


def botocores(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    now = datetime.fromtimestamp(case["ms"] / 1000, UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now)
    request: Any = AWSRequest("GET", f"https://{case['endpoint']}/mqtt")
    TokenBeside(case["key"], case["region"]).add_auth(request)
    address = request.url.replace("https://", "wss://", 1).replace(":443/", "/", 1)
    return f"{address}&X-Amz-Security-Token={quote(case['key']['sessionToken'], safe='')}"


def some_case(luck: random.Random) -> dict[str, Any]:
    def some(letters: str, length: int) -> str:
        return "".join(luck.choices(letters, k=length))

    base64 = string.ascii_letters + string.digits + "+/"
    region = luck.choice(["ap-northeast-1", "us-east-1", "eu-central-2", "us-gov-west-1", "me-south-1"])
    name = some(string.ascii_lowercase + string.digits, 14)
    port = luck.choice(["", ":443", ":80", ":8443", f":{luck.randint(1024, 65535)}"])
    host = luck.choice([f"{name}-ats.iot.{region}.amazonaws.com", f"{name}.iot.{region}.localhost"])
    return {
        "endpoint": host + port,
        "region": region,
        "key": {
            "accessKeyId": "ASIA" + some(string.ascii_uppercase + string.digits, 16),
            "secretKey": some(base64, 40),
            "sessionToken": some(base64, luck.randint(1, 1500)) + luck.choice(["", "=", "==", "+/="]),
        },
        "ms": int(
            (datetime(2020, 1, 1, tzinfo=UTC) + luck.random() * timedelta(days=20_000)).timestamp() * 1000
        ),
    }


def kiosks(cases: list[dict[str, Any]]) -> list[str]:
    node = shutil.which("node")
    assert node, "Node is missing: `make test` puts one on the PATH"
    assert (SPA / "node_modules").is_dir(), "`make spa/node_modules` installs what builds the kiosk"
    signing = subprocess.run(
        [node, "--input-type=module", "--eval", SIGN_ALL],
        cwd=SPA,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert signing.returncode == 0, signing.stderr
    signed: list[str] = json.loads(signing.stdout)
    return signed


def test_the_kiosk_signs_its_address_as_botocore_does(monkeypatch: pytest.MonkeyPatch) -> None:
    luck = random.Random(20260101)
    cases = [some_case(luck) for _ in range(CASES)]
    signed = kiosks(cases)
    assert len(set(signed)) == CASES
    assert signed == [botocores(case, monkeypatch) for case in cases]
