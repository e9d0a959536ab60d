"""The steps of the matrix with boto3."""

import io
import json
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = os.environ["MATRIX_BUCKET"]
CONTENT = bytes(range(256))

with open(os.environ["MATRIX_KEYS"], encoding="utf-8") as file:
    KEYS = json.load(file)

session = boto3.Session()
s3 = session.client("s3")
sts = session.client("sts")


def identity():
    answer = sts.get_caller_identity()
    assert session.get_credentials().method == "assume-role-with-web-identity"
    return {"account": answer["Account"], "arn": answer["Arn"], "userId": answer["UserId"], "version": boto3.__version__}


def refresh():
    for _ in range(3):
        sts.get_caller_identity()


def objects():
    for key in KEYS:
        content = key.encode() + CONTENT
        s3.put_object(Bucket=BUCKET, Key=key, Body=content, Metadata={"team": "blue"}, ContentType="text/x-matrix")
        got = s3.get_object(Bucket=BUCKET, Key=key)
        assert got["Body"].read() == content, key
        assert got["Metadata"] == {"team": "blue"} and got["ContentType"] == "text/x-matrix", got
    # A body whose length is known and whose content is not: the checksum comes behind it where the SDK does so.
    content = os.urandom(1 << 20)
    s3.put_object(Bucket=BUCKET, Key="streamed", Body=io.BytesIO(content))
    assert s3.get_object(Bucket=BUCKET, Key="streamed")["Body"].read() == content
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    assert s3.get_object(Bucket=BUCKET, Key="empty")["Body"].read() == b""
    head = s3.head_object(Bucket=BUCKET, Key="streamed", ChecksumMode="ENABLED")
    (checksum,) = [name[len("Checksum") :] for name in head if name.startswith("Checksum") and name != "ChecksumType"]
    part = s3.get_object(Bucket=BUCKET, Key="streamed", Range="bytes=1000-1999")
    assert part["Body"].read() == content[1000:2000]
    s3.delete_object(Bucket=BUCKET, Key="streamed")
    try:
        s3.get_object(Bucket=BUCKET, Key="streamed")
    except s3.exceptions.NoSuchKey:
        return {"checksum": checksum}
    raise AssertionError("the object is still there")


def multipart():
    content = os.urandom(1 << 20) * 17 + b"the end"
    config = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20)
    s3.upload_fileobj(io.BytesIO(content), BUCKET, "in parts", Config=config)
    assert s3.head_object(Bucket=BUCKET, Key="in parts")["ETag"].endswith('-3"')
    down = io.BytesIO()
    s3.download_fileobj(BUCKET, "in parts", down, Config=config)
    assert down.getvalue() == content
    s3.copy({"Bucket": BUCKET, "Key": "in parts"}, BUCKET, "copied in parts", Config=config)
    assert s3.get_object(Bucket=BUCKET, Key="copied in parts")["Body"].read() == content


def presigner():
    # Unless told so, the SDK presigns with signature version 2.
    return session.client("s3", config=Config(signature_version="s3v4"))


def presigned_get():
    key = os.environ["MATRIX_PRESIGNED_GET"]
    s3.put_object(Bucket=BUCKET, Key=key, Body=os.environ["MATRIX_PRESIGNED_CONTENT"].encode())
    return {"url": presigner().generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=3600)}


def presigned_put():
    key = os.environ["MATRIX_PRESIGNED_PUT"]
    return {"url": presigner().generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=3600)}


def denial():
    try:
        s3.put_object(Bucket=os.environ["MATRIX_FORBIDDEN"], Key="key", Body=b"content")
    except ClientError as error:
        code, metadata = error.response["Error"]["Code"], error.response["ResponseMetadata"]
        assert (code, metadata["HTTPStatusCode"]) == ("AccessDenied", 403), error
        return {"requestId": metadata["RequestId"], "message": error.response["Error"]["Message"]}
    raise AssertionError("nothing was denied")


