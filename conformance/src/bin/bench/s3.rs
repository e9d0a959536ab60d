//! What objects cost to read and write: in the embedded store beside a bare server, and before another store beside that store reached directly.
//!
//! Requests carry signatures of a role session that a web identity got, made ahead of the clock. The role's policy has conditions, as a team's has.

use std::{net::SocketAddr, process::Command};

use anyhow::{Result, ensure};
use bytes::Bytes;
use irsa_conformance::{
    Client, Cluster, Credentials, Server, StartOptions, exchange,
    sigv4::{self, Scope, Unsigned},
};
use serde_json::json;

use crate::{
    Options,
    compare::{Compared, in_turns},
    load::{Request, Target, Until},
    now, process, serving, verdict,
};

const BUCKET: &str = "bench";
const REGION: &str = "us-east-1";
const SMALL: usize = 1024;
const LARGE: usize = 64 * 1024 * 1024;
/// Every connection has an object of its own, up to so many.
const OBJECTS: usize = 64;
/// How much memory may grow while 4 × 64 MiB pass, and how much may stay afterwards, in MiB.
const GROWTH: f64 = 32.0;

/// A server that objects are read from and written to.
struct Place {
    target: Target,
    keys: Credentials,
}

/// One figure: a method, a size, and connections.
#[derive(Clone, Copy)]
struct Figure {
    method: &'static str,
    size: usize,
    connections: usize,
    /// The least share of the ceiling.
    of_ceiling: Option<f64>,
    /// The least share of an upstream reached directly.
    of_upstream: Option<f64>,
}

const fn figure(method: &'static str, size: usize, connections: usize) -> Figure {
    Figure {
        method,
        size,
        connections,
        of_ceiling: None,
        of_upstream: None,
    }
}

const FIGURES: [Figure; 8] = [
    Figure {
        of_ceiling: Some(0.4),
        ..figure("GET", SMALL, 16)
    },
    Figure {
        of_ceiling: Some(0.4),
        ..figure("GET", SMALL, 64)
    },
    figure("PUT", SMALL, 16),
    figure("PUT", SMALL, 64),
    Figure {
        of_upstream: Some(0.85),
        ..figure("GET", LARGE, 1)
    },
    Figure {
        of_upstream: Some(0.85),
        ..figure("GET", LARGE, 4)
    },
    Figure {
        of_upstream: Some(0.85),
        ..figure("PUT", LARGE, 1)
    },
    Figure {
        of_upstream: Some(0.85),
        ..figure("PUT", LARGE, 4)
    },
];

/// Measures, and prints as it goes.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("irsa-bench").tempdir()?;
    let bodies = Bodies::new();
    let mut bare = Command::new(std::env::current_exe()?);
    let (_bare, target) = serving(bare.arg("bare").arg(folder.path().join("bare")))?;
    let bare = Place {
        target,
        keys: upstream_keys(),
    };
    bare.fill(&bodies)?;

    let start = StartOptions {
        binary: Some(options.binary.clone()),
        data: Some(folder.path().join("embedded")),
        ..StartOptions::default()
    };
    let server = Server::start_with(&start)?;
    let embedded = runtime.block_on(place(&server))?;
    embedded.fill(&bodies)?;
    title("embedded", "ceiling");
    for figure in figures(options) {
        figure.print(&figure.beside([&bare, &embedded], &bodies, options)?, figure.of_ceiling)?;
    }
    embedded.memory("embedded", &bodies)?;
    server.stop()?;

    let files = folder.path().join("s3s-fs");
    std::fs::create_dir(&files)?;
    let keys = upstream_keys();
    let mut command = Command::new(&options.upstream);
    let (_files, target) = serving(command.arg(files).args([keys.access_key_id, keys.secret_access_key]))?;
    let files = Place {
        target,
        keys: upstream_keys(),
    };
    for (name, upstream, is_target) in [("s3s-fs", &files, true), ("bare", &bare, false)] {
        let start = StartOptions {
            binary: Some(options.binary.clone()),
            data: Some(folder.path().join(format!("before-{name}"))),
            arguments: vec![
                "--s3-upstream".to_owned(),
                format!("http://{}", upstream.target.address),
            ],
            environment: vec![
                ("AWS_ACCESS_KEY_ID", upstream.keys.access_key_id.clone()),
                ("AWS_SECRET_ACCESS_KEY", upstream.keys.secret_access_key.clone()),
            ],
        };
        let server = Server::start_with(&start)?;
        let proxied = runtime.block_on(place(&server))?;
        proxied.fill(&bodies)?;
        println!();
        title("proxied", &format!("{name} itself"));
        for figure in figures(options) {
            let target = figure.of_upstream.filter(|_| is_target);
            figure.print(&figure.beside([upstream, &proxied], &bodies, options)?, target)?;
        }
        proxied.memory(&format!("before {name}"), &bodies)?;
        server.stop()?;
    }
    Ok(())
}

