//! What reading the table and asking it cost. `cargo bench -p irsa-metadata`.
#![expect(clippy::print_stdout, reason = "what happens once a process is measured once")]

use std::time::Instant;

use divan::{Bencher, black_box};
use irsa_metadata::Metadata;

fn main() {
    let start = Instant::now();
    let metadata = Metadata::aws();
    let list = start.elapsed();
    let _ = black_box(metadata.action("s3:GetObject"));
    let service = start.elapsed();
    let _ = black_box(metadata.actions_matching("*").count());
    println!(
        "first read: services and keys {list:?}, with one service {service:?}, with all services {:?}",
        start.elapsed()
    );
    divan::main();
}

#[divan::bench(args = ["s3:GetObject", "ec2:RunInstances", "sts:Frobnicate"])]
fn action(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench(|| Metadata::aws().action(black_box(name)).is_some());
}

#[divan::bench(args = ["aws:SourceIp", "aws:PrincipalTag/team", "oidc.example.com/id/X:sub"])]
fn condition_key(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench(|| Metadata::aws().condition_key(black_box(name)).is_some());
}

#[divan::bench(args = ["s3:Get*", "*", "*a*a*a*a*a*a*a*a"])]
fn width(bencher: Bencher<'_, '_>, pattern: &str) {
    bencher.bench(|| Metadata::aws().width(black_box(pattern)));
}

#[divan::bench]
fn accepts_resource(bencher: Bencher<'_, '_>) {
    let action = Metadata::aws().action("ec2:RunInstances");
    bencher.bench(|| action.is_some_and(|action| action.accepts_resource(black_box("arn:aws:ec2:*:*:instance/*"))));
}

#[divan::bench]
fn suggest_action(bencher: Bencher<'_, '_>) {
    bencher.bench(|| Metadata::aws().suggest_actions(black_box("ec2:RunInstanses")));
}
