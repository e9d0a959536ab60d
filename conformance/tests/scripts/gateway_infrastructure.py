"""The program in a pod: databases, caches, brokers, groups, zones and load balancers behind the gateway, each by its name or ARN."""

import os

import boto3
from botocore.exceptions import ClientError

session = boto3.Session()
assert session.get_credentials().method == "assume-role-with-web-identity"
client = session.client


def operator(service):
    """Speaks to the server behind the gateway directly, for what the pod finds there already."""
    return boto3.client(service, endpoint_url=os.environ["UPSTREAM"], aws_access_key_id="operator", aws_secret_access_key="operator")


def refused(call, code=("AccessDenied", "AccessDeniedException"), **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] in code, error
        return error
    raise AssertionError(f"{call} was not refused")


rds = client("rds")
database = {"DBInstanceClass": "db.t3.micro", "Engine": "postgres", "AllocatedStorage": 20, "MasterUsername": "a", "MasterUserPassword": "not-so-secret"}
made = rds.create_db_instance(DBInstanceIdentifier="orders", **database)["DBInstance"]
assert rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]["Engine"] == "postgres"
# RDS does not tell capitals from small letters, and takes ARNs for names.
rds.modify_db_instance(DBInstanceIdentifier="ORDERS", BackupRetentionPeriod=2)
assert rds.describe_db_instances(DBInstanceIdentifier=made["DBInstanceArn"])["DBInstances"]
error = refused(rds.create_db_instance, DBInstanceIdentifier="payroll", **database)
assert "rds:CreateDBInstance on resource: arn:aws:rds:us-east-1:111122223333:db:payroll" in str(error), error
refused(rds.describe_db_instances, DBInstanceIdentifier="payroll")
refused(rds.describe_db_instances)
refused(rds.delete_db_instance, DBInstanceIdentifier="orders", SkipFinalSnapshot=True)
# A copy of a database that the role may not touch, under a name that it may use.
refused(rds.create_db_instance_read_replica, DBInstanceIdentifier="orders", SourceDBInstanceIdentifier="payroll")
refused(rds.restore_db_instance_to_point_in_time, TargetDBInstanceIdentifier="orders", SourceDBInstanceIdentifier="payroll", UseLatestRestorableTime=True)

cache = client("elasticache")
cache.create_cache_cluster(CacheClusterId="sessions", Engine="memcached", CacheNodeType="cache.t3.micro", NumCacheNodes=1)
assert cache.describe_cache_clusters(CacheClusterId="sessions")["CacheClusters"][0]["CacheClusterId"] == "sessions"
refused(cache.describe_cache_clusters, CacheClusterId="others")
refused(cache.delete_cache_cluster, CacheClusterId="sessions")
refused(cache.create_cache_cluster, CacheClusterId="others", Engine="memcached", CacheNodeType="cache.t3.micro", NumCacheNodes=1)

mq = client("mq")
broker = {"DeploymentMode": "SINGLE_INSTANCE", "EngineType": "ACTIVEMQ", "EngineVersion": "5.18", "HostInstanceType": "mq.t3.micro", "PubliclyAccessible": False, "AutoMinorVersionUpgrade": False, "Users": [{"Username": "admin", "Password": "adminadminadmin"}]}
own = mq.create_broker(BrokerName="own", **broker)["BrokerId"]
other = operator("mq").create_broker(BrokerName="other", **broker)["BrokerId"]
assert len(mq.list_brokers()["BrokerSummaries"]) == 2
# Which broker an id is of, the request does not say: the role may use all brokers but is denied to reboot them, and has no word on configurations.
assert mq.describe_broker(BrokerId=own)["BrokerName"] == "own"
refused(mq.reboot_broker, BrokerId=own)
refused(mq.delete_broker, BrokerId=other)
refused(mq.create_configuration, Name="c", EngineType="ACTIVEMQ", EngineVersion="5.18")

groups = client("autoscaling")
operator("ec2").describe_availability_zones()
image = operator("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
groups.create_launch_configuration(LaunchConfigurationName="web", ImageId=image, InstanceType="t3.micro")
groups.create_auto_scaling_group(AutoScalingGroupName="web", LaunchConfigurationName="web", MinSize=0, MaxSize=1, DesiredCapacity=0, AvailabilityZones=["us-east-1a"], Tags=[{"Key": "team", "Value": "a", "ResourceId": "web", "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}])
assert groups.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]["MaxSize"] == 1
groups.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
refused(groups.set_desired_capacity, AutoScalingGroupName="others", DesiredCapacity=1)
refused(groups.delete_auto_scaling_group, AutoScalingGroupName="web")
refused(groups.create_launch_configuration, LaunchConfigurationName="others", ImageId=image, InstanceType="t3.micro")

zones = client("route53")
zone = zones.create_hosted_zone(Name="example.test.", CallerReference="1")["HostedZone"]["Id"]


def change(name, kind="A", action="UPSERT"):
    return {"Changes": [{"Action": action, "ResourceRecordSet": {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}}]}


zones.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change("app.example.test"))
names = [found["Name"] for found in zones.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]]
assert "app.example.test." in names, names
assert zones.list_hosted_zones()["HostedZones"]
# Names are compared as Route 53 writes them, and each record of a change counts.
zones.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change("APP.example.test."))
refused(zones.change_resource_record_sets, HostedZoneId=zone, ChangeBatch=change("www.example.test"))
both = {"Changes": change("app.example.test")["Changes"] + change("www.example.test")["Changes"]}
refused(zones.change_resource_record_sets, HostedZoneId=zone, ChangeBatch=both)
refused(zones.delete_hosted_zone, Id=zone)

classic = client("elb")
listener = {"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 8080}
classic.create_load_balancer(LoadBalancerName="old", Listeners=[listener], AvailabilityZones=["us-east-1a"])
assert classic.describe_load_balancers(LoadBalancerNames=["old"])["LoadBalancerDescriptions"][0]["LoadBalancerName"] == "old"
classic.create_load_balancer_listeners(LoadBalancerName="old", Listeners=[dict(listener, LoadBalancerPort=81)])
refused(classic.delete_load_balancer, LoadBalancerName="old")
refused(classic.create_load_balancer_listeners, LoadBalancerName="others", Listeners=[listener])

subnets = [subnet["SubnetId"] for subnet in operator("ec2").describe_subnets()["Subnets"][:2]]
balancers = client("elbv2")
front = balancers.create_load_balancer(Name="front", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
assert balancers.describe_load_balancers(LoadBalancerArns=[front])["LoadBalancers"][0]["LoadBalancerName"] == "front"
balancers.modify_load_balancer_attributes(LoadBalancerArn=front, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "90"}])
# The type is a part of the name in policies.
refused(balancers.create_load_balancer, Name="front", Type="network", Subnets=subnets)
refused(balancers.create_load_balancer, Name="others", Subnets=subnets)
back = operator("elbv2").create_load_balancer(Name="back", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
refused(balancers.modify_load_balancer_attributes, LoadBalancerArn=back, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "90"}])
refused(balancers.add_tags, ResourceArns=[front, back], Tags=[{"Key": "team", "Value": "a"}])
balancers.add_tags(ResourceArns=[front], Tags=[{"Key": "team", "Value": "a"}])
refused(balancers.delete_load_balancer, LoadBalancerArn=front)
print("ok")
