//! What a session makes of environment variables and configuration files: this program runs itself once for each
//! environment, and asks a small server what it was sent.

#![expect(
    clippy::print_stdout,
    reason = "a process tells what it found to the one that started it"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use irsa_aws::{ClientError, Service, Session, SessionOptions};

/// Set in the processes that are looked at.
const PROBE: &str = "IRSA_TEST_PROBE";

fn main() {
    if std::env::var_os(PROBE).is_some() {
        probe();
        return;
    }
    let cases: &[(&str, fn())] = &[
        ("the environment's keys, region and endpoint", environment),
        ("a profile that is named goes before the environment", named_profile),
        ("AWS_PROFILE goes after the environment's keys", environment_profile),
        ("endpoints of services and of all", endpoints),
        ("configured endpoints can be ignored", ignored_endpoints),
        ("profiles that are not there", unknown_profiles),
        ("no credentials", no_credentials),
        ("no region", no_region),
        ("a command that gives credentials", process),
        ("a command that fails shows nothing", failing_process),
        ("a role of a profile", assumed_role),
        ("a web identity", web_identity),
        ("single sign-on that nobody has signed on", sso),
        ("proxies", proxies),
        ("certificate authorities", authorities),
    ];
    for (name, case) in cases {
        let outcome = std::panic::catch_unwind(case);
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {word}");
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Loads a session, makes one call, and prints what came of it, a line each.
fn probe() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let options = SessionOptions {
        profile: given("--profile"),
        region: given("--region"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        let session = Session::load(&options).await?;
        say("region", session.region().unwrap_or("-"));
        for (name, service) in [("iam", Service::Iam), ("sts", Service::Sts), ("eks", Service::Eks)] {
            say(name, session.endpoint(service).unwrap_or("-"));
        }
        if let Err(error) = session.eks() {
            say("eks-error", &error.to_string());
        }
        if given("--offline").is_some() {
            return Ok(());
        }
        let found = session.iam()?.role_head("r").await?;
        say("role", if found.is_some() { "there" } else { "none" });
        Ok::<_, ClientError>(())
    });
    if let Err(error) = outcome {
        say("error", &error.to_string());
        say("hint", &error.hint().unwrap_or_default());
        say("debug", &format!("{error:?}"));
    }
}

fn say(name: &str, value: &str) {
    println!("{name}={}", value.replace('\n', " "));
}

/// A process in an environment of its own.
struct Probe {
    home: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Probe {
    fn new(variables: &[(&str, &str)]) -> Self {
        let mut variables: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        variables.insert("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
        Self {
            home: tempfile::tempdir().unwrap(),
            variables,
        }
    }

    fn config(self, text: &str) -> Self {
        let folder = self.home.path().join(".aws");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config"), text).unwrap();
        self
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env(PROBE, "1")
            .envs(&self.variables)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = text.lines().filter_map(|line| line.split_once('='));
        Said(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// What a probe printed.
#[derive(Debug)]
struct Said(BTreeMap<String, String>);

impl Said {
    fn at(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// A server that knows no role, and gives credentials to whoever assumes one.
struct Server {
    endpoint: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut read = Vec::new();
                let mut block = [0; 4096];
                let request = loop {
                    let count = stream.read(&mut block).unwrap();
                    read.extend_from_slice(&block[..count]);
                    let text = String::from_utf8_lossy(&read).into_owned();
                    if whole(&text) || count == 0 {
                        break text;
                    }
                };
                let answer = answer(&request);
                shared.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { endpoint, seen }
    }

    /// The `Credential` of the last request.
    fn credential(&self) -> String {
        let seen = self.seen.lock().unwrap();
        let (_, credential) = seen.last().unwrap().split_once("Credential=").unwrap();
        credential.split(',').next().unwrap().to_owned()
    }
}

fn whole(text: &str) -> bool {
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        body.len() >= length.unwrap_or(0)
    })
}

fn answer(request: &str) -> String {
    let assumed = ["AssumeRoleWithWebIdentity", "AssumeRole"]
        .into_iter()
        .find(|action| request.contains(&format!("Action={action}&")));
    let (status, body) = match assumed {
        Some(action) => (
            200,
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
                 <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>hidden-role</SecretAccessKey>\
                 <SessionToken>hidden-token</SessionToken><Expiration>2099-01-02T03:04:05Z</Expiration></Credentials>\
                 <AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/r/s</Arn><AssumedRoleId>AROA1:s</AssumedRoleId>\
                 </AssumedRoleUser></{action}Result></{action}Response>"
            ),
        ),
        None => (
            404,
            "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>none</Message></Error></ErrorResponse>".to_owned(),
        ),
    };
    format!(
        "HTTP/1.1 {status} S\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT"),
    ("AWS_SECRET_ACCESS_KEY", "hidden-environment"),
];

fn with_keys<'a>(variables: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    KEYS.iter().chain(variables).copied().collect()
}

fn environment() {
    let server = Server::start();
    let probe = Probe::new(&with_keys(&[
        ("AWS_ENDPOINT_URL", &server.endpoint),
        ("AWS_REGION", "eu-west-1"),
    ]));
    let said = probe.run(&[]);
    assert_eq!((said.at("region"), said.at("role")), ("eu-west-1", "none"), "{said:?}");
    assert_eq!(said.at("eks"), server.endpoint);
    let credential = server.credential();
    assert!(
        credential.starts_with("AKIDENVIRONMENT/") && credential.contains("/eu-west-1/iam/"),
        "{credential}"
    );
    let said = probe.run(&["--region", "eu-central-1"]);
    assert_eq!(said.at("region"), "eu-central-1");
}

fn two_profiles(server: &Server) -> String {
    format!(
        "[default]\nregion = us-west-2\n[profile work]\nregion = ap-south-1\nendpoint_url = {}\n\
         aws_access_key_id = AKIDWORK\naws_secret_access_key = hidden-work\n",
        server.endpoint
    )
}

fn named_profile() {
    let server = Server::start();
    let probe = Probe::new(&with_keys(&[])).config(&two_profiles(&server));
    let said = probe.run(&["--profile", "work"]);
    assert_eq!((said.at("region"), said.at("role")), ("ap-south-1", "none"), "{said:?}");
    assert_eq!(said.at("iam"), server.endpoint);
    assert!(server.credential().starts_with("AKIDWORK/"), "{}", server.credential());
}

fn environment_profile() {
    let server = Server::start();
    let probe = Probe::new(&with_keys(&[("AWS_PROFILE", "work")])).config(&two_profiles(&server));
    let said = probe.run(&[]);
    assert_eq!((said.at("region"), said.at("role")), ("ap-south-1", "none"), "{said:?}");
    assert!(
        server.credential().starts_with("AKIDENVIRONMENT/"),
        "{}",
        server.credential()
    );
}

fn endpoints() {
    let config = "[default]\nendpoint_url = http://all.profile:1\nservices = mine\n[services mine]\niam =\n  \
                  endpoint_url = http://iam.profile:1\n";
    let said = Probe::new(&[]).config(config).run(&["--offline", "1"]);
    assert_eq!(
        (said.at("iam"), said.at("sts"), said.at("eks")),
        ("http://iam.profile:1", "http://all.profile:1", "http://all.profile:1")
    );
    let said = Probe::new(&[
        ("AWS_ENDPOINT_URL", "http://all.environment:1"),
        ("AWS_ENDPOINT_URL_EKS", "http://eks.environment:1"),
    ])
    .config("[default]\nendpoint_url = http://all.profile:1\n")
    .run(&["--offline", "1"]);
    assert_eq!(
        (said.at("iam"), said.at("sts"), said.at("eks")),
        (
            "http://all.environment:1",
            "http://all.environment:1",
            "http://eks.environment:1"
        )
    );
    let said = Probe::new(&[("AWS_ENDPOINT_URL_EKS", "eks.example")]).run(&["--offline", "1"]);
    assert!(
        said.at("eks-error").contains("`eks.example` is no URL of a server"),
        "{said:?}"
    );
}

fn ignored_endpoints() {
    let said = Probe::new(&[
        ("AWS_ENDPOINT_URL", "http://all.environment:1"),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
    ])
    .run(&["--offline", "1", "--region", "eu-west-1"]);
    assert_eq!((said.at("iam"), said.at("eks"), said.at("eks-error")), ("-", "-", ""));
}

fn unknown_profiles() {
    let server = Server::start();
    for (variables, arguments) in [
        (vec![], vec!["--profile", "wrok"]),
        (vec![("AWS_PROFILE", "wrok")], vec![]),
    ] {
        let probe = Probe::new(&with_keys(&variables)).config(&two_profiles(&server));
        let said = probe.run(&arguments);
        assert_eq!(said.at("error"), "there is no AWS profile `wrok`");
        assert_eq!(said.at("hint"), "the profiles are default, work");
    }
    let said = Probe::new(&[]).config("[profile\n").run(&[]);
    assert!(
        said.at("error")
            .starts_with("the AWS configuration files can't be read: "),
        "{said:?}"
    );
}

fn no_credentials() {
    let server = Server::start();
    let said = Probe::new(&[("AWS_ENDPOINT_URL", &server.endpoint)]).run(&[]);
    assert!(
        said.at("error").starts_with("there are no AWS credentials: "),
        "{said:?}"
    );
    assert!(said.at("hint").contains("aws sso login"), "{said:?}");
    assert!(server.seen.lock().unwrap().is_empty());
}

fn no_region() {
    let said = Probe::new(&with_keys(&[])).run(&["--offline", "1"]);
    assert_eq!(
        (said.at("region"), said.at("eks-error")),
        ("-", "no AWS region is given")
    );
}

fn process() {
    let server = Server::start();
    let probe = Probe::new(&[]);
    let answer = r#"{"Version":1,"AccessKeyId":"AKIDPROCESS","SecretAccessKey":"hidden-process"}"#;
    std::fs::write(probe.home.path().join("answer.json"), answer).unwrap();
    let config = format!(
        "[profile tool]\ncredential_process = cat {}\nendpoint_url = {}\n",
        probe.home.path().join("answer.json").display(),
        server.endpoint
    );
    let said = probe.config(&config).run(&["--profile", "tool"]);
    assert_eq!(said.at("role"), "none", "{said:?}");
    assert!(
        server.credential().starts_with("AKIDPROCESS/"),
        "{}",
        server.credential()
    );
}

fn failing_process() {
    let probe = Probe::new(&[]);
    for answer in [r#"{"Version":1,"SecretAccessKey":"hidden-process"}"#, "hidden-process"] {
        std::fs::write(probe.home.path().join("answer.json"), answer).unwrap();
        let config = format!(
            "[profile tool]\ncredential_process = cat {}\n",
            probe.home.path().join("answer.json").display()
        );
        std::fs::create_dir_all(probe.home.path().join(".aws")).unwrap();
        std::fs::write(probe.home.path().join(".aws/config"), config).unwrap();
        let said = probe.run(&["--profile", "tool"]);
        assert!(
            said.at("error").starts_with("there are no AWS credentials: "),
            "{said:?}"
        );
        assert!(!format!("{said:?}").contains("hidden-process"), "{said:?}");
    }
}

fn assumed_role() {
    let server = Server::start();
    let config = format!(
        "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = hidden-base\n\
         [profile role]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = base\nendpoint_url = {}\n",
        server.endpoint
    );
    let said = Probe::new(&[]).config(&config).run(&["--profile", "role"]);
    assert_eq!(said.at("role"), "none", "{said:?}");
    assert!(server.credential().starts_with("ASIAROLE/"), "{}", server.credential());
    let seen = server.seen.lock().unwrap();
    assert!(seen[0].contains("Credential=AKIDBASE/"), "{}", seen[0]);
    assert!(!format!("{said:?}").contains("hidden-"), "{said:?}");
}

fn web_identity() {
    let server = Server::start();
    let mut probe = Probe::new(&[
        ("AWS_ENDPOINT_URL", &server.endpoint),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/r"),
    ]);
    let file = probe.home.path().join("token");
    std::fs::write(&file, "header.payload.signature").unwrap();
    let variable = "AWS_WEB_IDENTITY_TOKEN_FILE".to_owned();
    probe.variables.insert(variable, file.display().to_string());
    let said = probe.run(&[]);
    assert_eq!(said.at("role"), "none", "{said:?}");
    assert!(server.credential().starts_with("ASIAROLE/"), "{}", server.credential());
}

fn sso() {
    let config = "[profile people]\nsso_session = company\nsso_account_id = 111122223333\nsso_role_name = Admin\n\
                  region = eu-west-1\n[sso-session company]\nsso_region = eu-west-1\n\
                  sso_start_url = https://company.awsapps.example/start\n";
    let said = Probe::new(&[]).config(config).run(&["--profile", "people"]);
    assert!(
        said.at("error").starts_with("there are no AWS credentials: "),
        "{said:?}"
    );
    assert!(!said.at("error").contains("feature"), "{said:?}");
    assert!(said.at("hint").contains("aws sso login"), "{said:?}");
}

fn proxies() {
    let server = Server::start();
    let proxy = server.endpoint.replace("http://", "http://user:hidden-password@");
    let last = || server.seen.lock().unwrap().last().cloned().unwrap_or_default();
    // Our calls…
    let variables = with_keys(&[("HTTPS_PROXY", &proxy), ("AWS_REGION", "eu-west-1")]);
    let said = Probe::new(&variables).run(&[]);
    assert!(
        said.at("error")
            .starts_with("can't reach https://iam.amazonaws.com: the proxy 127.0.0.1:"),
        "{said:?}"
    );
    assert!(
        last().starts_with("CONNECT iam.amazonaws.com:443 HTTP/1.1\r\n"),
        "{}",
        last()
    );
    assert!(last().contains("Proxy-Authorization: Basic "), "{}", last());
    assert!(!format!("{said:?}").contains("hidden-"), "{said:?}");
    // …and those that find credentials.
    let mut probe = Probe::new(&[
        ("HTTPS_PROXY", &proxy),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/r"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ]);
    let file = probe.home.path().join("token");
    std::fs::write(&file, "header.payload.signature").unwrap();
    let variable = "AWS_WEB_IDENTITY_TOKEN_FILE".to_owned();
    probe.variables.insert(variable, file.display().to_string());
    let said = probe.run(&[]);
    assert!(
        said.at("error").starts_with("there are no AWS credentials: "),
        "{said:?}"
    );
    assert!(
        last().starts_with("CONNECT sts.eu-west-1.amazonaws.com:443 "),
        "{}",
        last()
    );
    assert!(!format!("{said:?}").contains("hidden-"), "{said:?}");
    // A server of our own on this machine is reached directly.
    let variables = with_keys(&[("HTTPS_PROXY", &proxy), ("AWS_ENDPOINT_URL", &server.endpoint)]);
    assert_eq!(Probe::new(&variables).run(&[]).at("role"), "none");
    let variables = with_keys(&[("HTTPS_PROXY", "http://hidden-password@[")]);
    let said = Probe::new(&variables).run(&[]);
    assert!(said.at("error").contains("is no URL of a proxy"), "{said:?}");
    assert!(!format!("{said:?}").contains("hidden-"), "{said:?}");
}

fn authorities() {
    let nowhere = Path::new("/nowhere/ca.pem").display().to_string();
    let said = Probe::new(&with_keys(&[
        ("AWS_CA_BUNDLE", &nowhere),
        ("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
    ]))
    .run(&[]);
    assert!(said.at("error").contains("`/nowhere/ca.pem`"), "{said:?}");
    let said = Probe::new(&with_keys(&[("AWS_ENDPOINT_URL", "https://127.0.0.1:1")]))
        .config("[default]\nca_bundle = /nowhere/else.pem\n")
        .run(&[]);
    assert!(said.at("error").contains("`/nowhere/else.pem`"), "{said:?}");
}
