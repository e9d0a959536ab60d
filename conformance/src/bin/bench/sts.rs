//! What a token exchange and a signed call cost, and whether that stays so after many sessions and with many roles.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use irsa_conformance::{
    Client, Cluster, Credentials, Key, KeyKind, Server, StartOptions, exchange, jws,
    sigv4::{self, Scope, Unsigned},
};
use serde_json::{Value, json};

use crate::{
    Ended, Options, ceiling,
    compare::{Compared, in_turns, median},
    load::{Request, Target, Until},
    now, process, serving, verdict,
};

/// Roles in one account: AWS's largest quota is 5,000.
const ROLES_AN_ACCOUNT: u64 = 4_000;

/// A server and the requests that load it.
struct Calls {
    target: Target,
    exchange: Request,
    identity: Request,
}

/// Measures, and prints as it goes.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("irsa-bench").tempdir()?;
    let start = StartOptions {
        binary: Some(options.binary.clone()),
        data: Some(folder.path().join("data")),
        ..StartOptions::default()
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
    // It has answered: all that is made at the start, and by a first request, is there.
    let answer = runtime.block_on(server.root()?.with(None).json("irsa", "GET", "/readyz", None))?;
    anyhow::ensure!(answer.status == 200, "the server is not ready: {}", answer.text());
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

    println!("\n                             ours                  ceiling               ours / ceiling");
    println!("operation, connections          req/s    CPU µs        req/s    CPU µs       req/s   CPU    target");
    for (name, goal, pick) in [
        (
            "AssumeRoleWithWebIdentity",
            0.65,
            (|calls| &calls.exchange) as fn(&Calls) -> &Request,
        ),
        ("GetCallerIdentity", 0.55, |calls| &calls.identity),
    ] {
        for connections in [16, 64] {
            let compared = beside(&bare, &ours, connections, options, pick)?;
            let (best, own) = (compared.middle(0)?, compared.middle(1)?);
            println!(
                "{name:<25} {connections:>2} {:>9.0} {:>9.1} {:>12.0} {:>9.1} {:>11.0}% {:>5.0}%   ≥ {:.0}% {}",
                own.rate,
                own.cpu,
                best.rate,
                best.cpu,
                compared.rate(1, 0) * 100.0,
                compared.cpu(0, 1) * 100.0,
                goal * 100.0,
                verdict(compared.rate(1, 0) >= goal)
            );
        }
    }
    let session = session_identity(&runtime, &server, &root, &world)?;
    let contestants = [
        (bare.target, std::slice::from_ref(&bare.identity)),
        (ours.target, std::slice::from_ref(&session)),
    ];
    let compared = in_turns(&contestants, 16, options.time)?;
    let own = compared.middle(1)?;
    println!(
        "GetCallerIdentity of a role session, 16 connections: {:.0} req/s, {:.1} CPU µs/req, {:.0}% of the ceiling with a long-term key",
        own.rate,
        own.cpu,
        compared.rate(1, 0) * 100.0
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

fn targets(server: &Server, root: &Client, world: &World, folder: &Path) -> Result<(Calls, Calls, Ended)> {
    let keys = root.credentials.as_ref().context("the root client has keys")?;
    let address: SocketAddr = root.transport.authority().parse()?;
    let ours = Calls {
        target: Target {
            address,
            pid: server.pid(),
            tls: false,
        },
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
    let mut command = Command::new(std::env::current_exe()?);
    let (child, target) = serving(command.arg("ceiling").arg(&file))?;
    let bare = Calls {
        target,
        exchange: exchange_request(target.address, world, &token),
        identity: identity_request(target.address, keys, &root.region)?,
    };
    Ok((ours, bare, child))
}

/// The bytes of a token exchange.
fn exchange_request(address: SocketAddr, world: &World, token: &str) -> Request {
    let parameters = [
        &exchange(&world.role_arn, "load", token)[..],
        &[("Version", "2011-06-15")],
    ]
    .concat();
    let body = sigv4::query_string(&parameters);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded; charset=utf-8\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Request {
        head: head.into(),
        body: body.into(),
        answer: None,
    }
}

/// The bytes of a signed GetCallerIdentity, valid for a quarter of an hour.
fn identity_request(address: SocketAddr, keys: &Credentials, region: &str) -> Result<Request> {
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let host = address.to_string();
    let date = now()?;
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
    text.push_str("\r\n");
    Ok(Request {
        head: text.into(),
        body: Bytes::from_static(body.as_bytes()),
        answer: None,
    })
}

/// A GetCallerIdentity signed by a role session.
fn session_identity(
    runtime: &tokio::runtime::Runtime,
    server: &Server,
    root: &Client,
    world: &World,
) -> Result<Request> {
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
    ours: &mut Calls,
    bare: &mut Calls,
) -> Result<()> {
    let keys = root.credentials.as_ref().context("the root client has keys")?;
    println!(
        "\nflatness, 16 connections       AWI req/s  CPU µs  of ceiling     GCI req/s  CPU µs  of ceiling   RSS MiB"
    );
    let before = point("before", server, keys, options, ours, bare)?;
    println!();
    let memory = process::resident_mebibytes(server.pid())?;

    let exchange = std::slice::from_ref(&ours.exchange);
    let made = ours.target.measure(exchange, 16, Until::Count(options.sessions))?;
    let after = point(
        &format!("after {} sessions", made.requests),
        server,
        keys,
        options,
        ours,
        bare,
    )?;
    flat(&before, &after);
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
    flat(&before, &after);
    println!("  {} roles were made in {took:.1} s, 64 at a time", options.roles);
    Ok(())
}

/// Measures exchange and identity beside the ceiling.
fn point(
    name: &str,
    server: &Server,
    keys: &Credentials,
    options: &Options,
    ours: &mut Calls,
    bare: &mut Calls,
) -> Result<[Compared; 2]> {
    // Signatures are valid for a quarter of an hour only.
    ours.identity = identity_request(ours.target.address, keys, server.region()?)?;
    bare.identity = identity_request(bare.target.address, keys, server.region()?)?;
    let exchange = beside(bare, ours, 16, options, |calls| &calls.exchange)?;
    let identity = beside(bare, ours, 16, options, |calls| &calls.identity)?;
    let (exchanged, identified) = (exchange.middle(1)?, identity.middle(1)?);
    print!(
        "{name:<29} {:>9.0} {:>7.1} {:>9.0}% {:>15.0} {:>7.1} {:>9.0}% {:>9.1}",
        exchanged.rate,
        exchanged.cpu,
        exchange.rate(1, 0) * 100.0,
        identified.rate,
        identified.cpu,
        identity.rate(1, 0) * 100.0,
        process::resident_mebibytes(server.pid())?
    );
    Ok([exchange, identity])
}

/// The ceiling and ours in turns, each with its own request of a kind.
fn beside(
    bare: &Calls,
    ours: &Calls,
    connections: usize,
    options: &Options,
    pick: fn(&Calls) -> &Request,
) -> Result<Compared> {
    let contestants = [bare, ours].map(|calls| (calls.target, std::slice::from_ref(pick(calls))));
    in_turns(&contestants, connections, options.time)
}

fn flat(before: &[Compared; 2], after: &[Compared; 2]) {
    let [exchange, identity] = before;
    let [exchange_now, identity_now] = after;
    // What is compared are shares of the ceiling.
    let kept = |before: &Compared, after: &Compared| {
        (after.rate(1, 0) / before.rate(1, 0), after.cpu(0, 1) / before.cpu(0, 1))
    };
    let (exchange_rate, exchange_cpu) = kept(exchange, exchange_now);
    let (identity_rate, identity_cpu) = kept(identity, identity_now);
    let met = verdict(exchange_rate >= 0.9 && identity_rate >= 0.9);
    println!(
        "\n  against before: AWI {:.0}% (CPU {:.0}%), GCI {:.0}% (CPU {:.0}%)    target ≥ 90%    {met}",
        exchange_rate * 100.0,
        exchange_cpu * 100.0,
        identity_rate * 100.0,
        identity_cpu * 100.0,
    );
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
