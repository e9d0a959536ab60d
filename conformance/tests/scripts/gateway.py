"""The program in a pod, whose services stand behind the gateway: a server that nobody here wrote answers, if the role may."""

import json

import boto3
from botocore.exceptions import ClientError

session = boto3.Session()
assert session.get_credentials().method == "assume-role-with-web-identity"
client = session.client


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error
    raise AssertionError(f"{call} was not refused")


dynamodb = client("dynamodb")
key = {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
dynamodb.create_table(TableName="orders", BillingMode="PAY_PER_REQUEST", **key)
dynamodb.put_item(TableName="orders", Item={"pk": {"S": "a"}, "n": {"N": "1"}})
assert dynamodb.get_item(TableName="orders", Key={"pk": {"S": "a"}})["Item"]["n"] == {"N": "1"}
found = dynamodb.query(TableName="orders", KeyConditionExpression="pk = :a", ExpressionAttributeValues={":a": {"S": "a"}})
assert found["Count"] == 1
dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "orders", "Item": {"pk": {"S": "b"}}}}])
assert len(dynamodb.batch_get_item(RequestItems={"orders": {"Keys": [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]}})["Responses"]["orders"]) == 2
denied = refused("AccessDeniedException", dynamodb.get_item, TableName="secrets", Key={"pk": {"S": "a"}})
assert "not authorized to perform: dynamodb:GetItem on resource" in str(denied), denied
refused("AccessDeniedException", dynamodb.delete_table, TableName="orders")
refused("AccessDeniedException", dynamodb.batch_get_item, RequestItems={table: {"Keys": [{"pk": {"S": "a"}}]} for table in ("orders", "secrets")})
refused("AccessDeniedException", dynamodb.execute_statement, Statement='SELECT * FROM "orders"')

sqs = client("sqs")
url = sqs.create_queue(QueueName="jobs", tags={"team": "a"})["QueueUrl"]
sqs.send_message(QueueUrl=url, MessageBody="hello")
sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "again"}])
assert sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"][0]["Body"] in ("hello", "again")
refused("AccessDeniedException", sqs.create_queue, QueueName="others")
refused("AccessDeniedException", sqs.purge_queue, QueueUrl=url)

sns = client("sns")
topic = sns.create_topic(Name="news")["TopicArn"]
sns.publish(TopicArn=topic, Message="hello")
refused("AuthorizationError", sns.publish, TopicArn=topic.replace("news", "others"), Message="hello")
refused("AuthorizationError", sns.delete_topic, TopicArn=topic)

secrets = client("secretsmanager")
arn = secrets.create_secret(Name="app/db", SecretString="s")["ARN"]
assert secrets.get_secret_value(SecretId="app/db")["SecretString"] == "s"
assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "s"
refused("AccessDeniedException", secrets.get_secret_value, SecretId="other/db")
refused("AccessDeniedException", secrets.list_secrets)

ssm = client("ssm")
ssm.put_parameter(Name="/app/a", Value="1", Type="String")
assert ssm.get_parameter(Name="/app/a")["Parameter"]["Value"] == "1"
assert ssm.get_parameters_by_path(Path="/app")["Parameters"][0]["Name"] == "/app/a"
refused("AccessDeniedException", ssm.get_parameters, Names=["/app/a", "/other/a"])

kms = client("kms")
made = kms.create_key()["KeyMetadata"]
cipher = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"x", EncryptionContext={"app": "a"})["CiphertextBlob"]
assert kms.decrypt(CiphertextBlob=cipher, KeyId=made["Arn"], EncryptionContext={"app": "a"})["Plaintext"] == b"x"
refused("AccessDeniedException", kms.encrypt, KeyId=made["KeyId"], Plaintext=b"x", EncryptionContext={"app": "b"})
refused("AccessDeniedException", kms.schedule_key_deletion, KeyId=made["KeyId"])
print("ok")
