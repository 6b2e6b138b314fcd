"""What lies in S3: the functions' code, and the kiosk's page."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError
from ulid import ULID

from infra.aws.account import Account
from infra.aws.package import ROOT
from infra.aws.stack import TAGS, Say, StackFailed

KIOSK: Final = ROOT / "spa" / "dist"
TYPES: Final = {  # what a system's own table says differs from machine to machine
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOREVER: Final = "public, max-age=31536000, immutable"  # the build puts a hash into the names of assets
FRESH: Final = "no-cache"
NOTHING_PUBLIC: Final = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


def code_bucket(account: Account, stack: str) -> str:
    """The name of the bucket of a stack's code; it is no part of the stack, which needs it to be there before."""
    return f"{stack}-code-{account.number}-{account.region}"


def make(account: Account, bucket: str, say: Say) -> None:
    """Make a bucket that is closed to the public, unless it is there.

    Raises:
        botocore.exceptions.ClientError: 403, if it is somebody else's.
    """
    if is_there(account, bucket):
        return
    s3 = account.client("s3")
    if account.region == "us-east-1":  # the one region that S3 does not take as a place
        s3.create_bucket(Bucket=bucket)
    else:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": account.region})
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=NOTHING_PUBLIC)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": TAGS})
    say(f"Bucket {bucket}: made")


def is_there(account: Account, bucket: str) -> bool:
    """Whether we have this bucket.

    Raises:
        botocore.exceptions.ClientError: 403, if it is somebody else's.
    """
    try:
        account.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=account.number)
    except ClientError as no:
        if no.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return False
    return True


def put(account: Account, bucket: str, key: str, content: bytes, **headers: str) -> str:
    """Put an object; its address."""
    s3 = account.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=content, ExpectedBucketOwner=account.number, **headers)
    return f"{s3.meta.endpoint_url}/{bucket}/{key}"


def empty(account: Account, bucket: str, *, but: Collection[str] = ()) -> int:
    """Delete all objects, in all their versions, but those of some keys; how many they were.

    Raises:
        StackFailed: S3 keeps one of them.
    """
    s3, dropped = account.client("s3"), 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for each in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if each["Key"] not in but
        ]
        if found:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
            for kept in answer.get("Errors", ()):
                raise StackFailed(f"bucket {bucket}: {kept['Key']} stays: {kept.get('Message')}")
        dropped += len(found)
    return dropped


def delete(account: Account, bucket: str, say: Say) -> None:
    """Delete a bucket with all that is in it, if it is there."""
    if is_there(account, bucket):
        empty(account, bucket)
        account.client("s3").delete_bucket(Bucket=bucket, ExpectedBucketOwner=account.number)
        say(f"Bucket {bucket}: deleted")


def put_kiosk(account: Account, outputs: Mapping[str, str], say: Say) -> None:
    """Put the built page, and where its shadows are, where CloudFront finds them."""
    bucket, files = outputs["KioskBucket"], _kiosk(account, outputs)
    for key in sorted(files, key=lambda key: (not key.startswith("assets/"), key)):  # a page after its parts
        put(
            account,
            bucket,
            key,
            files[key],
            ContentType=TYPES.get(Path(key).suffix, "application/octet-stream"),
            CacheControl=FOREVER if key.startswith("assets/") else FRESH,
        )
    empty(account, bucket, but=files)
    if distribution := outputs.get("KioskDistribution"):
        account.client("cloudfront").create_invalidation(
            DistributionId=distribution,
            InvalidationBatch={
                "Paths": {"Quantity": 1, "Items": ["/*"]},
                "CallerReference": str(ULID()),
            },
        )
    say(f"Kiosk: {len(files)} files")


def _kiosk(account: Account, outputs: Mapping[str, str]) -> dict[str, bytes]:
    # There is no admin's page: IAM decides who may do what.
    built = [file for file in KIOSK.rglob("*") if file.is_file() and not file.name.startswith("admin")]
    files = {file.relative_to(KIOSK).as_posix(): file.read_bytes() for file in built}
    return {**files, "config.json": json.dumps(_config(account, outputs)).encode()}


def _config(account: Account, outputs: Mapping[str, str]) -> dict[str, str]:
    return {
        "place": "aws",
        "mqtt": "",
        "region": account.region,
        "endpoint": account.shadow_host,
        "identityPool": outputs["IdentityPoolId"],
    }