def refused(status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error
        return error.response["Error"]["Code"]
    raise AssertionError("nothing was refused")


def conditional():
    place = {"Bucket": BUCKET, "Key": "conditional"}
    first = s3.put_object(**place, Body=b"first", IfNoneMatch="*")["ETag"]
    assert refused(412, s3.put_object, **place, Body=b"second", IfNoneMatch="*") == "PreconditionFailed"
    second = s3.put_object(**place, Body=b"second", IfMatch=first)["ETag"]
    assert refused(412, s3.put_object, **place, Body=b"third", IfMatch=first) == "PreconditionFailed"
    refused(304, s3.get_object, **place, IfNoneMatch=second)
    assert refused(412, s3.get_object, **place, IfMatch=first) == "PreconditionFailed"
    assert s3.get_object(**place, IfMatch=second)["Body"].read() == b"second"


def listed(**arguments):
    return [item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, **arguments) for item in page.get("Contents", [])]


def listing():
    names = sorted(["list/" + key for key in KEYS if len(key) < 1000] + [f"list/{number:02}" for number in range(20)])
    for name in names:
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"")
    assert listed(Prefix="list/", PaginationConfig={"PageSize": 7}) == names
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/", MaxKeys=1000)
    folders = sorted({"/".join(name.split("/")[:2]) + "/" for name in names if name.count("/") > 1})
    assert [folder["Prefix"] for folder in page["CommonPrefixes"]] == folders, page
    first = [item["Key"] for page in s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 7}) for item in page["Contents"]]
    assert first == names


def delete_several():
    names = ["several/" + key for key in KEYS if len(key) < 1000]
    for name in names:
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"")
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": name} for name in names]})
    assert sorted(item["Key"] for item in answer["Deleted"]) == sorted(names) and "Errors" not in answer, answer
    assert listed(Prefix="several/") == []


def tagging():
    place = {"Bucket": BUCKET, "Key": "tagged"}
    s3.put_object(**place, Body=b"", Tagging="team=blue&what=a%20b")
    tags = s3.get_object_tagging(**place)["TagSet"]
    assert tags == [{"Key": "team", "Value": "blue"}, {"Key": "what", "Value": "a b"}], tags
    wanted = [{"Key": "größe", "Value": "1+1 = 2"}]
    s3.put_object_tagging(**place, Tagging={"TagSet": wanted})
    assert s3.get_object_tagging(**place)["TagSet"] == wanted
    assert s3.get_object(**place)["TagCount"] == 1
    s3.delete_object_tagging(**place)
    assert s3.get_object_tagging(**place)["TagSet"] == []


def versions():
    bucket = os.environ["MATRIX_BUCKET"] + "-versions"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    place = {"Bucket": bucket, "Key": "a key"}
    ids = [s3.put_object(**place, Body=content)["VersionId"] for content in (b"first", b"second")]
    marker = s3.delete_object(**place)
    assert marker["DeleteMarker"] is True
    assert refused(404, s3.get_object, **place) == "NoSuchKey"
    assert s3.get_object(**place, VersionId=ids[0])["Body"].read() == b"first"
    page = s3.list_object_versions(Bucket=bucket)
    assert [version["VersionId"] for version in page["Versions"]] == ids[::-1], page
    assert [version["VersionId"] for version in page["DeleteMarkers"]] == [marker["VersionId"]]
    s3.delete_object(**place, VersionId=marker["VersionId"])
    assert s3.get_object(**place)["Body"].read() == b"second"


def buckets():
    bucket = os.environ["MATRIX_BUCKET"] + "-made"
    s3.create_bucket(Bucket=bucket)
    s3.get_waiter("bucket_exists").wait(Bucket=bucket)
    assert bucket in [found["Name"] for found in s3.list_buckets()["Buckets"]]
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    assert refused(409, s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)
    assert refused(404, s3.head_bucket, Bucket=bucket) == "404"


STEPS = {
    "identity": identity,
    "refresh": refresh,
    "objects": objects,
    "multipart": multipart,
    "presigned-get": presigned_get,
    "presigned-put": presigned_put,
    "denial": denial,
    "buckets": buckets,
    "conditional": conditional,
    "listing": listing,
    "delete-several": delete_several,
    "tagging": tagging,
    "versions": versions,
}

for step in sys.argv[1:]:
    try:
        line = {"step": step, "result": "pass", **(STEPS[step]() or {})}
    except Exception as error:
        line = {"step": step, "result": "fail", "reason": f"{type(error).__name__} at line {error.__traceback__.tb_next.tb_lineno}: {error}"}
    print(json.dumps(line), flush=True)
