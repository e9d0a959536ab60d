//! What is accepted must be readable for ever: a record that the server can't read again would end it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Key, Response};
use crate::harness::{ACCOUNT, ALLOW_ALL, Server, name};

/// Documents at the borders of the grammar, some right and some wrong.
fn documents() -> Vec<String> {
    let statement = |text: &str| format!(r#"{{"Version":"2012-10-17","Statement":{text}}}"#);
    let with = |member: &str| {
        statement(&format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"*",{member}}}"#
        ))
    };
    let condition = |text: &str| with(&format!(r#""Condition":{text}"#));
    let trust = |principal: &str| {
        statement(&format!(
            r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}"#
        ))
    };
    let mut documents = vec![
        "{}".to_owned(),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        ALLOW_ALL.to_owned(),
        format!("  {ALLOW_ALL}\n\t"),
        format!("{ALLOW_ALL}{ALLOW_ALL}"),
        ALLOW_ALL.replace("2012-10-17", "2008-10-17"),
        ALLOW_ALL.replace("\"2012-10-17\"", "1"),
        ALLOW_ALL.replace("2012-10-17", "2099-01-01"),
        r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#.to_owned(),
        r#"{"version":"2012-10-17","statement":[]}"#.to_owned(),
        r#"{"Version":"2012-10-17","Version":"2008-10-17","Statement":[]}"#.to_owned(),
        statement("[]"),
        statement("{}"),
        statement("null"),
        statement(r#"[{"Effect":"allow","Action":"*","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":[],"Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"s3","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"s3:","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*:*","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"s3:Get*?**","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Deny","NotAction":["iam:*","*"],"NotResource":["arn:aws:s3:::*"]}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":[]}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":""}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"arn"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}/*"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${}"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${*}${?}${$}"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/a, 'x'}"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/${aws:username}}"}]"#),
        statement(r#"[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]"#),
        statement(
            r#"[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}]"#,
        ),
        with(r#""Sid":"with space""#),
        with(r#""Sid":"""#),
        with(r#""Unknown":1"#),
        with(r#""Principal":"*""#),
        condition("{}"),
        condition("[]"),
        condition(r#"{"StringEquals":{}}"#),
        condition(r#"{"StringEquals":[]}"#),
        condition(r#"{"StringEquals":{"aws:username":[]}}"#),
        condition(r#"{"StringEquals":{"aws:username":""}}"#),
        condition(r#"{"StringEquals":{"":"a"}}"#),
        condition(r#"{"StringEquals":{"nocolon":"a"}}"#),
        condition(r#"{"StringEquals":{"aws:username":null}}"#),
        condition(r#"{"StringEquals":{"aws:username":{}}}"#),
        condition(r#"{"StringEquals":{"aws:username":[1,true,"x",1.5]}}"#),
        condition(r#"{"stringequals":{"AWS:UserName":"a"}}"#),
        condition(r#"{"StringEquals":{"aws:username":"a","AWS:USERNAME":"b"}}"#),
        condition(r#"{"NoSuch":{"aws:username":"a"}}"#),
        condition(r#"{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}"#),
        condition(r#"{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":"*"}}"#),
        condition(r#"{"ForSomeValues:StringEquals":{"aws:TagKeys":"*"}}"#),
        condition(r#"{"NumericEquals":{"s3:max-keys":"x"}}"#),
        condition(r#"{"NumericEquals":{"s3:max-keys":1e400}}"#),
        condition(r#"{"NumericLessThan":{"s3:max-keys":"1e309"}}"#),
        condition(r#"{"NumericLessThan":{"s3:max-keys":99999999999999999999999999}}"#),
        condition(r#"{"NumericLessThan":{"s3:max-keys":"NaN"}}"#),
        condition(r#"{"DateLessThan":{"aws:CurrentTime":"never"}}"#),
        condition(r#"{"DateLessThan":{"aws:CurrentTime":"9999-12-31T23:59:59Z"}}"#),
        condition(r#"{"DateLessThan":{"aws:CurrentTime":"99999999999999999"}}"#),
        condition(r#"{"DateLessThan":{"aws:CurrentTime":-1}}"#),
        condition(r#"{"Bool":{"aws:SecureTransport":"maybe"}}"#),
        condition(r#"{"BinaryEquals":{"a:b":"!!"}}"#),
        condition(r#"{"BinaryEquals":{"a:b":"QQ=="}}"#),
        condition(r#"{"IpAddress":{"aws:SourceIp":"300.1.1.1"}}"#),
        condition(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}"#),
        condition(r#"{"IpAddress":{"aws:SourceIp":"::/0"}}"#),
        condition(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.1/8"}}"#),
        condition(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/-1"}}"#),
        condition(r#"{"ArnLike":{"aws:PrincipalArn":"not an arn"}}"#),
        condition(r#"{"ArnEquals":{"aws:PrincipalArn":"arn:*:*:*:*:*"}}"#),
        condition(r#"{"Null":{"aws:username":"true"}}"#),
        condition(r#"{"Null":{"aws:username":"perhaps"}}"#),
        condition(&format!(
            r#"{{"StringLike":{{"aws:username":"{}"}}}}"#,
            "*a".repeat(2000)
        )),
        condition(&format!(r#"{{"StringEquals":{{"{}":"a"}}}}"#, "k:".repeat(1000))),
        trust("\"*\""),
        trust(r#"{"AWS":"*"}"#),
        trust(r#"{"AWS":[]}"#),
        trust("{}"),
        trust(r#"{"AWS":"111122223333"}"#),
        trust(r#"{"AWS":"arn:aws:iam::111122223333:user/nonesuch"}"#),
        trust(r#"{"AWS":"arn:aws:iam::999999999999:user/anybody"}"#),
        trust(r#"{"AWS":"arn:aws:iam::999999999999:user/*"}"#),
        trust(r#"{"AWS":"arn:aws:sts::999999999999:assumed-role/r/s"}"#),
        trust(r#"{"AWS":"AROAEXAMPLEEXAMPLEEXA"}"#),
        trust(r#"{"AWS":1}"#),
        trust(r#"{"Service":"pods.eks.amazonaws.com"}"#),
        trust(r#"{"Service":["a","b",""]}"#),
        trust(r#"{"Federated":"*"}"#),
        trust(r#"{"Federated":"cognito-identity.amazonaws.com"}"#),
        trust(r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/a/b/c"}"#),
        trust(r#"{"CanonicalUser":"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}"#),
        trust(r#"{"AWS":"*","Service":"*","Federated":"*"}"#),
        trust(r#"{"Nobody":"*"}"#),
        statement(r#"{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}"#),
    ];
    documents.push(format!("{}{}", "[".repeat(500), "]".repeat(500)));
    documents.push(condition(&format!(
        r#"{{"StringEquals":{{"a:b":{}"x"{}}}}}"#,
        "[".repeat(120),
        "]".repeat(120)
    )));
    documents.push(format!("\u{feff}{ALLOW_ALL}"));
    documents.push(with("\"Sid\":\"\\u0000\""));
    documents.push(condition(r#"{"StringEquals":{"aws:username":"\ud800"}}"#));
    documents.push(condition("{\"StringEquals\":{\"aws:username\":\"\u{ff}\u{e9}\"}}"));
    documents
}

#[derive(Default)]
struct Attempts {
    ids: Vec<String>,
    accepted: usize,
    refused: usize,
}

impl Attempts {
    /// Notes an outcome.
    #[track_caller]
    fn note(&mut self, what: &str, response: &Response) {
        let shown: String = what.chars().take(300).collect();
        match response.status {
            200 => self.accepted += 1,
            400..500 => self.refused += 1,
            status => panic!("{status} for {shown}: {}", response.text()),
        }
        self.ids.push(response.request_id().unwrap().to_owned());
    }
}

#[test]
fn nothing_that_is_accepted_ends_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root: Key = server.root.clone();
    let mut attempts = Attempts::default();
    let iam = |action: &str, pairs: &[(&str, &str)]| server.iam(&root, action, pairs);
    iam("CreateUser", &[("UserName", "subject")]);
    server.role(&root, "subject", None);
    for document in documents() {
        let (user, role, policy) = (name("u"), name("r"), name("p"));
        let pairs = [("RoleName", role.as_str()), ("AssumeRolePolicyDocument", &document)];
        attempts.note(&document, &iam("CreateRole", &pairs));
        let pairs = [("RoleName", "subject"), ("PolicyDocument", &document)];
        attempts.note(&document, &iam("UpdateAssumeRolePolicy", &pairs));
        let pairs = [
            ("UserName", "subject"),
            ("PolicyName", &user),
            ("PolicyDocument", &document),
        ];
        let put = iam("PutUserPolicy", &pairs);
        attempts.note(&document, &put);
        if put.status == 200 {
            iam("DeleteUserPolicy", &pairs[..2]);
        }
        let pairs = [("PolicyName", policy.as_str()), ("PolicyDocument", &document)];
        let made = iam("CreatePolicy", &pairs);
        attempts.note(&document, &made);
        if made.status == 200 {
            let arn = made.element("Arn").unwrap();
            let pairs = [("UserName", "subject"), ("PermissionsBoundary", arn.as_str())];
            attempts.note(&document, &iam("PutUserPermissionsBoundary", &pairs));
        }
    }
    let paths = [
        "/",
        "//",
        "/a/",
        "/a//b/",
        "/!/~/",
        "/%2e%2e/",
        "/../",
        "/./",
        "/a b/",
        "a",
        "/\u{e9}/",
        &format!("/{}/", "p".repeat(510)),
    ];
    for path in paths {
        let name = name("path");
        attempts.note(path, &iam("CreateUser", &[("UserName", &name), ("Path", path)]));
        let trust = ALLOW_ALL.replace(
            "\"Action\":\"*\",\"Resource\":\"*\"",
            "\"Principal\":\"*\",\"Action\":\"sts:AssumeRole\"",
        );
        let pairs = [
            ("RoleName", name.as_str()),
            ("Path", path),
            ("AssumeRolePolicyDocument", &trust),
        ];
        attempts.note(path, &iam("CreateRole", &pairs));
        let pairs = [
            ("PolicyName", name.as_str()),
            ("Path", path),
            ("PolicyDocument", ALLOW_ALL),
        ];
        attempts.note(path, &iam("CreatePolicy", &pairs));
    }
    for odd in [
        "a",
        "A",
        "+=,.@-_",
        ".",
        "..",
        "-",
        "a/b",
        "a b",
        "",
        "\u{e9}",
        "\u{0}",
        "a\n",
        "*",
        "${aws:username}",
        &"n".repeat(64),
        &"n".repeat(65),
    ] {
        attempts.note(odd, &iam("CreateUser", &[("UserName", odd)]));
        attempts.note(
            odd,
            &iam("UpdateUser", &[("UserName", odd), ("NewUserName", &format!("{odd}2"))]),
        );
        attempts.note(
            odd,
            &iam("CreatePolicy", &[("PolicyName", odd), ("PolicyDocument", ALLOW_ALL)]),
        );
        for (key, value) in [(odd, "v"), ("k", odd), ("aws:k", "v"), ("\u{1f600}", "\u{1f600}")] {
            let pairs = [
                ("UserName", "subject"),
                ("Tags.member.1.Key", key),
                ("Tags.member.1.Value", value),
            ];
            attempts.note(key, &iam("TagUser", &pairs));
        }
    }
    for url in [
        "https://a.example",
        "https://a.example/",
        "https://a.example/b//c",
        "https://a.example/%2e%2e/%00",
        "https://a.example/../x",
        "https://a.example:443/x",
        "https://a.example:8443/x",
        "https://A.EXAMPLE/x",
        "https://[::1]/x",
        "https://127.0.0.1/x",
        "https://user@a.example",
        "https://a.example?q",
        "https://a.example#f",
        "http://a.example",
        "https://",
        "https:///x",
        "https://a example",
        "https://\u{e9}.example",
        "https://a.example/\u{e9}",
        "https://a.example/:colon:oidc-provider/x",
        &format!("https://a.example/{}", "u".repeat(300)),
    ] {
        let pairs = [
            ("Url", url),
            ("ClientIDList.member.1", "\u{e9} ${*}"),
            ("ThumbprintList.member.1", &"z".repeat(40)),
        ];
        let made = iam("CreateOpenIDConnectProvider", &pairs);
        attempts.note(url, &made);
        if made.status == 200 {
            let arn = made.element("OpenIDConnectProviderArn").unwrap();
            attempts.note(
                url,
                &iam("GetOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &arn)]),
            );
        }
    }
    let deep = |depth: usize| (0..depth).fold(json!("x"), |inner, _| json!([inner]));
    let key = irsa_token::SigningKey::generate(irsa_token::Algorithm::Es256).unwrap();
    let keys = irsa_token::SigningKey::jwk_set(&[&key]);
    let mut twice = keys.clone();
    let first = twice["keys"][0].clone();
    twice["keys"].as_array_mut().unwrap().push(first);
    let mut bodies: Vec<Value> = [10, 100, 118, 120, 122, 124, 125, 126, 127]
        .into_iter()
        .map(|depth| json!({ "roleArn": "r", "resourcesVpcConfig": { "subnetIds": deep(depth) } }))
        .collect();
    bodies.extend([
        json!({ "roleArn": "", "resourcesVpcConfig": {} }),
        json!({ "roleArn": "\u{0}", "resourcesVpcConfig": { "\u{0}": 1e300 } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "version": "\u{1f600}" }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "tags": { "\u{0}": "\u{0}", "k": "" } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": {} }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k1.example", "keys": keys } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k2.example/a//b/../c", "keys": twice } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k3.example", "keys": { "keys": [] } } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k4.example", "keys": { "keys": [{ "kty": "oct", "k": "AAAA" }] } } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k5.example", "keys": { "keys": [first_with(&keys, "x5c", json!(["AAAA"]))] } } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k6.example", "keys": { "keys": [first_with(&keys, "kid", json!("k".repeat(5000)))] } } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k7.example", "keys": { "keys": vec![keys["keys"][0].clone(); 300] } } }),
        json!({ "roleArn": "r", "resourcesVpcConfig": {}, "oidc": { "issuer": "https://k8.example", "keys": { "keys": [first_with(&keys, "junk", deep(100))] } } }),
    ]);
    for mut body in bodies {
        for path in ["/clusters", "/cluster-registrations"] {
            body["name"] = json!(name("c"));
            attempts.note(&body.to_string(), &server.json(&root, "eks", "POST", path, &body));
        }
    }
    for id in [
        "000000000000",
        "999999999999",
        "1",
        "0111122223333",
        "\u{0661}11122223333",
        "111122223333",
    ] {
        let body = json!({ "accountId": id, "name": "\u{7f}\u{1f600}" });
        attempts.note(id, &server.json(&root, "irsa", "POST", "/accounts", &body));
    }
    assert!(
        attempts.accepted > 50 && attempts.refused > 50,
        "{} and {}",
        attempts.accepted,
        attempts.refused
    );

    // Every one of them can be read in the trail.
    let records = server.all_records(irsa_audit::Filter::default());
    let recorded: Vec<&str> = records
        .iter()
        .filter_map(|record| record["requestID"].as_str())
        .collect();
    for id in &attempts.ids {
        assert_eq!(recorded.iter().filter(|recorded| *recorded == id).count(), 1, "{id}");
    }

    let before = Instant::now();
    server.iam_ok(&root, "CreateUser", &[("UserName", "last")]);
    assert!(before.elapsed() < Duration::from_secs(10));
    let users = all_names(&server, &root, "ListUsers", "UserName");
    let roles = all_names(&server, &root, "ListRoles", "RoleName");
    server.stop();
    let server = Server::start(folder.path());
    assert_eq!(all_names(&server, &root, "ListUsers", "UserName"), users);
    assert_eq!(all_names(&server, &root, "ListRoles", "RoleName"), roles);
    assert!(users.len() > 8 && roles.len() > 5, "{users:?} {roles:?}");
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/last");
    assert_eq!(
        server.iam(&root, "GetUser", &[("UserName", "last")]).element("Arn"),
        Some(arn)
    );
    server.stop();
}

fn first_with(keys: &Value, member: &str, value: Value) -> Value {
    let mut key = keys["keys"][0].clone();
    key[member] = value;
    key
}

fn all_names(server: &Server, root: &Key, action: &str, element: &str) -> Vec<String> {
    let text = server.iam_ok(root, action, &[("MaxItems", "1000")]).text();
    text.split(&format!("<{element}>"))
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .map(str::to_owned)
        .collect()
}
