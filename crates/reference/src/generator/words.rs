//! The words that cases are made of.

/// Services, with operations and resources of theirs; `@` stands for an account.
pub(super) const SERVICES: [(&[&str], &[&str]); 9] = [
    (
        &[
            "s3:GetObject",
            "s3:PutObject",
            "s3:ListBucket",
            "s3:DeleteObjectVersion",
            "s3:GetObject",
        ],
        &[
            "arn:aws:s3:::bucket/logs/2024/a.txt",
            "arn:aws:s3:::bucket/home/ann/x",
            "arn:aws:s3:::bucket",
            "arn:aws:s3:::bucket/",
            "arn:aws:s3:::bucket/a:b:c",
            "arn:aws:s3:::bucket/größe/ключ",
            "arn:aws:s3:::bucket/*",
            "arn:aws:s3:::bucket/a?b*c",
            "arn:aws:s3:::bucket/${aws:username}",
            "arn:aws:s3:::bucket/日本",
            "arn:aws:s3:::bucket/line\nbreak",
            "arn:aws:s3:::bucket/aaaaaaaab",
        ],
    ),
    (
        &["dynamodb:GetItem", "dynamodb:Query"],
        &[
            "arn:aws:dynamodb:us-east-1:@:table/prod-x",
            "arn:aws:dynamodb:eu-west-1:@:table/prod-x/index/y",
        ],
    ),
    (&["sqs:SendMessage"], &["arn:aws:sqs:us-east-1:@:queue"]),
    (
        &["kms:Decrypt", "kms:Encrypt"],
        &[
            "arn:aws:kms:us-east-1:@:key/1234abcd-12ab",
            "arn:aws:kms:us-east-1:@:alias/app",
        ],
    ),
    (
        &[
            "sts:AssumeRole",
            "sts:AssumeRoleWithWebIdentity",
            "sts:AssumeRoleWithSAML",
            "sts:TagSession",
            "sts:AssumeRole",
        ],
        &["arn:aws:iam::@:role/app", "arn:aws:iam::@:role/team/app"],
    ),
    (
        &["iam:PassRole", "iam:GetUser"],
        &[
            "arn:aws:iam::@:role/app",
            "arn:aws:iam::@:user/ann",
            "arn:aws-cn:iam::@:user/Ann",
        ],
    ),
    (&["ec2:DescribeInstances", "sts:GetFederationToken"], &["*"]),
    (
        &["lambda:InvokeFunction"],
        &["arn:aws:lambda:us-east-1:@:function:hello:live"],
    ),
    (
        &[
            "s3:getobject",
            "S3:GETOBJECT",
            "sts:GetCallerIdentity",
            "s3",
            "s3:Get*",
            "",
            "s3:Gét",
            "a:b:c",
        ],
        &[
            "",
            "not-an-arn",
            "arn:aws:s3",
            "arn:aws:s3:::",
            "arn:aws:a:b:c:d:e:f",
            "**",
            "arn:*:s3:::bucket/x",
            ":::::",
        ],
    ),
];

/// Accounts.
pub(super) const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "000000000007"];

/// Names of users, roles and sessions.
pub(super) const NAMES: [&str; 4] = ["ann", "app", "Ann", "bob"];

/// Paths of users and roles.
pub(super) const PATHS: [&str; 6] = [
    "",
    "team/",
    "team/a/",
    "",
    "team/",
    "aws-service-role/es.amazonaws.com/",
];

/// Services that call.
pub(super) const CALLING_SERVICES: [&str; 3] = [
    "cloudtrail.amazonaws.com",
    "lambda.amazonaws.com",
    "delivery.logs.amazonaws.com",
];

/// Providers of web identities.
pub(super) const WEB_PROVIDERS: [&str; 3] = [
    "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/X",
    "accounts.google.com",
    "arn:aws:iam::444455556666:oidc-provider/oidc.example.com/id/X",
];

/// Providers of SAML assertions.
pub(super) const SAML_PROVIDERS: [&str; 2] = [
    "arn:aws:iam::111122223333:saml-provider/corp",
    "arn:aws:iam::444455556666:saml-provider/corp",
];

/// What a key's values usually are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Type {
    Text,
    Number,
    Date,
    Bool,
    Binary,
    Ip,
    Arn,
}

/// Keys, with the type of their values, and whether they have several.
pub(super) const KEYS: [(&str, Type, bool); 24] = [
    ("aws:username", Type::Text, false),
    ("aws:userid", Type::Text, false),
    ("aws:PrincipalTag/team", Type::Text, false),
    ("aws:PrincipalTag/größe", Type::Text, false),
    ("aws:ResourceTag/a b", Type::Text, false),
    ("s3:prefix", Type::Text, false),
    ("oidc.example.com/id/X:sub", Type::Text, false),
    ("oidc.example.com/id/X:aud", Type::Text, false),
    ("aws:PrincipalAccount", Type::Text, false),
    ("aws:TagKeys", Type::Text, true),
    ("aws:CalledVia", Type::Text, true),
    ("aws:PrincipalArn", Type::Arn, false),
    ("aws:SourceArn", Type::Arn, false),
    ("x:Arns", Type::Arn, true),
    ("aws:MultiFactorAuthAge", Type::Number, false),
    ("s3:max-keys", Type::Number, false),
    ("x:Numbers", Type::Number, true),
    ("aws:CurrentTime", Type::Date, false),
    ("aws:EpochTime", Type::Date, false),
    ("aws:SecureTransport", Type::Bool, false),
    ("aws:SourceIp", Type::Ip, false),
    ("aws:VpcSourceIp", Type::Ip, false),
    ("x:Ips", Type::Ip, true),
    ("x:Binary", Type::Binary, false),
];

