"""The program in a pod, whose buckets are in a store behind the server: a store that nobody here wrote keeps the objects, if the role may."""

import io
import os
import urllib.request
import zlib

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

session = boto3.Session()
assert session.get_credentials().method == "assume-role-with-web-identity"
s3 = session.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}))


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] in code.split("|"), error
        return error
    raise AssertionError(f"{call} was not refused")


s3.create_bucket(Bucket="app-data")
assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["app-data"]
s3.head_bucket(Bucket="app-data")

# Content, with the checksums that the SDK makes (a trailer or a header), and metadata.
s3.put_object(Bucket="app-data", Key="in/a b+c", Body=b"hello", ContentType="text/plain", Metadata={"color": "blue"})
got = s3.get_object(Bucket="app-data", Key="in/a b+c")
assert got["Body"].read() == b"hello" and got["ContentType"] == "text/plain" and got["Metadata"] == {"color": "blue"}
for algorithm in ("CRC32", "SHA1", "SHA256"):
    s3.put_object(Bucket="app-data", Key=f"in/{algorithm}", Body=io.BytesIO(b"x" * 100_000), ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket="app-data", Key=f"in/{algorithm}", ChecksumMode="ENABLED")
    assert head["ContentLength"] == 100_000, head
part = s3.get_object(Bucket="app-data", Key="in/CRC32", Range="bytes=10-19")
assert part["Body"].read() == b"x" * 10 and part["ResponseMetadata"]["HTTPStatusCode"] == 206
refused("304", s3.get_object, Bucket="app-data", Key="in/CRC32", IfNoneMatch=head["ETag"])
refused("PreconditionFailed", s3.get_object, Bucket="app-data", Key="in/CRC32", IfMatch='"0"')

# Names.
for key in ("in/%2F", "in/a?b#c", "in/ä", "in/~!*'()", "in/x=1&y", "in/trailing/"):
    s3.put_object(Bucket="app-data", Key=key, Body=key.encode())
    assert s3.get_object(Bucket="app-data", Key=key)["Body"].read() == key.encode(), key
listed = [found["Key"] for found in s3.list_objects_v2(Bucket="app-data", Prefix="in/")["Contents"]]
assert "in/a?b#c" in listed and "in/ä" in listed, listed
page = s3.list_objects_v2(Bucket="app-data", Prefix="in/", MaxKeys=2)
assert page["IsTruncated"] and s3.list_objects_v2(Bucket="app-data", Prefix="in/", ContinuationToken=page["NextContinuationToken"])["KeyCount"]

# Copies and parts.
s3.copy_object(Bucket="app-data", Key="in/copy", CopySource={"Bucket": "app-data", "Key": "in/a b+c"})
assert s3.get_object(Bucket="app-data", Key="in/copy")["Body"].read() == b"hello"
upload = s3.create_multipart_upload(Bucket="app-data", Key="in/parts")["UploadId"]
one = s3.upload_part(Bucket="app-data", Key="in/parts", UploadId=upload, PartNumber=1, Body=b"a" * (5 << 20))
two = s3.upload_part_copy(Bucket="app-data", Key="in/parts", UploadId=upload, PartNumber=2, CopySource="app-data/in/CRC32")
assert len(s3.list_parts(Bucket="app-data", Key="in/parts", UploadId=upload)["Parts"]) == 2
parts = [{"PartNumber": 1, "ETag": one["ETag"]}, {"PartNumber": 2, "ETag": two["CopyPartResult"]["ETag"]}]
done = s3.complete_multipart_upload(Bucket="app-data", Key="in/parts", UploadId=upload, MultipartUpload={"Parts": parts})
assert os.environ["UPSTREAM"].split("//")[1] not in done.get("Location", ""), done
assert s3.head_object(Bucket="app-data", Key="in/parts")["ContentLength"] == (5 << 20) + 100_000
gone = s3.create_multipart_upload(Bucket="app-data", Key="in/parts")["UploadId"]
assert [found["UploadId"] for found in s3.list_multipart_uploads(Bucket="app-data")["Uploads"]] == [gone]
# This store looks at the id alone.
refused("NoSuchUpload", s3.upload_part, Bucket="app-data", Key="in/other", UploadId=gone, PartNumber=1, Body=b"x")
s3.abort_multipart_upload(Bucket="app-data", Key="in/parts", UploadId=gone)
s3.upload_fileobj(io.BytesIO(os.urandom(20 << 20)), "app-data", "in/large")

# Tags.
s3.put_object_tagging(Bucket="app-data", Key="in/copy", Tagging={"TagSet": [{"Key": "team", "Value": "a"}]})
assert s3.get_object_tagging(Bucket="app-data", Key="in/copy")["TagSet"] == [{"Key": "team", "Value": "a"}]
s3.delete_object_tagging(Bucket="app-data", Key="in/copy")

# What the role may not.
denied = refused("AccessDenied", s3.put_object, Bucket="app-data", Key="out/a", Body=b"x")
assert "not authorized to perform: s3:PutObject on resource" in str(denied), denied
# A name that a store may take for a path.
refused("InvalidURI", s3.get_object, Bucket="app-data", Key="in/../out/a")
refused("AccessDenied", s3.copy_object, Bucket="app-data", Key="in/b", CopySource={"Bucket": "secrets", "Key": "in/a"})
refused("AccessDenied", s3.list_objects_v2, Bucket="secrets")
refused("NoSuchKey", s3.get_object, Bucket="app-data", Key="in/none")
many = s3.delete_objects(Bucket="app-data", Delete={"Objects": [{"Key": "in/copy"}, {"Key": "out/a"}]})
assert [found["Key"] for found in many["Deleted"]] == ["in/copy"] and [found["Code"] for found in many["Errors"]] == ["AccessDenied"], many

# A URL is as good as its signer.
url = s3.generate_presigned_url("get_object", Params={"Bucket": "app-data", "Key": "in/a b+c"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == b"hello"

# A checksum that lies.
wrong = "AAAAAA=="
assert zlib.crc32(b"hello") != 0
refused("BadDigest|InvalidRequest", s3.put_object, Bucket="app-data", Key="in/lie", Body=b"hello", ChecksumCRC32=wrong)
refused("NoSuchKey", s3.get_object, Bucket="app-data", Key="in/lie")
print("ok")
