"""An administrator: IAM through boto3, with its paginators, waiters and exceptions."""

import json

import boto3

iam = boto3.client("iam")
account = boto3.client("sts").get_caller_identity()["Account"]
issuer = "https://oidc.example.com/id/ABC"


def trust(subject):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/oidc.example.com/id/ABC"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {"oidc.example.com/id/ABC:sub": subject}},
            }
        ],
    }


def raises(kind, call, **arguments):
    try:
        call(**arguments)
    except kind as error:
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call} was not refused")


# Providers.
provider = iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["A" * 40], Tags=[{"Key": "team", "Value": "a"}])
arn = provider["OpenIDConnectProviderArn"]
assert arn == f"arn:aws:iam::{account}:oidc-provider/oidc.example.com/id/ABC"
raises(iam.exceptions.EntityAlreadyExistsException, iam.create_open_id_connect_provider, Url=issuer, ThumbprintList=["A" * 40])
got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
assert got["Url"] == "oidc.example.com/id/ABC" and got["ClientIDList"] == ["sts.amazonaws.com"] and got["ThumbprintList"] == ["a" * 40], got
iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="other")
iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="other")
assert [entry["Arn"] for entry in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]] == [arn]

# Roles, and a paginator over them. Documents come back as objects: boto3 decodes what IAM percent-encodes.
names = [f"role-{number:03}" for number in range(25)]
for name in names:
    iam.create_role(RoleName=name, Path="/team/" if name == "role-003" else "/", AssumeRolePolicyDocument=json.dumps(trust(f"system:serviceaccount:a:{name}")))
iam.get_waiter("role_exists").wait(RoleName="role-024", WaiterConfig={"Delay": 1, "MaxAttempts": 1})
listed = [role["RoleName"] for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 4}) for role in page["Roles"]]
assert sorted(listed) == names, listed
assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/team/")["Roles"]] == ["role-003"]
role = iam.get_role(RoleName="role-003")["Role"]
assert role["Arn"] == f"arn:aws:iam::{account}:role/team/role-003" and role["MaxSessionDuration"] == 3600
assert role["AssumeRolePolicyDocument"] == trust("system:serviceaccount:a:role-003")
assert raises(iam.exceptions.EntityAlreadyExistsException, iam.create_role, RoleName="ROLE-000", AssumeRolePolicyDocument=json.dumps(trust("x")))
assert raises(iam.exceptions.NoSuchEntityException, iam.get_role, RoleName="none") == "The role with name none cannot be found."
assert raises(iam.exceptions.MalformedPolicyDocumentException, iam.create_role, RoleName="bad", AssumeRolePolicyDocument="{}")