fn figures(options: &Options) -> impl Iterator<Item = Figure> {
    FIGURES
        .into_iter()
        .filter(|figure| figure.name().contains(&options.only))
}

fn title(ours: &str, other: &str) {
    let ratio = format!("{ours} / {other}");
    println!("{:<28} {ours:<21} {other:<21} {ratio}", "");
    println!("operation, connections          req/s    CPU µs        req/s    CPU µs       req/s   CPU    target");
}

/// What the upstreams know.
fn upstream_keys() -> Credentials {
    Credentials {
        access_key_id: "AKIABENCHUPSTREAM000".to_owned(),
        secret_access_key: "the secret of the upstream".to_owned(),
        session_token: None,
    }
}

/// What is written, shared by all requests.
struct Bodies {
    small: Bytes,
    large: Bytes,
}

impl Bodies {
    fn new() -> Self {
        let large: Bytes = (0u8..251).cycle().take(LARGE).collect::<Vec<_>>().into();
        Self {
            small: large.slice(..SMALL),
            large,
        }
    }

    fn of(&self, size: usize) -> &Bytes {
        if size == SMALL { &self.small } else { &self.large }
    }
}

impl Figure {
    fn name(&self) -> String {
        let size = if self.size == SMALL { "1 KiB" } else { "64 MiB" };
        format!("{} {size}", self.method)
    }

    /// Servers in turns, each with requests of its own.
    fn beside(&self, places: [&Place; 2], bodies: &Bodies, options: &Options) -> Result<Compared> {
        let requests = places
            .iter()
            .map(|place| place.requests(self.method, bodies.of(self.size), self.connections))
            .collect::<Result<Vec<_>>>()?;
        let contestants: Vec<(Target, &[Request])> = places
            .iter()
            .zip(&requests)
            .map(|(place, requests)| (place.target, requests.as_slice()))
            .collect();
        in_turns(&contestants, self.connections, options.time)
    }

    /// One line: the second server beside the first.
    fn print(&self, compared: &Compared, target: Option<f64>) -> Result<()> {
        let (best, own) = (compared.middle(0)?, compared.middle(1)?);
        let name = self.name();
        let rate = compared.rate(1, 0);
        let target = target.map_or_else(String::new, |target| {
            format!("≥ {:.0}% {}", target * 100.0, verdict(rate >= target))
        });
        let digits = if self.size == SMALL { 0 } else { 1 };
        println!(
            "{name:<25} {:>2} {:>9.digits$} {:>9.1} {:>12.digits$} {:>9.1} {:>11.0}% {:>5.0}%   {target}",
            self.connections,
            own.rate,
            own.cpu,
            best.rate,
            best.cpu,
            rate * 100.0,
            compared.cpu(0, 1) * 100.0,
        );
        Ok(())
    }
}

