use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::fake::{Reply, api_server, refusal};
use crate::{ServiceAccount, watch_config_map, watch_service_accounts};

fn account(name: &str, version: u32) -> Value {
    json!({"metadata": {"namespace": "app", "name": name, "resourceVersion": version.to_string()}})
}

fn page(accounts: &[Value], version: u32, more: &str) -> Reply {
    let metadata = json!({"resourceVersion": version.to_string(), "continue": more});
    Reply::Json(200, json!({"metadata": metadata, "items": accounts}))
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn bookmark(version: u32) -> Value {
    let object =
        json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string()}});
    event("BOOKMARK", object)
}

fn told(change: Change<ServiceAccount>) -> String {
    match change {
        Change::Present(account) => format!("+{}", account.name),
        Change::Removed(account) => format!("-{}", account.name),
        other => format!("{other:?}"),
    }
}

/// The first `count` changes that the answers lead to, and what was asked for meanwhile.
async fn follow_accounts(count: usize, answers: Vec<Reply>) -> (Vec<String>, Vec<String>) {
    let mut answers = answers.into_iter();
    let (cluster, requests) = api_server(move |_, _| answers.next().unwrap_or(Reply::Open(Vec::new()))).await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let options = WatchOptions {
        page_size: 2,
        ..WatchOptions::default()
    };
    let watch = watch_service_accounts(&cluster, "eks.amazonaws.com", options, |change| {
        sender.send(told(change)).unwrap();
    });
    let receive = async {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(receiver.recv().await.unwrap());
        }
        all
    };
    let all = tokio::select! {
        () = watch => unreachable!("a watch never ends"),
        all = receive => all,
        () = sleep(Duration::from_secs(30)) => panic!("{:?}", requests.lock().unwrap()),
    };
    let asked = requests.lock().unwrap().iter().map(|(head, _)| head.clone()).collect();
    (all, asked)
}

#[tokio::test]
async fn a_paged_list_then_changes_from_where_it_ended() {
    let (told, asked) = follow_accounts(
        7,
        vec![
            page(&[account("a", 1), account("b", 2)], 5, "more"),
            page(&[account("c", 3)], 5, ""),
            Reply::Open(vec![
                event("ADDED", account("d", 6)),
                bookmark(9),
                event("DELETED", account("a", 10)),
            ]),
        ],
    )
    .await;
    assert_eq!(told, ["Relisting", "+a", "+b", "+c", "Complete", "+d", "-a"]);
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(
        asked[0].starts_with("GET /api/v1/serviceaccounts?") && asked[0].contains("limit=2"),
        "{asked:?}"
    );
    assert!(asked[1].contains("continue=more"), "{asked:?}");
    for part in [
        "watch=true",
        "resourceVersion=5",
        "allowWatchBookmarks=true",
        "timeoutSeconds=60",
    ] {
        assert!(asked[2].contains(part), "{asked:?}");
    }
}

#[tokio::test]
async fn a_watch_goes_on_after_a_fault_and_lists_anew_only_when_it_is_too_old() {
    let (told, asked) = follow_accounts(
        7,
        vec![
            // The API server is away at the start: nothing ends.
            Reply::Hangs,
            Reply::Json(500, refusal(500, "InternalError")),
            page(&[account("a", 1)], 5, ""),
            Reply::Hangs,
            Reply::Open(vec![bookmark(7), event("ERROR", refusal(410, "Expired"))]),
            page(&[account("b", 8)], 9, ""),
        ],
    )
    .await;
    // A list that fails begins anew.
    assert_eq!(told[told.len() - 3..], ["Complete", "Relisting", "+b"], "{told:?}");
    assert!(
        asked[3].contains("resourceVersion=5") && asked[4].contains("resourceVersion=5"),
        "{asked:?}"
    );
    assert!(
        asked[5].contains("limit=2") && !asked[5].contains("watch=true"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_config_map_comes_breaks_goes_and_comes_back() {
    let map = |version: u32, text: &str| json!({"metadata": {"namespace": "n", "name": "m", "resourceVersion": version.to_string()}, "data": {"config": text}});
    let mut other = map(6, "other");
    other["metadata"]["name"] = "another".into();
    let mut empty = map(7, "");
    empty["data"] = Value::Null;
    let mut answers = vec![
        page(&[], 5, ""),
        Reply::Open(vec![
            event("ADDED", map(6, "{}")),
            event("ADDED", other),
            event("MODIFIED", empty),
            event("DELETED", map(8, "{}")),
            event("ADDED", map(9, "again")),
        ]),
    ]
    .into_iter();
    let (cluster, requests) = api_server(move |_, _| answers.next().unwrap_or(Reply::Open(Vec::new()))).await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let watch = watch_config_map(&cluster, "n", "m", "config", WatchOptions::default(), |text| {
        sender.send(text.map(str::to_owned)).unwrap();
    });
    let mut told = Vec::new();
    tokio::select! {
        () = watch => unreachable!("a watch never ends"),
        () = async { while told.len() < 5 { told.push(receiver.recv().await.unwrap()); } } => {}
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(told, [None, text("{}"), None, None, text("again")]);
    let asked = requests.lock().unwrap()[0].0.clone();
    assert!(asked.starts_with("GET /api/v1/namespaces/n/configmaps?"), "{asked}");
    assert!(asked.contains("fieldSelector=metadata.name%3Dm"), "{asked}");
}