# Inline and managed policies, versions, attachments.
read = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::my-bucket/*"}]}
iam.put_role_policy(RoleName="role-000", PolicyName="read", PolicyDocument=json.dumps(read))
assert iam.get_role_policy(RoleName="role-000", PolicyName="read")["PolicyDocument"] == read
policy = iam.create_policy(PolicyName="read", PolicyDocument=json.dumps(read))["Policy"]["Arn"]
iam.get_waiter("policy_exists").wait(PolicyArn=policy, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
for _ in range(4):
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=json.dumps(read), SetAsDefault=True)
raises(iam.exceptions.LimitExceededException, iam.create_policy_version, PolicyArn=policy, PolicyDocument=json.dumps(read))
versions = [version["VersionId"] for page in iam.get_paginator("list_policy_versions").paginate(PolicyArn=policy) for version in page["Versions"]]
assert versions == ["v5", "v4", "v3", "v2", "v1"], versions
raises(iam.exceptions.DeleteConflictException, iam.delete_policy_version, PolicyArn=policy, VersionId="v5")
iam.attach_role_policy(RoleName="role-000", PolicyArn=policy)
for managed in ("AmazonS3ReadOnlyAccess", "AmazonDynamoDBReadOnlyAccess", "AmazonElastiCacheFullAccess"):
    iam.attach_role_policy(RoleName="role-000", PolicyArn=f"arn:aws:iam::aws:policy/{managed}")
attached = [entry["PolicyName"] for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName="role-000") for entry in page["AttachedPolicies"]]
assert sorted(attached) == ["AmazonDynamoDBReadOnlyAccess", "AmazonElastiCacheFullAccess", "AmazonS3ReadOnlyAccess", "read"], attached
entities = iam.list_entities_for_policy(PolicyArn=policy)["PolicyRoles"]
assert [entity["RoleName"] for entity in entities] == ["role-000"]
raises(iam.exceptions.NoSuchEntityException, iam.attach_role_policy, RoleName="role-000", PolicyArn="arn:aws:iam::aws:policy/None")
raises(iam.exceptions.DeleteConflictException, iam.delete_role, RoleName="role-000")
raises(iam.exceptions.DeleteConflictException, iam.delete_policy, PolicyArn=policy)
local = [entry["PolicyName"] for page in iam.get_paginator("list_policies").paginate(Scope="Local") for entry in page["Policies"]]
assert local == ["read"], local

# Tags.
iam.tag_role(RoleName="role-001", Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}])
assert {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName="role-001")["Tags"]} == {"a": "1", "b": "2"}
iam.untag_role(RoleName="role-001", TagKeys=["a"])

# Users and their keys. A user may what its policies say.
iam.create_user(UserName="maria")
iam.get_waiter("user_exists").wait(UserName="maria", WaiterConfig={"Delay": 1, "MaxAttempts": 1})
key = iam.create_access_key(UserName="maria")["AccessKey"]
maria = boto3.Session(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
assert maria.client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:user/maria"
assert boto3.client("sts").get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == account
try:
    maria.client("iam").create_role(RoleName="hers", AssumeRolePolicyDocument=json.dumps(trust("x")))
    raise AssertionError("a user without policies made a role")
except maria.client("iam").exceptions.ClientError as error:
    assert error.response["Error"]["Code"] == "AccessDenied", error
iam.update_access_key(UserName="maria", AccessKeyId=key["AccessKeyId"], Status="Inactive")
try:
    maria.client("sts").get_caller_identity()
    raise AssertionError("an inactive key was served")
except maria.client("sts").exceptions.ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidClientTokenId", error

# The account as a whole.
assert iam.get_account_summary()["SummaryMap"]["Roles"] == 25
details = [role["RoleName"] for page in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 7}) for role in page["RoleDetailList"]]
assert sorted(details) == names, details

# Away with it.
for entry in iam.list_attached_role_policies(RoleName="role-000")["AttachedPolicies"]:
    iam.detach_role_policy(RoleName="role-000", PolicyArn=entry["PolicyArn"])
iam.delete_role_policy(RoleName="role-000", PolicyName="read")
for name in names:
    iam.delete_role(RoleName=name)
for version in ("v1", "v2", "v3", "v4"):
    iam.delete_policy_version(PolicyArn=policy, VersionId=version)
iam.delete_policy(PolicyArn=policy)
iam.delete_access_key(UserName="maria", AccessKeyId=key["AccessKeyId"])
iam.delete_user(UserName="maria")
iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
summary = iam.get_account_summary()["SummaryMap"]
assert summary["Roles"] == 0 and summary["Policies"] == 0 and summary["Users"] == 0 and summary["Providers"] == 0, summary

# Clusters.
eks = boto3.client("eks")
eks.create_cluster(name="one", roleArn=f"arn:aws:iam::{account}:role/cluster", resourcesVpcConfig={})
eks.get_waiter("cluster_active").wait(name="one", WaiterConfig={"Delay": 1, "MaxAttempts": 1})
assert eks.describe_cluster(name="one")["cluster"]["identity"]["oidc"]["issuer"].startswith("https://")
assert eks.list_clusters()["clusters"] == ["one"]
raises(eks.exceptions.ResourceInUseException, eks.create_cluster, name="one", roleArn=f"arn:aws:iam::{account}:role/cluster", resourcesVpcConfig={})
eks.delete_cluster(name="one")
raises(eks.exceptions.ResourceNotFoundException, eks.describe_cluster, name="one")
print("ok")
