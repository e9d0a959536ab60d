"""An administrator looks events up with boto3's CloudTrail client, by everything that they can be looked up by."""

import datetime

import boto3
from botocore.exceptions import ClientError

session = boto3.Session()
iam, trail = session.client("iam"), session.client("cloudtrail")
before = datetime.datetime.now(datetime.timezone.utc)
for number in range(7):
    iam.create_user(UserName=f"user-{number}")
iam.create_role(RoleName="reader", AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}')
key = iam.create_access_key(UserName="user-0")["AccessKey"]
user = boto3.client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
for call in (user.list_users, user.list_roles):
    try:
        call()
        raise AssertionError("a user without a policy may do nothing")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error


def by(name, value, **more):
    return trail.lookup_events(LookupAttributes=[{"AttributeKey": name, "AttributeValue": value}], **more)["Events"]


created = by("EventName", "CreateUser")
assert len(created) == 7, created
newest = created[0]
assert newest["Resources"] == [{"ResourceType": "AWS::IAM::User", "ResourceName": "user-6"}], newest
assert newest["Username"] == "root" and newest["ReadOnly"] == "false" and newest["EventSource"] == "iam.amazonaws.com", newest
assert before - datetime.timedelta(seconds=2) <= newest["EventTime"], newest
assert '"eventName":"CreateUser"' in newest["CloudTrailEvent"], newest
assert [event["EventId"] for event in by("EventId", newest["EventId"])] == [newest["EventId"]]
assert [event["EventName"] for event in by("Username", "user-0")] == ["ListRoles", "ListUsers"]
assert len(by("AccessKeyId", key["AccessKeyId"])) == 2
assert [event["EventName"] for event in by("ResourceName", "user-3")] == ["CreateUser"]
assert {event["EventName"] for event in by("ResourceType", "AWS::IAM::Role")} == {"CreateRole"}
assert {event["ReadOnly"] for event in by("ReadOnly", "true")} == {"true"}
assert {event["EventSource"] for event in by("EventSource", "cloudtrail.amazonaws.com")} == {"cloudtrail.amazonaws.com"}
assert by("EventName", "NoSuchEvent") == []

after = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
assert by("EventName", "CreateUser", StartTime=after) == []
assert len(by("EventName", "CreateUser", StartTime=before - datetime.timedelta(minutes=1), EndTime=after)) == 7
assert by("EventName", "CreateUser", EndTime=before - datetime.timedelta(minutes=1)) == []

first = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}], MaxResults=3)
assert len(first["Events"]) == 3 and first["NextToken"]
pages = trail.get_paginator("lookup_events").paginate(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}], PaginationConfig={"PageSize": 3})
sizes, names = [], []
for page in pages:
    sizes.append(len(page["Events"]))
    names += [event["Resources"][0]["ResourceName"] for event in page["Events"]]
assert sizes == [3, 3, 1] and names == [f"user-{number}" for number in reversed(range(7))], (sizes, names)


def refused(code, **arguments):
    try:
        trail.lookup_events(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (arguments, error)
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return
    raise AssertionError(f"{arguments} was not refused")


one = {"AttributeKey": "EventName", "AttributeValue": "CreateUser"}
refused("InvalidLookupAttributesException", LookupAttributes=[one, one])
refused("InvalidLookupAttributesException", LookupAttributes=[{"AttributeKey": "Colour", "AttributeValue": "x"}])
refused("InvalidLookupAttributesException", LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "x" * 2001}])
refused("InvalidLookupAttributesException", LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "maybe"}])
refused("InvalidTimeRangeException", StartTime=after, EndTime=before)
refused("InvalidMaxResultsException", MaxResults=51)
refused("InvalidNextTokenException", NextToken="bm90IG91cnM")
# A token is good for the query that it comes from.
refused("InvalidNextTokenException", NextToken=first["NextToken"], LookupAttributes=[dict(one, AttributeValue="CreateRole")])
refused("InvalidEventCategoryException", EventCategory="management")
assert trail.lookup_events(EventCategory="insight")["Events"] == []
try:
    boto3.client("cloudtrail", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]).lookup_events()
    raise AssertionError("a user without a policy may not look events up")
except ClientError as error:
    assert error.response["Error"]["Code"] == "AccessDeniedException", error
print("ok")
