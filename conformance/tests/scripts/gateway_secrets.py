"""The program in a pod: keys, parameters and secrets behind the gateway, by all the names that they have."""

import boto3
from botocore.exceptions import ClientError

session = boto3.Session()
assert session.get_credentials().method == "assume-role-with-web-identity"
client = session.client


def refused(call, code="AccessDeniedException", **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error
    raise AssertionError(f"{call} was not refused")


kms = client("kms")
one, two = (kms.create_key()["KeyMetadata"] for _ in range(2))
kms.create_alias(AliasName="alias/app", TargetKeyId=one["KeyId"])
refused(kms.create_alias, AliasName="alias/others", TargetKeyId=one["KeyId"])
# An alias stands for itself: the policy names it beside the key.
cipher = kms.encrypt(KeyId="alias/app", Plaintext=b"x")["CiphertextBlob"]
assert kms.encrypt(KeyId=f"arn:aws:kms:us-east-1:111122223333:alias/app", Plaintext=b"x")["CiphertextBlob"]
refused(kms.encrypt, KeyId=one["KeyId"], Plaintext=b"x")
refused(kms.encrypt, KeyId="alias/others", Plaintext=b"x")
# Neither another region's key nor another account's.
refused(kms.encrypt, "ValidationException", KeyId=one["Arn"].replace("us-east-1", "eu-west-1"), Plaintext=b"x")
refused(kms.encrypt, KeyId="arn:aws:kms:us-east-1:444455556666:alias/app", Plaintext=b"x")
# Decryption without a key's name is a question about all keys, and the role may not use all.
refused(kms.decrypt, CiphertextBlob=cipher)
assert kms.decrypt(CiphertextBlob=cipher, KeyId="alias/app")["Plaintext"] == b"x"
# To encrypt anew is to decrypt under one key and to encrypt under the other.
refused(kms.re_encrypt, CiphertextBlob=cipher, DestinationKeyId="alias/app")
assert kms.re_encrypt(CiphertextBlob=cipher, SourceKeyId="alias/app", DestinationKeyId="alias/app")["CiphertextBlob"]
refused(kms.re_encrypt, CiphertextBlob=cipher, SourceKeyId="alias/app", DestinationKeyId=two["KeyId"])
assert kms.describe_key(KeyId="alias/app")["KeyMetadata"]["KeyId"] == one["KeyId"]
refused(kms.create_grant, KeyId=one["KeyId"], GranteePrincipal="arn:aws:iam::111122223333:role/x", Operations=["Decrypt"])

ssm = client("ssm")
ssm.put_parameter(Name="/app/db/password", Value="1", Type="SecureString")
ssm.put_parameter(Name="/app/db/password", Value="2", Type="SecureString", Overwrite=True)
ssm.label_parameter_version(Name="/app/db/password", ParameterVersion=1, Labels=["old"])
arn = ssm.get_parameter(Name="/app/db/password", WithDecryption=True)["Parameter"]["ARN"]
for name in (arn, "/app/db/password:1", "/app/db/password:old"):
    assert ssm.get_parameter(Name=name)["Parameter"]["Name"] == "/app/db/password", name
assert ssm.get_parameters_by_path(Path="/app", Recursive=True)["Parameters"]
refused(ssm.get_parameter, Name="/other/x")
refused(ssm.get_parameter, Name=arn.replace("parameter/app", "parameter/other"))
refused(ssm.get_parameters_by_path, Path="/", Recursive=True)
refused(ssm.delete_parameters, Names=["/app/db/password", "/other/x"])
refused(ssm.get_parameter, "ValidationException", Name="/app/../other/x")
ssm.delete_parameters(Names=["/app/db/password"])

secrets = client("secretsmanager")
arn = secrets.create_secret(Name="app/db", SecretString="1", Tags=[{"Key": "team", "Value": "a"}])["ARN"]
secrets.put_secret_value(SecretId=arn, SecretString="2")
assert secrets.get_secret_value(SecretId="app/db", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
assert secrets.describe_secret(SecretId=arn)["Name"] == "app/db"
found = secrets.batch_get_secret_value(SecretIdList=["app/db"])["SecretValues"]
assert found[0]["SecretString"] == "2"
refused(secrets.batch_get_secret_value, SecretIdList=["app/db", "other/db"])
# A name that only begins as a permitted one, and an ARN without its random end, which would find the secret all the same.
refused(secrets.get_secret_value, SecretId="application")
refused(secrets.get_secret_value, "ValidationException", SecretId=arn[:-7])
refused(secrets.get_secret_value, SecretId=arn.replace("app/db", "other/db"))
refused(secrets.delete_secret, SecretId="app/db")
print("ok")
