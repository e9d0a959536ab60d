"""Objects through boto3 with its own settings: large ones go in parts, several at once, and every body has a checksum."""

import os

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError, MissingDependencyException

s3 = boto3.client("s3")
s3.create_bucket(Bucket="objects")

# A file up and down, and a copy of it: all three in parts.
content = os.urandom(1 << 20) * 24 + b"the end"
with open("up", "wb") as file:
    file.write(content)
s3.upload_file("up", "objects", "large", ExtraArgs={"Metadata": {"team": "blue"}, "ContentType": "text/x-large"})
head = s3.head_object(Bucket="objects", Key="large", ChecksumMode="ENABLED")
assert head["ContentLength"] == len(content) and head["Metadata"] == {"team": "blue"}, head
assert head["ETag"].endswith('-4"') and head["ContentType"] == "text/x-large", head
s3.download_file("objects", "large", "down")
with open("down", "rb") as file:
    assert file.read() == content
small = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20)
s3.copy({"Bucket": "objects", "Key": "large"}, "objects", "copy", Config=small)
assert s3.get_object(Bucket="objects", Key="copy")["Body"].read() == content
# In one piece: what was in parts is not any more.
s3.copy_object(Bucket="objects", Key="whole", CopySource={"Bucket": "objects", "Key": "large"})
whole = s3.get_object(Bucket="objects", Key="whole", ChecksumMode="ENABLED")
assert whole["Body"].read() == content and "-" not in whole["ETag"], whole
body = s3.get_object(Bucket="objects", Key="large", Range=f"bytes={len(content) - 7}-")["Body"].read()
assert body == b"the end", body

# Every algorithm, over parts and over the whole.
piece = content[: 5 << 20]
for algorithm, kind in [
    ("CRC32", "COMPOSITE"),
    ("CRC32", "FULL_OBJECT"),
    ("CRC32C", "COMPOSITE"),
    ("CRC32C", "FULL_OBJECT"),
    ("CRC64NVME", "FULL_OBJECT"),
    ("SHA1", "COMPOSITE"),
    ("SHA256", "COMPOSITE"),
]:
    upload = s3.create_multipart_upload(Bucket="objects", Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    place = {"Bucket": "objects", "Key": "k", "UploadId": upload["UploadId"]}
    field = "Checksum" + algorithm
    parts = []
    try:
        for number, data in [(1, piece), (2, b"last")]:
            part = s3.upload_part(**place, PartNumber=number, Body=data, ChecksumAlgorithm=algorithm)
            parts.append({"PartNumber": number, "ETag": part["ETag"], field: part[field]})
    except MissingDependencyException:
        # CRC-32C and CRC-64/NVME need a library that is not installed.
        assert algorithm in ("CRC32C", "CRC64NVME"), algorithm
        s3.abort_multipart_upload(**place)
        continue
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, ChecksumType=kind)
    assert done["ChecksumType"] == kind and ("-2" in done[field]) == (kind == "COMPOSITE"), done
    got = s3.get_object(Bucket="objects", Key="k", ChecksumMode="ENABLED")
    assert got[field] == done[field] and got["Body"].read() == piece + b"last", got
    part = s3.get_object(Bucket="objects", Key="k", PartNumber=2, ChecksumMode="ENABLED")
    assert part["Body"].read() == b"last" and part["PartsCount"] == 2, part
    # Sent again, because the answer got lost.
    again = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"], again

# Paginators, and what cannot be.
upload = s3.create_multipart_upload(Bucket="objects", Key="k")
place = {"Bucket": "objects", "Key": "k", "UploadId": upload["UploadId"]}
for number in range(1, 8):
    s3.upload_part(**place, PartNumber=number, Body=b"tiny")
pages = s3.get_paginator("list_parts").paginate(**place, PaginationConfig={"PageSize": 3})
assert [part["PartNumber"] for page in pages for part in page["Parts"]] == [1, 2, 3, 4, 5, 6, 7]
pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket="objects", PaginationConfig={"PageSize": 1})
assert [found["Key"] for page in pages for found in page.get("Uploads", [])] == ["k"]
parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in s3.list_parts(**place)["Parts"]]
for wrong, code in [(parts, "EntityTooSmall"), (parts[::-1], "InvalidPartOrder"), ([{"PartNumber": 9, "ETag": parts[0]["ETag"]}], "InvalidPart")]:
    try:
        s3.complete_multipart_upload(**place, MultipartUpload={"Parts": wrong})
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(code)
s3.abort_multipart_upload(**place)
try:
    s3.list_parts(**place)
except s3.exceptions.NoSuchUpload:
    pass
else:
    raise AssertionError("the upload is still there")
print("ok")
