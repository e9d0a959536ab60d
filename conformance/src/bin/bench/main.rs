//! `bench --binary PATH [--sessions N] [--roles N] [--seconds S]`: what a token exchange and a signed call cost, beside this machine's ceiling for the same work,
//! and whether that stays so. Everything on loopback, bounded in time and count. Exit codes: 0 measured, 1 failed, 2 wrong usage; a missed target is
//! printed as such and fails nothing, because a busy machine misses them too.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool: its report goes to stdout, what went wrong to stderr"
)]

mod ceiling;
mod load;
mod process;

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use irsa_conformance::{
    Client, Cluster, Credentials, Key, KeyKind, Server, StartOptions, exchange, jws,
    sigv4::{self, Scope, Unsigned},
};
use load::{Measured, Until};
use serde_json::{Value, json};

const USAGE: &str = "usage: bench --binary PATH [--sessions N] [--roles N] [--seconds S]";
/// Rounds of each figure; the median counts.
const ROUNDS: usize = 3;
/// Roles in one account: AWS's largest quota is 5,000.
const ROLES_AN_ACCOUNT: u64 = 4_000;
/// Signed requests are valid for a quarter of an hour; each phase signs anew.
const DATE: &[time::format_description::BorrowedFormatItem<'_>] =
    time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");

struct Options {
    binary: PathBuf,
    sessions: u64,
    roles: u64,
    time: Duration,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, setup] = words.as_slice()
        && word == "ceiling"
    {
        return done(ceiling::main(Path::new(setup)));
    }
    match options(&words) {
        Ok(options) => done(bench(&options)),
        Err(error) => {
            eprintln!("error: {error:#}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options {
        binary: PathBuf::new(),
        sessions: 300_000,
        roles: 10_000,
        time: Duration::from_secs(3),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("`{word}` needs a value"))?;
        match word.as_str() {
            "--binary" => options.binary = value.into(),
            "--sessions" => options.sessions = value.parse()?,
            "--roles" => options.roles = value.parse()?,
            "--seconds" => options.time = Duration::from_secs(value.parse()?),
            _ => bail!("`{word}` is not known"),
        }
    }
    if options.binary.as_os_str().is_empty() {
        bail!("no binary is named");
    }
    Ok(options)
}

/// A server process under load, and the requests that load it.
struct Target {
    address: SocketAddr,
    pid: u32,
    exchange: Vec<u8>,
    identity: Vec<u8>,
}

impl Target {
    fn measure(&self, request: &[u8], connections: usize, until: Until) -> Result<Measured> {
        load::run(self.address, self.pid, request, connections, until)
    }
}

/// A child process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bench(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("irsa-bench").tempdir()?;
    let start = StartOptions {
        binary: Some(options.binary.clone()),
        data: Some(folder.path().join("data")),
        arguments: Vec::new(),
    };

    // A first start makes keys and accounts; the starts after it are those that a deployment sees.
    Server::start_with(&start)?.stop()?;
    let mut starts = Vec::new();
    for _ in 0..5 {
        let server = Server::start_with(&start)?;
        starts.push(server.ready_after().as_secs_f64() * 1_000.0);
        server.stop()?;
    }
    let server = Server::start_with(&start)?;
    std::thread::sleep(Duration::from_secs(1));
    let idle = process::resident_mebibytes(server.pid())?;
    println!(
        "ready              {:8.1} ms     target ≤ 50    {}",
        median(&starts),
        verdict(median(&starts) <= 50.0)
    );
    println!(
        "idle RSS           {idle:8.1} MiB    target ≤ 20    {}",
        verdict(idle <= 20.0)
    );

    let (root, world) = runtime.block_on(world(&server))?;
    let (mut ours, mut bare, _bare_process) = targets(&server, &root, &world, folder.path())?;

    println!("\n                              ours                  ceiling               ours / ceiling");
    println!("operation, connections    req/s   CPU µs/req     req/s   CPU µs/req     req/s   CPU     target");
    for (name, target, pick) in [
        (
            "AssumeRoleWithWebIdentity",
            0.65,
            (|target| &target.exchange) as fn(&Target) -> &Vec<u8>,
        ),
        ("GetCallerIdentity", 0.55, |target| &target.identity),
    ] {
        for connections in [16, 64] {
            let (own, best) = in_turns(pick(&ours), pick(&bare), &ours, &bare, connections, options.time)?;
            let ratio = own.rate / best.rate;
            println!(
                "{name:<22} {connections:>2} {:>9.0} {:>9.1} {:>12.0} {:>9.1} {:>11.0}% {:>5.0}%   ≥ {:.0}% {}",
                own.rate,
                own.cpu,
                best.rate,
                best.cpu,
                ratio * 100.0,
                best.cpu / own.cpu * 100.0,
                target * 100.0,
                verdict(ratio >= target)
            );
        }
    }
    let session = session_identity(&runtime, &server, &root, &world)?;
    let (measured, best) = in_turns(&session, &bare.identity, &ours, &bare, 16, options.time)?;
    println!(
        "GetCallerIdentity of a role session, 16 connections: {:.0} req/s, {:.1} CPU µs/req, {:.0}% of the ceiling with a long-term key",
        measured.rate,
        measured.cpu,
        measured.rate / best.rate * 100.0
    );

    flatness(options, &runtime, &server, &root, &mut ours, &mut bare)?;
    server.stop()?;
    let server = Server::start_with(&start)?;
    println!(
        "ready with {} roles and this journal: {:.1} ms, RSS {:.1} MiB",
        options.roles,
        server.ready_after().as_secs_f64() * 1_000.0,
        process::resident_mebibytes(server.pid())?
    );
    Ok(())
}