/// Texts, plain and hostile.
pub(super) const TEXTS: [&str; 30] = [
    "ünï",
    "ÜNÏ",
    "ann",
    "bob",
    "Ann",
    "ANN",
    "",
    "*",
    "?",
    "a*b",
    "a?b",
    "$",
    "${aws:username}",
    "${*}",
    "${",
    "it's",
    "x}",
    "größe",
    "GRÖSSE",
    "日本",
    "a:b",
    "a/b",
    "home/ann/",
    "system:serviceaccount:prod:app",
    "sts.amazonaws.com",
    "111122223333",
    "aaaaaaaab",
    "null",
    "true",
    "a b",
];

/// Numbers, and what is none.
pub(super) const NUMBERS: [&str; 34] = [
    "0",
    "1",
    "-1",
    "10",
    "+10",
    "010",
    "9007199254740993",
    "9007199254740992",
    "9007199254740993.0",
    "1e3",
    "1000",
    "1000.000",
    "1E+3",
    "0.1",
    "0.10",
    "1e-1",
    ".1",
    "-0",
    "0e9",
    "1e400",
    "1e-400",
    "100000000000000000000000000000001",
    "100000000000000000000000000000000",
    "0.1000000000000000000000000000001",
    "5.",
    "",
    "abc",
    " 1",
    "1 ",
    "0x10",
    "1e",
    "--1",
    "1,000",
    "１",
];

/// Dates, and what is none.
pub(super) const DATES: [&str; 39] = [
    "2024",
    "2024-01-01",
    "1704067200",
    "2024-02-29T12:00:00Z",
    "2024-02-29T12:00Z",
    "2024-02-29T14:00:00+02:00",
    "2024-02-29T09:30:00-02:30",
    "1709208000",
    "1709208001",
    "1709207999",
    "2024-02-29T12:00:00.000Z",
    "2024-02-29T12:00:00.1Z",
    "2024-02-29T12:00:00.100Z",
    "2024-02-29T12:00:00.123456789123Z",
    "2024-02-29",
    "2024-02-29T00:00:00Z",
    "2024-02",
    "2024-02-01",
    "2024",
    "1970-01-01",
    "0",
    "-1",
    "1969-12-31T23:59:59Z",
    "2023-02-29",
    "2024-13-01",
    "2024-04-31",
    "2024-02-29T24:00:00Z",
    "2024-02-29T12:00:00",
    "2024-02-29T12:00:60Z",
    "2024-02-29 12:00:00Z",
    "2024-2-9",
    "99999999999999999999",
    "now",
    "",
    "0000-01-01",
    "9999-12-31T23:59:59Z",
    "1900-02-29",
    "2000-02-29",
    "2024-02-29T12:00:00+24:00",
];

/// Truth values, and what is none.
pub(super) const BOOLS: [&str; 9] = ["true", "false", "True", "FALSE", "tRuE", "yes", "1", "", " true"];

/// Addresses, and what is none.
pub(super) const ADDRESSES: [&str; 18] = [
    "10.0.0.1",
    "10.0.0.255",
    "10.0.1.0",
    "192.168.7.9",
    "203.0.113.64",
    "0.0.0.0",
    "255.255.255.255",
    "2001:db8::1",
    "2001:DB8:0:0::1",
    "2001:db8:1::",
    "::1",
    "::",
    "::ffff:10.0.0.1",
    "fe80::1",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "",
];

/// Blocks, and what is none.
pub(super) const BLOCKS: [&str; 22] = [
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.77/24",
    "10.0.0.1/32",
    "10.0.0.0/31",
    "0.0.0.0/0",
    "192.168.0.0/16",
    "203.0.113.64/26",
    "203.0.113.128/25",
    "2001:db8::/32",
    "2001:db8::/127",
    "2001:db8:0:0:0:0:0:1/128",
    "::/0",
    "::ffff:10.0.0.0/104",
    "::ffff:0:0/96",
    "10.0.0.0/33",
    "2001:db8::/129",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "*",
    "10.0.0.*",
];

/// ARNs, and what is none.
pub(super) const ARNS: [&str; 14] = [
    "arn:aws:sns:us-east-1:111122223333:topic",
    "arn:aws:sns:us-east-1:111122223333:topic:sub",
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::bucket/a:b",
    "arn:aws:iam::111122223333:role/team/app",
    "arn:aws:iam::111122223333:role/app",
    "arn:aws:sts::111122223333:assumed-role/app/s1",
    "arn:aws:iam::111122223333:user/ann",
    "arn:aws-cn:sns:cn-north-1:111122223333:topic",
    "arn:aws:sns:us-east-1:111122223333",
    "arn:aws:sns:us-east-1:111122223333:",
    "ann",
    "",
    "arn:aws:sns:*:111122223333:topic",
];
