"""Versions of objects with boto3: a bucket with hundreds of them is listed and emptied page by page."""

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
bucket = boto3.resource("s3").create_bucket(Bucket="many-versions")
bucket.Versioning().enable()
assert bucket.Versioning().status == "Enabled"

made = []
for number in range(130):
    key = f"k/{number % 7}"
    if number % 9 == 8:
        made.append((key, s3.delete_object(Bucket=bucket.name, Key=key)["VersionId"]))
    else:
        made.append((key, s3.put_object(Bucket=bucket.name, Key=key, Body=str(number))["VersionId"]))
assert len(set(made)) == 130

# Page by page, everything comes once: keys in order, of each key the newest first.
expected = sorted(range(130), key=lambda at: (made[at][0], -at))
for size in (1, 7, 50, 1000):
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket.name, PaginationConfig={"PageSize": size})
    listed = []
    for page in pages:
        versions = [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", [])]
        markers = [(m["Key"], m["VersionId"], m["IsLatest"]) for m in page.get("DeleteMarkers", [])]
        assert len(versions) + len(markers) <= size
        order = {version: at for at, (_, version) in enumerate(made)}
        listed += sorted(versions + markers, key=lambda entry: (entry[0], -order[entry[1]]))
    assert [(key, version) for key, version, _ in listed] == [made[at] for at in expected], size
    assert sum(latest for *_, latest in listed) == 7

# A version can be waited for, read by its id, and described.
key, version = made[0]
assert s3.get_object(Bucket=bucket.name, Key=key, VersionId=version)["Body"].read() == b"0"
assert boto3.resource("s3").ObjectVersion(bucket.name, key, version).head()["ContentLength"] == 1

try:
    bucket.delete()
    raise SystemExit("a bucket with versions was deleted")
except ClientError as error:
    assert error.response["Error"]["Code"] == "BucketNotEmpty", error

# As everybody empties a bucket: what a page lists is removed before the next page is asked for.
pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket.name, PaginationConfig={"PageSize": 13})
removed = 0
for page in pages:
    entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
    objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
    answer = s3.delete_objects(Bucket=bucket.name, Delete={"Objects": objects})
    assert len(answer["Deleted"]) == len(objects) and "Errors" not in answer, answer
    removed += len(objects)
assert removed == 130, removed
bucket.object_versions.delete()
bucket.delete()
print("ok")