/// What the load needs: a cluster with a provider, a role that its service account may assume, and that one's token.
struct World {
    role_arn: String,
    token: String,
}

async fn world(server: &Server) -> Result<(Client, World)> {
    let root = server.root()?;
    let cluster = Cluster::create(&root, "bench").await?;
    let role_arn = cluster.role(&root, "bench", "bench", "load").await?;
    let token = cluster.token(&root, "bench", "load").await?;
    Ok((root, World { role_arn, token }))
}

fn targets(server: &Server, root: &Client, world: &World, folder: &Path) -> Result<(Target, Target, Ended)> {
    let keys = root.credentials.as_ref().context("the root client has keys")?;
    let address: SocketAddr = root.transport.authority().parse()?;
    let ours = Target {
        address,
        pid: server.pid(),
        exchange: exchange_request(address, world, &world.token),
        identity: identity_request(address, keys, &root.region)?,
    };

    // The same claims under a key that the ceiling knows.
    let claims = world.token.split('.').nth(1).context("no JWS")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    let key = Key::generate(KeyKind::Rsa(2048))?;
    let key_id = "0123456789012345678901234567890123456789012";
    let token = jws(&json!({"alg": "RS256", "kid": key_id, "typ": "JWT"}), &claims, &key)?;
    let setup = ceiling::Setup {
        keys: [(key_id.to_owned(), key.public_der_base64()?)].into(),
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.clone(),
    };
    let file = folder.join("ceiling.json");
    std::fs::write(&file, serde_json::to_vec(&setup)?)?;
    let mut child = Ended(
        Command::new(std::env::current_exe()?)
            .arg("ceiling")
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().context("no stdout")?).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse().context("the ceiling did not start")?;
    let bare = Target {
        address,
        pid: child.0.id(),
        exchange: exchange_request(address, world, &token),
        identity: identity_request(address, keys, &root.region)?,
    };
    Ok((ours, bare, child))
}