impl Place {
    /// Writes every object that is read later.
    fn fill(&self, bodies: &Bodies) -> Result<()> {
        for body in [&bodies.small, &bodies.large] {
            let objects = if body.len() == SMALL { OBJECTS } else { 4 };
            for request in self.requests("PUT", body, objects)? {
                self.target.measure(&[request], 1, Until::Count(1))?;
            }
        }
        Ok(())
    }

    /// Signed requests, one a connection.
    fn requests(&self, method: &str, body: &Bytes, connections: usize) -> Result<Vec<Request>> {
        (0..connections.min(OBJECTS))
            .map(|number| self.request(method, &format!("/{BUCKET}/team-{}-{number}", body.len()), body))
            .collect()
    }

    fn request(&self, method: &str, path: &str, body: &Bytes) -> Result<Request> {
        let (sent, answer) = if method == "PUT" {
            (body.clone(), 0)
        } else {
            (Bytes::new(), body.len())
        };
        let (host, date) = (self.target.address.to_string(), now()?);
        let unsigned = Unsigned {
            method,
            host: &host,
            path,
            query: &[],
            headers: &[],
            body: &sent,
            date: &date,
        };
        let scope = Scope {
            access_key_id: &self.keys.access_key_id,
            secret_access_key: &self.keys.secret_access_key,
            session_token: self.keys.session_token.as_deref(),
            region: REGION,
            service: "s3",
        };
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n",
            sent.len()
        );
        for (name, value) in sigv4::sign(&unsigned, &scope) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Ok(Request {
            head: head.into(),
            body: sent,
            answer: Some(answer),
        })
    }

    /// The server's memory before, while and after four connections read and write large objects.
    fn memory(&self, name: &str, bodies: &Bodies) -> Result<()> {
        let pid = self.target.pid;
        println!("\n{name}: memory, 4 connections    before   peak  after, MiB");
        for method in ["GET", "PUT"] {
            let requests = self.requests(method, &bodies.large, 4)?;
            let before = process::resident_mebibytes(pid)?;
            process::forget_peak(pid)?;
            self.target.measure(&requests, 4, Until::Count(16))?;
            let (peak, after) = (process::peak_mebibytes(pid)?, process::resident_mebibytes(pid)?);
            println!(
                "  {method} 64 MiB    {before:>8.1} {peak:>8.1} {after:>8.1}    target ≤ + {GROWTH:.0}    {}",
                verdict(peak - before <= GROWTH)
            );
        }
        Ok(())
    }
}

/// A role that a pod assumed, and a bucket that it may use.
async fn place(server: &Server) -> Result<Place> {
    let root = server.root()?;
    let made = root
        .call("s3", "PUT", &format!("/{BUCKET}"), &[], &[], Bytes::new())
        .await?;
    ensure!(made.status == 200, "no bucket was made: {}", made.text());
    let address: SocketAddr = root.transport.authority().parse()?;
    Ok(Place {
        target: Target {
            address,
            pid: server.pid(),
            tls: false,
        },
        keys: session(&root).await?,
    })
}

async fn session(root: &Client) -> Result<Credentials> {
    let cluster = Cluster::create(root, "bench").await?;
    let role = cluster.role(root, "bench", "bench", "load").await?;
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": format!("arn:aws:s3:::{BUCKET}/team-*"),
         "Condition": {"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "10.0.0.0/8"]}}},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{BUCKET}"),
         "Condition": {"StringLike": {"s3:prefix": "team-*"}}},
        {"Effect": "Deny", "Action": "s3:*", "Resource": format!("arn:aws:s3:::{BUCKET}/team-locked-*")}]})
    .to_string();
    let parameters = [
        ("Action", "PutRolePolicy"),
        ("RoleName", "bench"),
        ("PolicyName", "bench"),
        ("PolicyDocument", policy.as_str()),
    ];
    root.must("iam", &parameters).await?;
    let token = cluster.token(root, "bench", "load").await?;
    let answer = root.with(None).must("sts", &exchange(&role, "load", &token)).await?;
    answer.credentials()
}
