"""The program in a pod, whose services stand behind a proxy that asks the authorizer; moto is what answers if the role may."""

import io
import sys
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

kind = sys.argv[1]
session = boto3.Session()
assert session.get_credentials().method == "assume-role-with-web-identity"
s3 = session.client("s3", config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}))


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error
    raise AssertionError(f"{call} was not refused")


# A bucket's body may say where it is to be: nginx shows none, but says that there is none.
s3.create_bucket(Bucket="photos")
refused("AccessDenied", s3.create_bucket, Bucket="others")
place = {"LocationConstraint": "eu-west-1"}
if kind == "nginx":
    error = refused("AccessDenied", s3.create_bucket, Bucket="photos", CreateBucketConfiguration=place)
    assert "body" in str(error), error

s3.put_object(Bucket="photos", Key="public/a.txt", Body=b"content")
assert s3.get_object(Bucket="photos", Key="public/a.txt")["Body"].read() == b"content"
assert s3.head_object(Bucket="photos", Key="public/a.txt")["ContentLength"] == 7
odd = "public/ü +&=?%2B (1)~'.txt"
s3.put_object(Bucket="photos", Key=odd, Body=b"odd")
assert s3.get_object(Bucket="photos", Key=odd)["Body"].read() == b"odd"
assert s3.list_objects_v2(Bucket="photos", Prefix="public/")["KeyCount"] == 2

# Refusals are S3's own, with codes, texts and ids that SDKs read.
error = refused("AccessDenied", s3.get_object, Bucket="photos", Key="private/a.txt")
text = 'is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::photos/private/a.txt"'
assert text in str(error), error
assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error.response
assert error.response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-request-id"), error.response
refused("AccessDenied", s3.put_object, Bucket="photos", Key="private/a.txt", Body=b"content")
refused("403", s3.head_object, Bucket="photos", Key="private/a.txt")
wrong = boto3.client("s3", aws_access_key_id="AKIAINVENTEDEXAMPLE1", aws_secret_access_key="invented")
refused("InvalidAccessKeyId", wrong.get_object, Bucket="photos", Key="public/a.txt")

# Larger than any buffer of the proxies.
large = bytes(range(256)) * 4096 * 6
parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=2)
s3.upload_fileobj(io.BytesIO(large), "photos", "public/large", Config=parts)
assert s3.get_object(Bucket="photos", Key="public/large")["Body"].read() == large

url = s3.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": "public/a.txt"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == b"content"
for other in (url.replace("a.txt", "b.txt"), url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")):
    try:
        urllib.request.urlopen(other)
        raise AssertionError("another URL than the one that was signed")
    except urllib.error.HTTPError as error:
        assert error.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in error.read(), error

keys = lambda *names: {"Objects": [{"Key": name} for name in names]}
if kind == "nginx":
    error = refused("AccessDenied", s3.delete_objects, Bucket="photos", Delete=keys("public/a.txt"))
    assert "body" in str(error), error
    s3.delete_object(Bucket="photos", Key="public/a.txt")
else:
    refused("AccessDenied", s3.delete_objects, Bucket="photos", Delete=keys("public/a.txt", "private/a.txt"))
    assert s3.delete_objects(Bucket="photos", Delete=keys("public/a.txt"))["Deleted"][0]["Key"] == "public/a.txt"
    dynamodb = session.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
    key = {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
    dynamodb.create_table(TableName="orders", BillingMode="PAY_PER_REQUEST", **key)
    dynamodb.put_item(TableName="orders", Item={"pk": {"S": "a"}, "n": {"N": "1"}})
    assert dynamodb.get_item(TableName="orders", Key={"pk": {"S": "a"}})["Item"]["n"] == {"N": "1"}
    error = refused("AccessDeniedException", dynamodb.get_item, TableName="secrets", Key={"pk": {"S": "a"}})
    assert "not authorized to perform: dynamodb:GetItem on resource" in str(error), error
    # Longer than Envoy's buffer: without the whole body there is no hash that was signed.
    long = {"pk": {"S": "long"}, "text": {"S": "x" * (1 << 21)}}
    refused("IncompleteSignatureException", dynamodb.put_item, TableName="orders", Item=long)
print("ok")
