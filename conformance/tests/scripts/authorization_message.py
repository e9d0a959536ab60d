"""A user who may do nothing: prints the authorization messages of a denied call of IAM and one of S3."""

import json

import boto3
from botocore.exceptions import ClientError

iam = boto3.client("iam")
iam.create_user(UserName="ann")
deny = {"Version": "2012-10-17", "Statement": {"Sid": "Nothing", "Effect": "Deny", "Action": "*", "Resource": "*"}}
iam.put_user_policy(UserName="ann", PolicyName="nothing", PolicyDocument=json.dumps(deny))
key = iam.create_access_key(UserName="ann")["AccessKey"]
boto3.client("s3").create_bucket(Bucket="hers")
session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])

for call in (
    lambda: session.client("iam").list_users(),
    lambda: session.client("s3").get_object(Bucket="hers", Key="a"),
):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error
        print(error.response["ResponseMetadata"]["HTTPHeaders"]["x-irsa-authorization-message"])
    else:
        raise AssertionError("she was let in")