/// The bytes of a token exchange.
fn exchange_request(address: SocketAddr, world: &World, token: &str) -> Vec<u8> {
    let parameters = [
        &exchange(&world.role_arn, "load", token)[..],
        &[("Version", "2011-06-15")],
    ]
    .concat();
    let body = sigv4::query_string(&parameters);
    format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The bytes of a signed GetCallerIdentity, valid for a quarter of an hour.
fn identity_request(address: SocketAddr, keys: &Credentials, region: &str) -> Result<Vec<u8>> {
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let host = address.to_string();
    let date = time::OffsetDateTime::now_utc().format(DATE)?;
    let unsigned = Unsigned {
        method: "POST",
        host: &host,
        path: "/",
        query: &[],
        headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
        body: body.as_bytes(),
        date: &date,
    };
    let scope = Scope {
        access_key_id: &keys.access_key_id,
        secret_access_key: &keys.secret_access_key,
        session_token: keys.session_token.as_deref(),
        region,
        service: "sts",
    };
    let mut text = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in sigv4::sign(&unsigned, &scope) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    Ok(format!("{text}\r\n{body}").into_bytes())
}

/// A GetCallerIdentity signed by a role session.
fn session_identity(
    runtime: &tokio::runtime::Runtime,
    server: &Server,
    root: &Client,
    world: &World,
) -> Result<Vec<u8>> {
    let parameters = exchange(&world.role_arn, "load", &world.token);
    let answer = runtime.block_on(root.with(None).must("sts", &parameters))?;
    identity_request(
        root.transport.authority().parse()?,
        &answer.credentials()?,
        server.region()?,
    )
}

/// Speed and memory before and after many sessions, and with many roles. Each figure is taken in turns with the ceiling, whose own ups and downs are
/// the machine's: flat is what keeps its share of the ceiling.
fn flatness(
    options: &Options,
    runtime: &tokio::runtime::Runtime,
    server: &Server,
    root: &Client,
    ours: &mut Target,
    bare: &mut Target,
) -> Result<()> {
    let keys = root.credentials.as_ref().context("the root client has keys")?;
    println!(
        "\nflatness, 16 connections       AWI req/s  CPU µs  of ceiling     GCI req/s  CPU µs  of ceiling   RSS MiB"
    );
    let before = point("before", server, keys, options, ours, bare)?;
    println!();
    let memory = process::resident_mebibytes(server.pid())?;

    let made = ours.measure(&ours.exchange, 16, Until::Count(options.sessions))?;
    let after = point(
        &format!("after {} sessions", made.requests),
        server,
        keys,
        options,
        ours,
        bare,
    )?;
    flat(before, after);
    let grown = process::resident_mebibytes(server.pid())?;
    println!(
        "  memory growth      {:8.1} MiB    target ≤ 16    {}",
        grown - memory,
        verdict(grown - memory <= 16.0)
    );

    let started = std::time::Instant::now();
    runtime.block_on(roles(root, options.roles))?;
    let took = started.elapsed().as_secs_f64();
    let after = point(
        &format!("with {} roles", options.roles),
        server,
        keys,
        options,
        ours,
        bare,
    )?;
    flat(before, after);
    println!("  {} roles were made in {took:.1} s, 64 at a time", options.roles);
    Ok(())
}

/// Measures exchange and identity in turns with the ceiling; their shares of it.
fn point(
    name: &str,
    server: &Server,
    keys: &Credentials,
    options: &Options,
    ours: &mut Target,
    bare: &mut Target,
) -> Result<(f64, f64)> {
    // Signatures are valid for a quarter of an hour only.
    ours.identity = identity_request(ours.address, keys, server.region()?)?;
    bare.identity = identity_request(bare.address, keys, server.region()?)?;
    let (exchange, best) = in_turns(&ours.exchange, &bare.exchange, ours, bare, 16, options.time)?;
    let (identity, best_identity) = in_turns(&ours.identity, &bare.identity, ours, bare, 16, options.time)?;
    let shares = (exchange.rate / best.rate, identity.rate / best_identity.rate);
    print!(
        "{name:<29} {:>9.0} {:>7.1} {:>9.0}% {:>15.0} {:>7.1} {:>9.0}% {:>9.1}",
        exchange.rate,
        exchange.cpu,
        shares.0 * 100.0,
        identity.rate,
        identity.cpu,
        shares.1 * 100.0,
        process::resident_mebibytes(server.pid())?
    );
    Ok(shares)
}

fn flat(before: (f64, f64), after: (f64, f64)) {
    let (exchange, identity) = (after.0 / before.0, after.1 / before.1);
    let met = verdict(exchange >= 0.9 && identity >= 0.9);
    println!(
        "\n  against before: AWI {:.0}%, GCI {:.0}%    target ≥ 90%    {met}",
        exchange * 100.0,
        identity * 100.0
    );
}

/// Rounds of ours and of the ceiling in turns, so that a slow minute of the machine slows both; the middle ones.
fn in_turns(
    own: &[u8],
    best: &[u8],
    ours: &Target,
    bare: &Target,
    connections: usize,
    time: Duration,
) -> Result<(Measured, Measured)> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        second.push(bare.measure(best, connections, Until::Time(time))?);
        first.push(ours.measure(own, connections, Until::Time(time))?);
    }
    Ok((middle(&first)?, middle(&second)?))
}

/// Makes roles in as many accounts as they need.
async fn roles(root: &Client, count: u64) -> Result<()> {
    let mut left = count;
    while left > 0 {
        let here = left.min(ROLES_AN_ACCOUNT);
        let answer = root
            .json("irsa", "POST", "/accounts", Some(&json!({})))
            .await?
            .value()?;
        let text = |pointer: &str| {
            answer
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .context("no account was made")
        };
        let client = root.with(Some(Credentials {
            access_key_id: text("/accessKey/accessKeyId")?,
            secret_access_key: text("/accessKey/secretAccessKey")?,
            session_token: None,
        }));
        let account = text("/account/id")?;
        let mut tasks = tokio::task::JoinSet::new();
        for lane in 0..64 {
            let (client, account) = (client.clone(), account.clone());
            tasks.spawn(async move {
                for number in (lane..here).step_by(64) {
                    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                        "Principal": {"Federated": format!("arn:aws:iam::{account}:oidc-provider/issuer.example/id/{number}")},
                        "Action": "sts:AssumeRoleWithWebIdentity",
                        "Condition": {"StringEquals": {"issuer.example:sub": format!("system:serviceaccount:team-{number}:app")}}}]})
                    .to_string();
                    let name = format!("role-{number}");
                    client.must("iam", &[("Action", "CreateRole"), ("RoleName", &name), ("AssumeRolePolicyDocument", &trust)]).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(lane) = tasks.join_next().await {
            lane??;
        }
        left -= here;
    }
    Ok(())
}

/// The round in the middle by rate.
fn middle(rounds: &[Measured]) -> Result<Measured> {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    sorted.get(sorted.len() / 2).copied().context("no rounds")
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
