//! Starting, stopping, starting again, and what keeps a server from starting.

use crate::harness::world;

#[test]
fn a_second_start_finds_everything() {
    let world = world();
    let who = world.server.sts(&world.server.root, "GetCallerIdentity", &[]);
    assert_eq!(
        who.element("Arn").as_deref(),
        Some("arn:aws:iam::111122223333:root"),
        "{}",
        who.text()
    );
}
