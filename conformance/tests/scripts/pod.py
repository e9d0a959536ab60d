"""The program in a pod: its credentials come from AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE alone."""

import datetime
import os
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

account = os.environ["ACCOUNT"]
session = boto3.Session()
s3 = session.client("s3")
sts = session.client("sts")
assert session.get_credentials().method == "assume-role-with-web-identity"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error
    raise AssertionError(f"{call} was not refused")


# Who we are: the role, under the session name that the SDK chose.
identity = sts.get_caller_identity()
assert identity["Account"] == account
assert identity["Arn"].startswith(f"arn:aws:sts::{account}:assumed-role/app/"), identity["Arn"]
assert identity["UserId"].startswith("AROA") and ":" in identity["UserId"]

# What the role may.
keys = [item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="my-bucket", PaginationConfig={"PageSize": 1}) for item in page["Contents"]]
assert keys == ["a", "b/c"], keys
assert [item["Key"] for item in s3.list_objects(Bucket="my-bucket")["Contents"]] == ["a", "b/c"]
got = s3.get_object(Bucket="my-bucket", Key="a")
assert got["Body"].read() == b"content of a"
assert s3.get_object(Bucket="my-bucket", Key="a", Range="bytes=-1")["Body"].read() == b"a"
assert s3.head_object(Bucket="my-bucket", Key="b/c")["ContentLength"] == 12

# What it may not.
denied = refused("AccessDenied", s3.put_object, Bucket="my-bucket", Key="new", Body=b"x")
assert denied.response["ResponseMetadata"]["HTTPStatusCode"] == 403
assert "is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::my-bucket/new\" because no identity-based policy allows the s3:PutObject action" in str(denied), denied
refused("AccessDenied", s3.delete_object, Bucket="my-bucket", Key="a")
refused("AccessDenied", s3.get_object, Bucket="others", Key="a")
refused("AccessDenied", s3.list_buckets)
refused("AccessDenied", session.client("iam").list_roles)
# Whoever may list learns that a key is not there.
refused("NoSuchKey", s3.get_object, Bucket="my-bucket", Key="nothing")

# Links that work without credentials: an object, and who we are (as cluster authenticators use it).
for addressing in ("path",):
    link = session.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": addressing})).generate_presigned_url(
        "get_object", Params={"Bucket": "my-bucket", "Key": "a"}, ExpiresIn=60
    )
    assert urllib.request.urlopen(link).read() == b"content of a"
try:
    urllib.request.urlopen(link.replace("/a?", "/b/c?"))
    raise AssertionError("a link opened another object")
except urllib.error.HTTPError as error:
    assert error.code == 403
link = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
answer = ElementTree.fromstring(urllib.request.urlopen(link).read())
assert any(element.text == identity["Arn"] for element in answer.iter()), link

# A short session, used up: the SDK exchanges the token again.
credentials = session.get_credentials()
first = credentials.get_frozen_credentials()
# (The SDK has no switch for the length of a session: what it remembers of the first one is taken from it.)
credentials._refresh_using.__self__._cache.clear()
credentials._expiry_time = datetime.datetime.now(datetime.timezone.utc)
second = credentials.get_frozen_credentials()
assert first.access_key != second.access_key and second.access_key.startswith("ASIA")
assert sts.get_caller_identity()["Account"] == account
anonymous = boto3.client("sts", config=Config(signature_version="unsigned"))
with open(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]) as file:
    token = file.read()
arguments = {"RoleArn": os.environ["AWS_ROLE_ARN"], "RoleSessionName": "short", "WebIdentityToken": token}
exchanged = anonymous.assume_role_with_web_identity(DurationSeconds=900, **arguments)
left = exchanged["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
assert 895 <= left.total_seconds() <= 901, left
assert exchanged["SubjectFromWebIdentityToken"] == "system:serviceaccount:app:reader"
assert exchanged["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/app/short"

# What the exchange refuses.
refused("ValidationError", anonymous.assume_role_with_web_identity, DurationSeconds=43201, **arguments)
refused("ValidationError", anonymous.assume_role_with_web_identity, DurationSeconds=3601, **arguments)
refused("InvalidIdentityToken", anonymous.assume_role_with_web_identity, **{**arguments, "WebIdentityToken": token[:-8] + "AAAAAAAA"})
refused("AccessDenied", anonymous.assume_role_with_web_identity, **{**arguments, "RoleArn": f"arn:aws:iam::{account}:role/none"})

# A session policy narrows, and never widens.
narrow = anonymous.assume_role_with_web_identity(
    Policy='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::my-bucket/b/*"}}', **arguments
)["Credentials"]
narrowed = boto3.client(
    "s3", aws_access_key_id=narrow["AccessKeyId"], aws_secret_access_key=narrow["SecretAccessKey"], aws_session_token=narrow["SessionToken"]
)
assert narrowed.get_object(Bucket="my-bucket", Key="b/c")["Body"].read() == b"content of c"
refused("AccessDenied", narrowed.get_object, Bucket="my-bucket", Key="a")
refused("AccessDenied", narrowed.put_object, Bucket="my-bucket", Key="b/new", Body=b"x")
print("ok")
