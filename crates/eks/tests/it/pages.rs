//! ListClusters, page by page.

use serde_json::{Value, json};

use crate::harness::World;

fn world(names: &[&str]) -> World {
    let mut world = World::new();
    for name in names {
        world.ok(
            "POST",
            "/clusters",
            &json!({ "name": name, "oidc": { "issuer": "https://issuer.example" } }),
        );
    }
    world
}

#[test]
fn all_pages_are_the_whole_list() {
    let mut world = world(&["b", "a-1", "a", "a_1", "B", "c", "10", "2"]);
    let whole = world.ok("GET", "/clusters", &Value::Null);
    assert_eq!(
        whole,
        json!({ "clusters": ["10", "2", "B", "a", "a-1", "a_1", "b", "c"] })
    );
    for size in 1..=9 {
        let (mut names, mut token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = world.ok(
                "GET",
                &format!("/clusters?maxResults={size}&nextToken={token}"),
                &Value::Null,
            );
            names.extend(page["clusters"].as_array().unwrap().clone());
            pages += 1;
            match page.get("nextToken").and_then(Value::as_str) {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(Value::from(names), whole["clusters"]);
        assert_eq!(pages, 8_usize.div_ceil(size).max(1), "{size}");
    }
}

#[test]
fn a_page_goes_on_where_the_last_one_ended() {
    let mut world = world(&["a", "b", "c"]);
    // What was deleted in between does not stop anybody.
    let page = world.ok("GET", "/clusters?maxResults=2", &Value::Null);
    assert_eq!(page, json!({ "clusters": ["a", "b"], "nextToken": "b" }));
    world.ok("DELETE", "/clusters/b", &Value::Null);
    assert_eq!(
        world.ok("GET", "/clusters?maxResults=2&nextToken=b", &Value::Null),
        json!({ "clusters": ["c"] })
    );
    assert_eq!(
        world.ok("GET", "/clusters?nextToken=zzz", &Value::Null),
        json!({ "clusters": [] })
    );
    // Parameters of AWS that change nothing here.
    assert_eq!(
        world.ok("GET", "/clusters?include=all", &Value::Null),
        json!({ "clusters": ["a", "c"] })
    );
}

#[test]
fn sizes_of_pages() {
    let mut world = world(&["a"]);
    for size in ["1", "100", "007"] {
        world.ok("GET", &format!("/clusters?maxResults={size}"), &Value::Null);
    }
    for size in ["0", "101", "-1", "2147483647"] {
        assert_eq!(
            world.error("GET", &format!("/clusters?maxResults={size}"), &Value::Null),
            format!("InvalidParameterException 400: maxResults must be between 1 and 100, not {size}")
        );
    }
    for size in ["", "ten", "1.0", "99999999999"] {
        let said = world.error("GET", &format!("/clusters?maxResults={size}"), &Value::Null);
        assert!(said.starts_with("InvalidParameterException 400: "), "{said}");
    }
    for query in ["maxResults=1&maxResults=2", "nextToken=%zz", "a=%ff"] {
        let said = world.error("GET", &format!("/clusters?{query}"), &Value::Null);
        assert!(said.contains(" 400: "), "{said}");
    }
}
