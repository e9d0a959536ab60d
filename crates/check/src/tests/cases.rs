//! One row a rule: its code, the kind of policy, a text with the marked place of a finding, and a text without one.
//!
//! A text that does not begin with `{` is the inside of a statement in a policy of version 2012-10-17.

use std::collections::BTreeSet;

use super::*;
use crate::rules;

struct Row(&'static str, &'static str, &'static str, &'static str);

/// A statement of a trust policy for an issuer, with the inside of its `Condition`.
macro_rules! trust {
    ($condition:literal) => {
        concat!(
            r#""Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"},"#,
            r#""Action":"sts:AssumeRoleWithWebIdentity","Condition":{"#,
            $condition,
            "}"
        )
    };
}

/// A statement that allows reading objects, with the inside of its `Condition`.
macro_rules! when {
    ($condition:literal) => {
        concat!(
            r#""Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"#,
            $condition,
            "}"
        )
    };
}

/// The same that denies.
macro_rules! deny {
    ($condition:literal) => {
        concat!(
            r#""Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"#,
            $condition,
            "}"
        )
    };
}

const GOOD: &str = r#""Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*""#;
const GOOD_TRUST: &str = trust!(
    r#""StringEquals":{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:sa","oidc.example.com/id/A:aud":"sts.amazonaws.com"}"#
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // What is refused.
    Row("MalformedPolicyDocument", "identity", r#"«{»"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}"#, GOOD),
    Row("MalformedPolicy", "resource", r#"«{»"Statement":[{"Effect":"Allow"}]}"#, r#""Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*""#),
    Row("InvalidPolicyDocument", "vpce", r#"«{»"Statement":[{"Effect":"Allow"}]}"#, r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#),
    Row("MalformedPolicyDocumentException", "scp", r#"«{»"Statement":[{"Effect":"Allow","Action":"*"}]}"#, r#""Effect":"Allow","Action":"*","Resource":"*""#),
    Row("ValidationError", "identity", "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"\",\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b«\u{20ac}»\"}]}", "\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b\u{fc}\""),
    // Structure.
    Row("JSON_SYNTAX_ERROR", "identity", r#"{"Version":"2012-10-17","Statement":[«}»]}"#, GOOD),
    Row("DATA_TYPE_MISMATCH", "identity", r#""Effect":"Allow","Action":[«1»],"Resource":"*""#, GOOD),
    Row("INVALID_POLICY_ELEMENT", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":"*",«"Conditions"»:{}"#, GOOD),
    Row("MISSING_STATEMENT", "identity", r#"«{»"Version":"2012-10-17","PolicyDocument":{}}"#, GOOD),
    // Elements.
    Row("INVALID_VERSION", "identity", r#"{"Version":«"2012-10-18"»,"Statement":[]}"#, GOOD),
    Row("MISSING_VERSION", "resource", r#"«{»"Statement":[]}"#, GOOD),
    Row("IRSA_OLD_VERSION", "trust", r#"{"Version":«"2008-10-17"»,"Statement":[]}"#, GOOD_TRUST),
    Row("MISSING_EFFECT", "identity", r#"{"Version":"2012-10-17","Statement":[«{»"Action":"s3:*","Resource":"*"}]}"#, GOOD),
    Row("INVALID_EFFECT", "identity", r#""Effect":«"allow"»,"Action":"s3:*","Resource":"*""#, GOOD),
    Row("UNSUPPORTED_SID", "identity", r#""Sid":«"a-b"»,"Effect":"Allow","Action":"s3:*","Resource":"*""#, r#""Sid":"aB1","Effect":"Allow","Action":"s3:*","Resource":"*""#),
    Row("EMPTY_SID_VALUE", "identity", r#""Sid":«""»,"Effect":"Allow","Action":"s3:*","Resource":"*""#, GOOD),
    Row("UNIQUE_SIDS_REQUIRED", "identity", r#"{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"s3:GetObject","Resource":"*"},{"Sid":«"A"»,"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Action":"s3:GetObject","Resource":"*"},{"Sid":"","Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}"#),
    Row("UNIQUE_SIDS_RECOMMENDED", "scp", r#"{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":"s3:GetObject","Resource":"*"},{"Sid":«"A"»,"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}]}"#, GOOD),
    Row("MISSING_ACTION", "identity", r#"{"Version":"2012-10-17","Statement":[«{»"Effect":"Allow","Resource":"*"}]}"#, r#""Effect":"Deny","NotAction":"s3:*","Resource":"*""#),
    Row("MISSING_RESOURCE", "identity", r#"{"Version":"2012-10-17","Statement":[«{»"Effect":"Allow","Action":"s3:*"}]}"#, r#""Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::b""#),
    Row("MISSING_PRINCIPAL", "trust", r#"{"Version":"2012-10-17","Statement":[«{»"Effect":"Allow","Action":"sts:AssumeRole"}]}"#, GOOD_TRUST),
    Row("UNSUPPORTED_ELEMENT_COMBINATION", "identity", r#""Effect":"Allow","Action":"s3:*",«"NotAction"»:"s3:*","Resource":"*""#, GOOD),
    Row("UNSUPPORTED_PRINCIPAL", "identity", r#""Effect":"Allow",«"Principal"»:"*","Action":"s3:*","Resource":"*""#, GOOD),
    Row("EMPTY_ARRAY_ACTION", "identity", r#""Effect":"Allow","Action":«[]»,"Resource":"*""#, GOOD),
    Row("EMPTY_ARRAY_RESOURCE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«[]»"#, GOOD),
    Row("EMPTY_ARRAY_PRINCIPAL", "resource", r#""Effect":"Allow","Principal":{"AWS":«[]»},"Action":"s3:*","Resource":"*""#, r#""Effect":"Allow","Principal":{"AWS":["111122223333"]},"Action":"s3:*","Resource":"*""#),
    Row("EMPTY_OBJECT_PRINCIPAL", "resource", r#""Effect":"Allow","Principal":«{}»,"Action":"s3:*","Resource":"*""#, r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*""#),
    Row("EMPTY_OBJECT_CONDITION", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":"*","Condition":«{}»"#, when!(r#""Bool":{"aws:SecureTransport":"true"}"#)),
    // Actions.
    Row("INVALID_ACTION", "identity", r#""Effect":"Allow","Action":«"GetObject"»,"Resource":"*""#, GOOD),
    Row("INVALID_ACTION", "identity", r#""Effect":"Allow","Action":«"s3:Get:Object"»,"Resource":"*""#, r#""Effect":"Allow","Action":"*","Resource":"*""#),
    Row("INVALID_ACTION", "identity", r#""Effect":"Allow","Action":["s3:GetObject",«"s3:GetObjekt"»],"Resource":"*""#, r#""Effect":"Allow","Action":"S3:getobject","Resource":"*""#),
    Row("INVALID_ACTION", "identity", r#""Effect":"Allow","Action":«"s3:Frobnicate*"»,"Resource":"*""#, r#""Effect":"Allow","Action":"s3:*","Resource":"*""#),
    Row("INVALID_SERVICE_IN_ACTION", "identity", r#""Effect":"Allow","Action":«"s33:GetObject"»,"Resource":"*""#, GOOD),
    Row("WILDCARD_IN_SERVICE_NAME", "resource", r#""Effect":"Allow","Principal":"*","Action":«"s*:GetObject"»,"Resource":"*""#, r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#),
    Row("WILDCARD_IN_SERVICE_NAME", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:*:::b"»"#, GOOD),
    Row("IRSA_CHARACTER_IN_ACTION", "identity", r#""Effect":"Allow","Action":«"s3:GetObject "»,"Resource":"*""#, r#""Effect":"Allow","Action":"s3:Get?bject*","Resource":"*""#),
    Row("UNSUPPORTED_ACTION_IN_POLICY", "trust", r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":«"sts:AssumeRole*"»"#, GOOD_TRUST),
    Row("UNSUPPORTED_ACTION_IN_POLICY", "bucket", r#""Effect":"Allow","Principal":"*","Action":«"sqs:SendMessage"»,"Resource":"*""#, r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*""#),
    // Resources.
    Row("INVALID_ARN_PREFIX", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"s3://bucket/x"»"#, GOOD),
    Row("MISSING_ARN_FIELD", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3::bucket"»"#, GOOD),
    Row("INVALID_PARTITION", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:AWS:s3:::bucket"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws-cn:s3:::bucket""#),
    Row("INVALID_ARN_SERVICE_CASE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:S3:::bucket"»"#, GOOD),
    Row("INVALID_ARN_REGION", "identity", r#""Effect":"Allow","Action":"sqs:*","Resource":«"arn:aws:sqs:frankfurt:111122223333:q"»"#, r#""Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:*:111122223333:q""#),
    Row("INVALID_ARN_ACCOUNT", "identity", r#""Effect":"Allow","Action":"sqs:*","Resource":«"arn:aws:sqs:us-east-1:1111:q"»"#, r#""Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:us-east-1:1111*:q""#),
    Row("ARN_REGION_NOT_ALLOWED", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:us-east-1::bucket"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:us-east-1:111122223333:accesspoint/x""#),
    Row("ARN_REGION_NOT_ALLOWED", "identity", r#""Effect":"Allow","Action":"route53:*","Resource":«"arn:aws:route53:us-east-1::hostedzone/Z1"»"#, r#""Effect":"Allow","Action":"route53:*","Resource":"arn:aws:route53:::hostedzone/Z1""#),
    Row("ARN_ACCOUNT_NOT_ALLOWED", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3::111122223333:bucket"»"#, GOOD),
    Row("INVALID_ARN_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:*","Resource":«"arn:aws:iam::111122223333:roles/x"»"#, r#""Effect":"Deny","Action":"iam:GetRole","Resource":"arn:aws:iam::111122223333:role/x""#),
    Row("INVALID_ARN_RESOURCE", "identity", r#""Effect":"Allow","Action":"dynamodb:*","Resource":«"arn:aws:dynamodb:us-east-1:111122223333:tabel/x"»"#, r#""Effect":"Allow","Action":"dynamodb:*","Resource":"arn:aws:dynamodb:us-east-1:111122223333:table/x""#),
    Row("MISSING_ARN_REGION", "identity", r#""Effect":"Allow","Action":"dynamodb:*","Resource":«"arn:aws:dynamodb::111122223333:table/x"»"#, r#""Effect":"Allow","Action":"dynamodb:*","Resource":"arn:aws:dynamodb:*:111122223333:table/x""#),
    Row("MISSING_ARN_ACCOUNT", "identity", r#""Effect":"Allow","Action":"dynamodb:*","Resource":«"arn:aws:dynamodb:us-east-1::table/x"»"#, r#""Effect":"Allow","Action":"dynamodb:*","Resource":"arn:aws:dynamodb:us-east-1:*:table/x""#),
    Row("INVALID_SERVICE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:frobnicate:::bucket"»"#, r#""Effect":"Allow","Action":"states:*","Resource":"arn:aws:states:us-east-1:111122223333:stateMachine:x""#),
    Row("IRSA_VARIABLE_IN_ARN_FIELD", "identity", r#""Effect":"Allow","Action":"sqs:*","Resource":«"arn:aws:sqs:us-east-1:${aws:PrincipalAccount}:q"»"#, r#""Effect":"Allow","Action":"sqs:*","Resource":"arn:aws:sqs:us-east-1:111122223333:${aws:username}""#),
    Row("IRSA_SPACE_IN_ARN", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:::bucket "»"#, GOOD),
    Row("UNSUPPORTED_RESOURCE_ARN_IN_POLICY", "bucket", r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":«"arn:aws:sqs:us-east-1:111122223333:q"»"#, r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b""#),
    Row("IRSA_RESOURCE_NOT_FOR_ACTIONS", "identity", r#""Effect":"Allow","Action":"s3:GetObject","Resource":«"arn:aws:s3:::bucket"»"#, GOOD),
    Row("IRSA_ACTION_NEEDS_STAR", "identity", r#""Effect":"Allow","Action":[«"s3:ListAllMyBuckets"»,"s3:GetObject"],"Resource":"arn:aws:s3:::b/*""#, r#""Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*""#),
    // Principals.
    Row("INVALID_PRINCIPAL_FORMAT", "resource", r#""Effect":"Allow","Principal":«"111122223333"»,"Action":"s3:*","Resource":"*""#, r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*""#),
    Row("INVALID_PRINCIPAL_KEY", "resource", r#""Effect":"Allow","Principal":{«"aws"»:"111122223333"},"Action":"s3:*","Resource":"*""#, r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"*""#),
    Row("UNSUPPORTED_WILDCARD_IN_PRINCIPAL", "trust", r#""Effect":"Allow","Principal":{"AWS":«"arn:aws:iam::111122223333:role/*"»},"Action":"sts:AssumeRole""#, r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole""#),
    Row("IRSA_INVALID_PRINCIPAL", "trust", r#""Effect":"Allow","Principal":{"AWS":«"arn:aws:iam::111122223333:group/x"»},"Action":"sts:AssumeRole""#, r#""Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","AROAEXAMPLE1234567890"]},"Action":"sts:AssumeRole""#),
    Row("FEDERATED_PRINCIPAL_NOT_SUPPORTED", "resource", r#""Effect":"Allow","Principal":{«"Federated"»:"arn:aws:iam::111122223333:saml-provider/x"},"Action":"s3:*","Resource":"*""#, r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*""#),
    Row("INVALID_SERVICE_PRINCIPAL_FORMAT", "trust", r#""Effect":"Allow","Principal":{"Service":«"EC2.amazonaws.com"»},"Action":"sts:AssumeRole""#, r#""Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole""#),
    Row("INVALID_SERVICE_PRINCIPAL_FORMAT", "identity", when!(r#""StringEquals":{"kms:ViaService":«"s3.amazonaws.com"»}"#), when!(r#""StringEquals":{"kms:ViaService":"s3.eu-central-1.amazonaws.com"}"#)),
    Row("INVALID_ROLE_REFERENCE", "trust", r#""Effect":"Allow","Principal":{"AWS":«"AROAEXAMPLE1234567890"»},"Action":"sts:AssumeRole""#, r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole""#),
    Row("INVALID_USER_REFERENCE", "trust", r#""Effect":"Allow","Principal":{"AWS":«"AIDAEXAMPLE1234567890"»},"Action":"sts:AssumeRole""#, r#""Effect":"Allow","Principal":{"AWS":"AROAEXAMPLE1234567890"},"Action":"sts:AssumeRole""#),
    Row("ALLOW_WITH_NOT_PRINCIPAL", "resource", r#""Effect":"Allow",«"NotPrincipal"»:{"AWS":"111122223333"},"Action":"s3:*","Resource":"*""#, r#""Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"*""#),
    Row("RESTRICT_ACCESS_TO_SERVICE_PRINCIPAL", "resource", r#""Effect":"Allow","Principal":{"Service":«"cloudtrail.amazonaws.com"»},"Action":"s3:PutObject","Resource":"*""#,
        r#""Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#),
    Row("RECOMMENDED_CONDITION_KEY_FOR_SERVICE_PRINCIPAL", "resource", r#""Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{«"aws:Referer"»:"111122223333"}}"#,
        r#""Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#),
    Row("UNSUPPORTED_CONDITION_KEY_FOR_SERVICE_PRINCIPAL", "resource", r#""Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{«"aws:PrincipalOrgID"»:"o-1"}}"#,
        r#""Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#),
    // Conditions.
    Row("INVALID_CONDITION_OPERATOR", "identity", when!(r#"«"StringEqual"»:{"aws:username":"x"}"#), when!(r#""stringequals":{"aws:username":"x"}"#)),
    Row("NULL_WITH_IF_EXISTS", "identity", when!(r#"«"NullIfExists"»:{"aws:username":"true"}"#), when!(r#""Null":{"aws:username":"true"}"#)),
    Row("NULL_WITH_QUALIFIER", "identity", when!(r#"«"ForAnyValue:Null"»:{"aws:TagKeys":"true"}"#), when!(r#""Null":{"aws:TagKeys":"true"}"#)),
    Row("IRSA_OPERATOR_CASE", "identity", when!(r#"«"stringEquals"»:{"aws:username":"x"}"#), when!(r#""ForAnyValue:StringLikeIfExists":{"aws:TagKeys":"x*"}"#)),
    Row("DUPLICATE_KEYS_WITH_DIFFERENT_CASE", "identity", when!(r#""StringEquals":{"aws:username":"x",«"aws:UserName"»:"y"}"#), when!(r#""StringEquals":{"aws:username":"x"},"StringLike":{"aws:UserName":"y*"}"#)),
    Row("INVALID_CONDITION_DATA_TYPE", "identity", when!(r#""NumericEquals":{"s3:max-keys":["1",«2»]}"#), when!(r#""NumericEquals":{"s3:max-keys":[1,2]}"#)),
    Row("INVALID_CONDITION_MULTIPLE_BOOLEAN", "identity", when!(r#""Bool":{"aws:SecureTransport":«["true","false"]»}"#), when!(r#""Bool":{"aws:SecureTransport":["true"]}"#)),
    Row("WILDCARD_WITHOUT_LIKE_OPERATOR", "identity", when!(r#""StringEquals":{"aws:username":«"a*"»}"#), when!(r#""StringEquals":{"aws:username":"${*}"}"#)),
    Row("EMPTY_ARRAY_CONDITION", "identity", when!(r#""StringEquals":{"aws:username":«[]»}"#), when!(r#""StringEquals":{"aws:username":["x"]}"#)),
    Row("EMPTY_ARRAY_CONDITION_FORALLVALUES", "identity", when!(r#""ForAllValues:StringEquals":{"aws:TagKeys":«[]»}"#), when!(r#""ForAnyValue:StringEquals":{"aws:TagKeys":[]}"#)),
    Row("EMPTY_ARRAY_CONDITION_FORANYVALUE", "identity", when!(r#""ForAnyValue:StringEquals":{"aws:TagKeys":«[]»}"#), when!(r#""ForAllValues:StringEquals":{"aws:TagKeys":[]}"#)),
    Row("EMPTY_ARRAY_CONDITION_IFEXISTS", "identity", when!(r#""StringEqualsIfExists":{"aws:username":«[]»}"#), when!(r#""StringEquals":{"aws:username":[]}"#)),
    Row("REDUNDANT_KEY_DUE_TO_WILDCARD_IN_CONDITION", "identity", when!(r#""StringLikeIfExists":{«"aws:username"»:"*"}"#), when!(r#""StringLike":{"aws:username":"*"}"#)),
    Row("REDUNDANT_STATEMENT_DUE_TO_WILDCARD_IN_CONDITION", "identity", when!(r#""ForAnyValue:StringNotLike":{«"aws:TagKeys"»:"*"}"#), when!(r#""ForAnyValue:StringNotLike":{"aws:TagKeys":"a*"}"#)),
    Row("EQUIVALENT_TO_NULL_FALSE", "identity", when!(r#""StringLike":{«"aws:username"»:"*"}"#), when!(r#""StringLike":{"aws:username":"a*"}"#)),
    Row("EQUIVALENT_TO_NULL_TRUE", "identity", when!(r#""StringNotLike":{«"aws:username"»:"*"}"#), when!(r#""StringNotLike":{"aws:username":"a*"}"#)),
    // Values.
    Row("TYPE_MISMATCH_BOOLEAN", "identity", when!(r#""Bool":{"aws:SecureTransport":«"yes"»}"#), when!(r#""Bool":{"aws:SecureTransport":"TRUE"}"#)),
    Row("TYPE_MISMATCH_DATE", "identity", when!(r#""DateLessThan":{"aws:CurrentTime":«"tomorrow"»}"#), when!(r#""DateLessThan":{"aws:CurrentTime":"2030-01-31T00:00:00Z"}"#)),
    Row("TYPE_MISMATCH_NUMBER", "identity", when!(r#""NumericLessThan":{"s3:max-keys":«"ten"»}"#), when!(r#""NumericLessThan":{"s3:max-keys":"1e3"}"#)),
    Row("TYPE_MISMATCH_STRING", "identity", when!(r#""BinaryEquals":{"x:y":«"no!"»}"#), when!(r#""BinaryEquals":{"x:y":"QUJD"}"#)),
    Row("TYPE_MISMATCH_IP_RANGE", "identity", when!(r#""IpAddress":{"aws:SourceIp":«"203.0.113.300"»}"#), when!(r#""IpAddress":{"aws:SourceIp":["203.0.113.7","2001:db8::/32"]}"#)),
    Row("IRSA_TYPE_MISMATCH_ARN", "identity", when!(r#""ArnLike":{"aws:PrincipalArn":«"111122223333"»}"#), when!(r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/x"}"#)),
    Row("INVALID_DATE_VALUE", "identity", when!(r#""DateLessThan":{"aws:CurrentTime":«"1767225600"»}"#), when!(r#""DateLessThan":{"aws:CurrentTime":"2026-01-01"}"#)),
    Row("REDUNDANT_CONDITION_VALUE_NUM", "identity", when!(r#""NumericLessThan":{"aws:MultiFactorAuthAge":«["2700","3600"]»}"#), when!(r#""NumericEquals":{"aws:MultiFactorAuthAge":["2700","3600"]}"#)),
    // Networks.
    Row("IMPROVE_IP_RANGE", "identity", when!(r#""IpAddress":{"aws:SourceIp":«"203.0.113.7/24"»}"#), when!(r#""IpAddress":{"aws:SourceIp":"203.0.113.0/24"}"#)),
    Row("PRIVATE_IP_ADDRESS", "identity", when!(r#""IpAddress":{"aws:SourceIp":«"10.0.0.0/8"»}"#), when!(r#""IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"}"#)),
    Row("PRIVATE_NOT_IP_ADDRESS", "identity", when!(r#""NotIpAddress":{"aws:SourceIp":«"fd00::/8"»}"#), when!(r#""NotIpAddress":{"aws:SourceIp":"2001:db8::/32"}"#)),
    Row("PRIVATE_IP_ADDRESS_SUBSET", "identity", when!(r#""IpAddress":{"aws:SourceIp":["203.0.113.0/24",«"192.168.1.1"»]}"#), when!(r#""IpAddress":{"aws:SourceIp":["203.0.113.0/24","192.0.0.0/8"]}"#)),
    Row("PRIVATE_NOT_IP_ADDRESS_SUBSET", "identity", when!(r#""NotIpAddress":{"aws:SourceIp":["203.0.113.0/24",«"172.16.0.0/12"»]}"#), when!(r#""NotIpAddress":{"aws:SourceIp":["203.0.113.0/24"]}"#)),
    Row("INVALID_VPC_FORMAT", "identity", when!(r#""StringEquals":{"aws:SourceVpc":«"vpc-123"»}"#), when!(r#""StringEquals":{"aws:SourceVpc":"vpc-12345678"}"#)),
    Row("INVALID_VPCE_FORMAT", "identity", when!(r#""StringEquals":{"aws:SourceVpce":«"vpc-12345678"»}"#), when!(r#""StringLike":{"aws:SourceVpce":"vpce-1*"}"#)),
    // Keys.
    Row("INVALID_CONDITION_KEY_FORMAT", "identity", when!(r#""IpAddress":{«"SourceIp"»:"203.0.113.0/24"}"#), when!(r#""IpAddress":{"aws:SourceIp":"203.0.113.0/24"}"#)),
    Row("MISSING_TAG_KEY_IN_CONDITION", "identity", when!(r#""StringEquals":{«"aws:ResourceTag/"»:"x"}"#), when!(r#""StringEquals":{"aws:ResourceTag/team":"x"}"#)),
    Row("DEPRECATED_GLOBAL_CONDITION_KEY", "identity", when!(r#""ArnEquals":{«"aws:ARN"»:"arn:aws:iam::111122223333:user/x"}"#), when!(r#""ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/x"}"#)),
    Row("UNSUPPORTED_GLOBAL_CONDITION_KEY", "scp", when!(r#""ArnEquals":{«"aws:ARN"»:"arn:aws:iam::111122223333:user/x"}"#), when!(r#""ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/x"}"#)),
    Row("INVALID_REGION", "identity", when!(r#""StringEquals":{"aws:RequestedRegion":«"Frankfurt"»}"#), when!(r#""StringLike":{"aws:RequestedRegion":["eu-*","us-east-1"]}"#)),
    Row("UNTRUSTWORTHY_CONDITION_KEY", "identity", when!(r#""StringLike":{«"aws:UserAgent"»:"x*"}"#), when!(r#""Bool":{"aws:SecureTransport":"true"}"#)),
    Row("MISSING_PAIRED_CONDITION_KEYS", "identity", when!(r#""IpAddress":{«"aws:VpcSourceIp"»:"10.0.0.0/8"}"#), when!(r#""IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"},"StringEquals":{"aws:SourceVpc":"vpc-12345678"}"#)),
    Row("DYNAMODB_ATTRIBUTES_WITHOUT_SELECT", "identity", r#""Effect":"Allow","Action":"dynamodb:GetItem","Resource":"*","Condition":{"ForAllValues:StringEquals":{«"dynamodb:Attributes"»:["a"]}}"#,
        r#""Effect":"Allow","Action":"dynamodb:GetItem","Resource":"*","Condition":{"ForAllValues:StringEquals":{"dynamodb:Attributes":["a"]},"StringEquals":{"dynamodb:Select":"SPECIFIC_ATTRIBUTES"}}"#),
    Row("S3_PREFIX_IN_NEGATIVE_CONTEXT", "identity", r#""Effect":"Deny","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{«"s3:prefix"»:"private/*"}}"#, r#""Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":"public/*"}}"#),
    Row("INVALID_KMS_KEY_VALUE", "identity", r#""Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":«"1234abcd"»}}"#,
        r#""Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"arn:aws:kms:us-east-1:111122223333:key/x"}}"#),
    Row("WILDCARD_USAGE_TOO_PERMISSIVE", "identity", when!(r#""StringLike":{"aws:PrincipalOrgID":«"o-*"»}"#), when!(r#""StringLike":{"aws:userid":"AROAEXAMPLE1234567890:*"}"#)),
    Row("WILDCARD_USAGE_TOO_PERMISSIVE", "trust", trust!(r#""StringLike":{"oidc.example.com/id/A:sub":«"repo:*"»}"#), trust!(r#""StringLike":{"oidc.example.com/id/A:sub":"repo:octo/*"}"#)),
    Row("VARIABLE_USAGE_TOO_PERMISSIVE", "identity", when!(r#""StringEquals":{"aws:PrincipalAccount":«"${aws:PrincipalTag/account}"»}"#), when!(r#""StringEquals":{"aws:PrincipalAccount":"${aws:ResourceAccount}"}"#)),
    Row("USE_CONDITION_KEY_ONLY_WITH_SUPPORTED_SERVICES", "identity", r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{«"aws:VpceAccount"»:"111122223333"}}"#, r#""Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"aws:VpceAccount":"111122223333"}}"#),
    Row("IRRELEVANT_CONDITION_KEY_IN_POLICY", "resource", deny!(r#""StringNotEquals":{«"s3:ResourceAccount"»:"111122223333"}"#), deny!(r#""StringNotEquals":{"aws:PrincipalAccount":"111122223333"}"#)),
    Row("INVALID_GLOBAL_CONDITION_KEY", "identity", when!(r#""StringEquals":{«"aws:UserNam"»:"x"}"#), when!(r#""StringEquals":{"AWS:username":"x"}"#)),
    Row("INVALID_SERVICE_CONDITION_KEY", "identity", when!(r#""StringEquals":{«"s3:prefx"»:"x"}"#), when!(r#""StringEquals":{"s3:versionid":"x"}"#)),
    Row("INVALID_SERVICE", "identity", when!(r#""StringEquals":{«"frobnicate:x"»:"x"}"#), when!(r#""StringEquals":{"saml:aud":"x"}"#)),
    Row("TYPE_MISMATCH", "identity", when!(r#"«"StringEquals"»:{"aws:SourceIp":"203.0.113.0"}"#), when!(r#""IpAddress":{"aws:SourceIp":"203.0.113.0"}"#)),
    Row("STRING_LIKE_OPERATOR_WITH_ARN_CONDITION_KEYS", "identity", when!(r#"«"StringLike"»:{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}"#), when!(r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}"#)),
    Row("MISSING_QUALIFIER", "identity", when!(r#"«"StringEquals"»:{"aws:TagKeys":"x"}"#), when!(r#""ForAnyValue:StringEquals":{"aws:TagKeys":"x"}"#)),
    Row("FORALLVALUES_WITH_SINGLE_VALUED_KEY", "identity", when!(r#"«"ForAllValues:StringEquals"»:{"aws:username":"x"}"#), when!(r#""ForAllValues:StringEquals":{"aws:TagKeys":"x"}"#)),
    Row("IRSA_FORANYVALUE_WITH_SINGLE_VALUED_KEY", "identity", when!(r#"«"ForAnyValue:StringEquals"»:{"aws:username":"x"}"#), when!(r#""ForAnyValue:StringEquals":{"aws:TagKeys":"x"}"#)),
    Row("UNSUPPORTED_ACTION_FOR_CONDITION_KEY", "identity", when!(r#""StringEquals":{«"s3:prefix"»:"x"}"#), r#""Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringEquals":{"s3:prefix":"x"}}"#),
    // Variables.
    Row("MISSING_BRACE_IN_VARIABLE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:::b/${aws:username"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}""#),
    Row("MISSING_QUOTE_IN_VARIABLE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:::b/${aws:username, none}"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username, 'none'}""#),
    Row("UNSUPPORTED_SPACE_IN_VARIABLE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:::b/${aws:user name}"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username, 'a b'}""#),
    Row("EMPTY_VARIABLE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:::b/${}"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${$}""#),
    Row("VARIABLE_UNSUPPORTED_IN_VERSION", "resource", r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":«"arn:aws:s3:::b/${aws:username}"»}]}"#, r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}""#),
    Row("VARIABLE_UNSUPPORTED_IN_ELEMENT", "identity", r#""Effect":"Allow","Action":«"s3:${aws:username}"»,"Resource":"*""#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}""#),
    Row("INVALID_VARIABLE_FOR_OPERATOR", "identity", when!(r#""NumericEquals":{"s3:max-keys":«"${aws:username}"»}"#), when!(r#""StringEquals":{"s3:versionid":"${aws:username}"}"#)),
    Row("IRSA_UNKNOWN_VARIABLE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:::b/${aws:usernam}"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/team}""#),
    Row("IRSA_MULTIVALUED_VARIABLE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":«"arn:aws:s3:::b/${aws:TagKeys}"»"#, r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}""#),
    Row("IRSA_VARIABLE_IN_NOT_RESOURCE", "identity", r#""Effect":"Allow","Action":"s3:*","NotResource":«"arn:aws:s3:::b/${aws:username}"»"#, r#""Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:username}""#),
    // Organizations.
    Row("SCP_SYNTAX_ERROR_PRINCIPAL", "scp", r#""Effect":"Deny",«"Principal"»:"*","Action":"s3:*","Resource":"*""#, r#""Effect":"Deny","Action":"s3:*","Resource":"*""#),
    Row("RCP_SYNTAX_ERROR_PRINCIPAL", "rcp", r#""Effect":"Deny","Principal":«{"AWS":"111122223333"}»,"Action":"s3:*","Resource":"*""#, r#""Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*""#),
    Row("RCP_SYNTAX_ERROR_ALLOW", "rcp", r#""Effect":«"Allow"»,"Principal":"*","Action":"s3:*","Resource":"*""#, r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#),
    Row("RCP_SYNTAX_ERROR_NOTACTION", "rcp", r#""Effect":"Deny","Principal":"*",«"NotAction"»:"s3:*","Resource":"*""#, r#""Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*""#),
    Row("RCP_SYNTAX_ERROR_ACTION", "rcp", r#""Effect":"Deny","Principal":"*","Action":«"*"»,"Resource":"*""#, r#""Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*""#),
    Row("RCP_MISSING_RELATED_PRINCIPAL_CONDITION_KEY", "rcp", deny!(r#""StringNotEqualsIfExists":{«"aws:PrincipalOrgID"»:"o-1"}"#), deny!(r#""StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-1"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}"#)),
    Row("RCP_MISSING_RELATED_SERVICE_PRINCIPAL_CONDITION_KEY", "rcp", deny!(r#""StringNotEqualsIfExists":{«"aws:SourceOrgID"»:"o-1"}"#), deny!(r#""StringNotEqualsIfExists":{"aws:SourceOrgID":"o-1"},"Bool":{"aws:PrincipalIsAWSService":"true"}"#)),
    Row("RCP_MISSING_SERVICE_CONDITION_KEY_NULL_CHECK", "rcp", deny!(r#""StringNotEqualsIfExists":{«"aws:SourceOrgID"»:"o-1"}"#), deny!(r#""StringNotEqualsIfExists":{"aws:SourceOrgID":"o-1"},"Null":{"aws:SourceAccount":"false"}"#)),
    // Handing permissions on.
    Row("PASS_ROLE_WITH_STAR_IN_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:PassRole","Resource":«"*"»"#, r#""Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}"#),
    Row("PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:P*","Resource":«"arn:aws:iam::111122223333:role/*"»"#, r#""Effect":"Allow","Action":"iam:P*","Resource":"arn:aws:iam::111122223333:role/app""#),
    Row("PASS_ROLE_WITH_STAR_IN_RESOURCE_AND_NOT_ACTION", "identity", r#""Effect":"Allow","NotAction":"s3:*","Resource":«"*"»"#, r#""Effect":"Allow","NotAction":"iam:*","Resource":"*""#),
    Row("PASS_ROLE_WITH_NOT_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:PassRole",«"NotResource"»:"arn:aws:iam::111122223333:role/x""#, r#""Effect":"Deny","Action":"iam:PassRole","NotResource":"arn:aws:iam::111122223333:role/x""#),
    Row("PASS_ROLE_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE", "identity", r#""Effect":"Allow","Action":"*",«"NotResource"»:"arn:aws:s3:::b""#, GOOD),
    Row("PASS_ROLE_WITH_NOT_ACTION_AND_NOT_RESOURCE", "identity", r#""Effect":"Allow","NotAction":"s3:*",«"NotResource"»:"arn:aws:s3:::b""#, GOOD),
    Row("CREATE_SLR_WITH_STAR_IN_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:CreateServiceLinkedRole","Resource":«"*"»"#, r#""Effect":"Allow","Action":"iam:CreateServiceLinkedRole","Resource":"arn:aws:iam::*:role/aws-service-role/ecs.amazonaws.com/*""#),
    Row("CREATE_SLR_WITH_STAR_IN_ACTION_AND_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:Create*","Resource":«"*"»"#, r#""Effect":"Allow","Action":"iam:Create*","Resource":"*","Condition":{"StringEquals":{"iam:AWSServiceName":"ecs.amazonaws.com"}}"#),
    Row("CREATE_SLR_WITH_STAR_IN_RESOURCE_AND_NOT_ACTION", "identity", r#""Effect":"Allow","NotAction":"s3:*","Resource":«"*"»"#, r#""Effect":"Allow","NotAction":"iam:*","Resource":"*""#),
    Row("CREATE_SLR_WITH_NOT_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:CreateServiceLinkedRole",«"NotResource"»:"arn:aws:iam::111122223333:role/x""#, GOOD),
    Row("CREATE_SLR_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE", "identity", r#""Effect":"Allow","Action":"iam:*",«"NotResource"»:"arn:aws:iam::111122223333:role/x""#, GOOD),
    Row("CREATE_SLR_WITH_NOT_ACTION_AND_NOT_RESOURCE", "identity", r#""Effect":"Allow","NotAction":"s3:*",«"NotResource"»:"arn:aws:s3:::b""#, GOOD),
    Row("IRSA_WILDCARD_WIDTH", "identity", r#""Effect":"Allow","Action":«"s3:*"»,"Resource":"*""#, r#""Effect":"Allow","Action":"s3:Get*","Resource":"*""#),
    // Trust.
    Row("ROLE_TRUST_POLICY_SYNTAX_ERROR_NOTPRINCIPAL", "trust", r#""Effect":"Deny",«"NotPrincipal"»:{"AWS":"111122223333"},"Action":"sts:AssumeRole""#, GOOD_TRUST),
    Row("ROLE_TRUST_POLICY_UNSUPPORTED_WILDCARD_IN_PRINCIPAL", "trust", r#""Effect":"Allow","Principal":«"*"»,"Action":"sts:AssumeRole""#, GOOD_TRUST),
    Row("ROLE_TRUST_POLICY_SYNTAX_ERROR_RESOURCE", "trust", r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole",«"Resource"»:"*""#, GOOD_TRUST),
    Row("INVALID_FEDERATED_PRINCIPAL_SYNTAX_IN_ROLE_TRUST_POLICY", "trust", r#""Effect":"Allow","Principal":{"Federated":«"https://oidc.example.com"»},"Action":"sts:AssumeRoleWithWebIdentity""#, GOOD_TRUST),
    Row("MISMATCHED_ACTION_FOR_PRINCIPAL", "trust", r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":«"sts:AssumeRoleWithWebIdentity"»"#, r#""Effect":"Allow","Principal":{"AWS":"111122223333","Federated":"arn:aws:iam::111122223333:saml-provider/x"},"Action":["sts:AssumeRole","sts:AssumeRoleWithSAML"]"#),
    Row("MISMATCHED_ACTION_FOR_PRINCIPAL", "trust", r#""Effect":"Allow","Principal":{"AWS":«"111122223333"»,"Federated":"arn:aws:iam::111122223333:saml-provider/x"},"Action":"sts:AssumeRoleWithSAML""#, GOOD_TRUST),
    Row("MISSING_ACTION_FOR_ROLES_ANYWHERE_TRUST_POLICY", "trust", r#""Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":«"sts:AssumeRole"»"#, r#""Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]"#),
    Row("MISSING_ACTION_FOR_CONDITION_KEY", "trust", r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{«"aws:RequestTag/team"»:"x"}}"#, r#""Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"aws:RequestTag/team":"x"}}"#),
    // Roles Anywhere sets tags from the certificate.
    Row("UNSUPPORTED_CONDITION_KEY_FOR_SERVICE_PRINCIPAL", "trust", r#""Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{«"aws:PrincipalTag/x509Subject/CN"»:"Bob"}}"#,
        r#""Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Condition":{"StringEquals":{"aws:PrincipalTag/x509Subject/CN":"Bob"},"ArnEquals":{"aws:SourceArn":"arn:aws:rolesanywhere:us-east-1:111122223333:trust-anchor/TA"}}"#),
    Row("REDUNDANT_PRINCIPAL_IN_ROLE_TRUST_POLICY", "trust", r#""Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:role/path/app",«"arn:aws:sts::111122223333:assumed-role/app/s1"»]},"Action":"sts:AssumeRole""#, r#""Effect":"Allow","Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/app/s1"},"Action":"sts:AssumeRole""#),
    Row("IRSA_ANYONE_MAY_ASSUME", "trust", r#""Effect":"Allow","Principal":{"AWS":«"*"»},"Action":"sts:AssumeRole""#, r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#),
    Row("IRSA_ANY_PROVIDER", "trust", r#""Effect":"Allow","Principal":{"Federated":«"*"»},"Action":"sts:AssumeRoleWithWebIdentity""#, GOOD_TRUST),
    Row("MISSING_CONDITION_KEY_FOR_OIDC_PRINCIPAL", "trust", r#""Effect":"Allow","Principal":{"Federated":«"arn:aws:iam::111122223333:oidc-provider/oidc.example.com"»},"Action":"sts:AssumeRoleWithWebIdentity""#, GOOD_TRUST),
    Row("MISSING_GITHUB_REPO_CONDITION_KEY", "trust", r#""Effect":"Allow","Principal":{"Federated":«"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"»},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"}}"#,
        r#""Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:o/r:ref:refs/heads/main"}}"#),
    Row("SPECIFIC_GITHUB_REPO_AND_BRANCH_RECOMMENDED", "trust", r#""Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"token.actions.githubusercontent.com:sub":«"repo:o/*"»}}"#,
        r#""Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:o/r:ref:refs/heads/main"}}"#),
    Row("FORANYVALUE_WITH_AUDIENCE_CLAIM_TYPE", "trust", trust!(r#"«"ForAnyValue:StringEquals"»:{"oidc.example.com/id/A:aud":"sts.amazonaws.com"}"#), GOOD_TRUST),
    Row("CONFIRM_AUDIENCE_CLAIM_TYPE", "trust", trust!(r#"«"ForAllValues:StringEquals"»:{"oidc.example.com/id/A:aud":"sts.amazonaws.com"}"#), GOOD_TRUST),
    Row("IRSA_COGNITO_UNAUTHENTICATED", "trust", r#""Effect":"Allow","Principal":{"Federated":«"cognito-identity.amazonaws.com"»},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"cognito-identity.amazonaws.com:aud":"us-east-1:pool"}}"#,
        r#""Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"cognito-identity.amazonaws.com:aud":"us-east-1:pool"},"ForAnyValue:StringLike":{"cognito-identity.amazonaws.com:amr":"authenticated"}}"#),
    Row("IRSA_ISSUER_MISMATCH", "trust", trust!(r#""StringEquals":{«"oidc.example.com/id/B:sub"»:"system:serviceaccount:ns:sa"}"#), GOOD_TRUST),
    Row("IRSA_WEB_IDENTITY_KEY_OUTSIDE_TRUST", "identity", when!(r#""StringEquals":{«"oidc.example.com/id/A:sub"»:"system:serviceaccount:ns:sa"}"#), when!(r#""StringEquals":{"aws:PrincipalTag/oidc.example.com:sub":"x"}"#)),
    Row("IRSA_WEB_IDENTITY_KEY_OUTSIDE_TRUST", "identity", when!(r#""StringEquals":{«"oidc.example.com/id/A:aud"»:"x"}"#), when!(r#""StringEquals":{"cognito-identity.amazonaws.com:sub":"x"}"#)),
    // Subjects.
    Row("IRSA_SUBJECT_NOT_CHECKED", "trust", r#""Effect":"Allow","Principal":{"Federated":«"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"»},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.example.com/id/A:aud":"sts.amazonaws.com"}}"#, GOOD_TRUST),
    Row("IRSA_AUDIENCE_NOT_CHECKED", "trust", r#""Effect":"Allow","Principal":{"Federated":«"arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/A"»},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:sa"}}"#, GOOD_TRUST),
    Row("IRSA_UNUSUAL_AUDIENCE", "trust", trust!(r#""StringEquals":{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:sa","oidc.example.com/id/A:aud":«"kubernetes"»}"#), GOOD_TRUST),
    Row("IRSA_SUBJECT_TOO_WIDE", "trust", trust!(r#""StringLike":{"oidc.example.com/id/A:sub":«"system:serviceaccount:team-*:app"»}"#), trust!(r#""StringLike":{"oidc.example.com/id/A:sub":"system:serviceaccount:team:*"}"#)),
    Row("IRSA_CLAIM_MAY_BE_ABSENT", "trust", trust!(r#"«"StringEqualsIfExists"»:{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:sa"}"#), GOOD_TRUST),
    Row("IRSA_SUBJECT_ONLY_EXCLUDED", "trust", trust!(r#"«"StringNotEquals"»:{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:sa"}"#), trust!(r#""StringNotEquals":{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:sa"},"StringLike":{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:*"}"#)),
    Row("IRSA_CLAIM_ONLY_PRESENT", "trust", trust!(r#""Null":{«"oidc.example.com/id/A:sub"»:"false"}"#), GOOD_TRUST),
    Row("IRSA_WILDCARD_IN_EXACT_SUBJECT", "trust", trust!(r#""StringEquals":{"oidc.example.com/id/A:sub":«"system:serviceaccount:ns:*"»}"#), trust!(r#""StringLike":{"oidc.example.com/id/A:sub":"system:serviceaccount:ns:*"}"#)),
    Row("IRSA_SUBJECT_CASE", "trust", trust!(r#""StringEquals":{"oidc.example.com/id/A:sub":«"system:serviceaccount:Ns:sa"»}"#), trust!(r#""StringEqualsIgnoreCase":{"oidc.example.com/id/A:sub":"system:serviceaccount:Ns:sa"}"#)),
    Row("IRSA_SUBJECT_FORMAT", "trust", trust!(r#""StringEquals":{"oidc.example.com/id/A:sub":«"system:serviceaccount:ns/sa"»}"#), GOOD_TRUST),
    // Redundancy.
    Row("REDUNDANT_ACTION", "identity", r#""Effect":"Allow","Action":["s3:Get*",«"s3:GetObject"»],"Resource":"*""#, r#""Effect":"Allow","Action":["iam:Get*","iam:*CredentialReport"],"Resource":"*""#),
    Row("REDUNDANT_RESOURCE", "identity", r#""Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::b/*",«"arn:aws:s3:::b/x"»]"#, r#""Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::b/*","arn:aws:s3:::b"]"#),
    Row("REDUNDANT_STATEMENT", "identity", r#"{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"},«{"Sid":"B","Effect":"Allow","Action":["s3:PutObject","s3:getobject"],"Resource":["*"]}»]}"#, GOOD),
];

/// The text of a row, and where its finding must be.
fn document(text: &str) -> (String, Option<(usize, usize)>) {
    let whole = if text.starts_with(['{', '«']) {
        text.to_owned()
    } else {
        format!("{{\"Version\":\"2012-10-17\",\n\"Statement\":[{{{text}}}]}}")
    };
    let marks = whole.find('«').zip(whole.find('»'));
    let place = marks.map(|(start, end)| (start, end - '«'.len_utf8()));
    (whole.replace(['«', '»'], ""), place)
}

fn report(kind: &str, text: &str) -> Report {
    let (kind, resource_type) = match kind {
        "identity" => (PolicyKind::Identity, None),
        "trust" => (PolicyKind::Trust, None),
        "resource" => (PolicyKind::Resource, None),
        "bucket" => (PolicyKind::Resource, Some("AWS::S3::Bucket")),
        "scp" => (PolicyKind::ServiceControl, None),
        "rcp" => (PolicyKind::ResourceControl, None),
        "vpce" => (PolicyKind::VpcEndpoint, None),
        other => panic!("{other}"),
    };
    let options = Options {
        kind: Some(kind),
        resource_type,
        ..Options::default()
    };
    check(text, &options)
}

#[test]
fn every_row_finds_what_it_is_about_in_its_place() {
    let mut faults = Vec::new();
    for Row(code, kind, positive, negative) in ROWS {
        let (text, place) = document(positive);
        let found = report(kind, &text);
        if let Some((start, end)) = place {
            let there = found.findings.iter().any(|finding| {
                let span = &finding.location.span;
                finding.code == *code && span.start.byte == start && span.end.byte == end
            });
            if !there {
                let all: Vec<String> = found
                    .findings
                    .iter()
                    .map(|finding| {
                        let span = &finding.location.span;
                        format!("{} {:?}", finding.code, text.get(span.start.byte..span.end.byte))
                    })
                    .collect();
                faults.push(format!("{code} is not found in {text}: {all:#?}"));
            }
        }
        let (text, _) = document(negative);
        if codes(&report(kind, &text)).contains(code) {
            faults.push(format!("{code} is found in {text}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_rule_has_a_row() {
    // Those whose texts are long or need a table of their own have tests of their own.
    let elsewhere = [
        "LimitExceeded",
        "IRSA_TEXT_TOO_LONG",
        "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA",
        "POLICY_SIZE_EXCEEDS_ROLE_TRUST_POLICY_QUOTA",
        "POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA",
        "POLICY_SIZE_EXCEEDS_SCP_QUOTA",
        "POLICY_SIZE_EXCEEDS_RCP_QUOTA",
        "DENY_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "DENY_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "ALLOW_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
        "ALLOW_NOTACTION_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE",
    ];
    let tested: BTreeSet<&str> = ROWS.iter().map(|Row(code, ..)| *code).chain(elsewhere).collect();
    let all: BTreeSet<&str> = rules().map(|rule| rule.code).collect();
    assert_eq!(all.difference(&tested).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert_eq!(tested.difference(&all).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn one_code_has_one_title() {
    let mut titles: std::collections::BTreeMap<&str, &str> = std::collections::BTreeMap::new();
    for rule in rules() {
        let known = titles.entry(rule.code).or_insert(rule.title);
        assert_eq!(*known, rule.title, "{}", rule.code);
        assert!(
            rule.learn_more().starts_with("https://docs.aws.amazon.com/"),
            "{}",
            rule.code
        );
    }
}

#[test]
fn mechanical_fixes_take_their_finding_away() {
    let mut edited = 0;
    for Row(code, kind, positive, _) in ROWS {
        let (text, _) = document(positive);
        let before = report(kind, &text);
        for finding in before.findings.iter().filter(|finding| finding.code == *code) {
            if finding.fix.as_ref().is_none_or(|fix| fix.edits.is_empty()) {
                continue;
            }
            edited += 1;
            let text = fixed(&text, finding);
            let after = report(kind, &text);
            let count = |report: &Report| codes(report).iter().filter(|found| *found == code).count();
            assert!(count(&after) < count(&before), "{code}: {text}");
            assert!(!codes(&after).contains(&"JSON_SYNTAX_ERROR"), "{code}: {text}");
        }
    }
    assert!(edited > 40, "{edited}");
}
