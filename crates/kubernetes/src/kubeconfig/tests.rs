use super::*;

const WHOLE: &str = "
current-context: one
contexts:
- {name: one, context: {cluster: c1, user: u1}}
- {name: two, context: {cluster: c2, user: u2, namespace: app}}
- {name: lost, context: {cluster: nowhere, user: u1}}
- {name: nobody, context: {cluster: c1, user: missing}}
- {name: bare, context: {cluster: c3, user: u1}}
clusters:
- {name: c1, cluster: {server: 'https://one.example:6443'}}
- {name: c2, cluster: {server: 'https://two.example', proxy-url: 'http://proxy:3128'}}
- {name: c3, cluster: {}}
users:
- {name: u1, user: {token: t-1}}
- {name: u2, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token]}}}
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn listed(&self, names: &[&str]) -> Files {
        Files::Listed(names.iter().map(|name| self.0.path().join(name)).collect())
    }

    fn one(&self, name: &str) -> Files {
        Files::One(self.0.path().join(name))
    }
}

async fn fails(files: &Files, context: Option<&str>) -> String {
    match of_files(files, context, None).await {
        Ok(chosen) => panic!("{}", chosen.context),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn the_current_context_or_the_named_one() {
    let folder = Folder::new(&[("config", WHOLE)]);
    let chosen = of_files(&folder.one("config"), None, None).await.unwrap();
    assert_eq!(chosen.context, "one");
    assert_eq!(chosen.config.cluster_url.host(), Some("one.example"));
    assert!(chosen.plugin.is_none() && chosen.proxy.is_none());
    let chosen = of_files(&folder.one("config"), Some("two"), None).await.unwrap();
    assert_eq!(chosen.config.cluster_url.host(), Some("two.example"));
    assert!(chosen.plugin.is_some() && chosen.proxy.is_some());
    assert!(chosen.config.auth_info.exec.is_none(), "it is ours to run");
    let server = "https://three.example".parse().unwrap();
    let chosen = of_files(&folder.one("config"), Some("bare"), Some(&server))
        .await
        .unwrap();
    assert_eq!(chosen.config.cluster_url.host(), Some("three.example"));
    assert!(
        of_files(&folder.one("config"), Some("nobody"), None).await.is_ok(),
        "as kubectl"
    );
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_there_is() {
    let folder = Folder::new(&[
        ("config", WHOLE),
        ("empty", ""),
        ("blank", "{current-context: '', contexts: []}"),
    ]);
    let file = folder.one("config");
    assert_eq!(
        fails(&file, Some("three")).await,
        "the kubeconfig can't be used: there is no context `three`: there are `one`, `two`, `lost`, `nobody`, `bare`"
    );
    assert!(
        fails(&file, Some("lost"))
            .await
            .contains("there is no cluster `nowhere`")
    );
    assert!(
        fails(&file, Some("bare"))
            .await
            .contains("the cluster `c3` has no server")
    );
    for name in ["empty", "blank"] {
        assert!(
            fails(&folder.one(name), None)
                .await
                .ends_with("and none is the current one: the file has no contexts")
        );
    }
}

#[tokio::test]
async fn a_list_is_merged_and_the_first_that_says_something_wins() {
    let folder = Folder::new(&[
        ("a", "{current-context: '', users: [{name: u1, user: {token: first}}]}"),
        ("b", WHOLE),
        (
            "c",
            "{current-context: two, clusters: [{name: c1, cluster: {server: 'https://other.example'}}]}",
        ),
    ]);
    let files = folder.listed(&["missing", "a", "b", "c"]);
    let chosen = of_files(&files, None, None).await.unwrap();
    assert_eq!(chosen.context, "one");
    assert_eq!(chosen.config.cluster_url.host(), Some("one.example"));
    let chosen = of_files(&folder.listed(&["c", "b"]), None, None).await.unwrap();
    assert_eq!(chosen.context, "two");
}

#[tokio::test]
async fn a_file_that_is_asked_for_has_to_be_there_and_one_of_a_list_not() {
    let folder = Folder::new(&[]);
    assert!(
        fails(&folder.one("missing"), None)
            .await
            .starts_with("the kubeconfig can't be used: `/")
    );
    let error = fails(&folder.listed(&["missing", "neither"]), None).await;
    assert!(
        error.starts_with("there is no kubeconfig: `KUBECONFIG` names `/") && error.ends_with("and none is there"),
        "{error}"
    );
    let error = fails(&Files::Default(Some(folder.0.path().join("config"))), None).await;
    assert!(
        error.starts_with("there is no kubeconfig: `KUBECONFIG` is not set, and `/"),
        "{error}"
    );
}

#[tokio::test]
async fn errors_show_nothing_of_the_file() {
    let folder = Folder::new(&[
        ("type", "users:\n- name: u\n  user: {token: top-secret}\ncontexts: 7\n"),
        ("syntax", "users:\n- name: u\n  user: {token: top-secret\n"),
    ]);
    for name in ["type", "syntax"] {
        let error = fails(&folder.one(name), None).await;
        assert!(!error.contains("top-secret"), "{error}");
        assert!(error.contains("line"), "{error}");
    }
}

#[tokio::test]
async fn a_file_of_a_token_goes_before_a_token_and_both_before_a_plugin() {
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}";
    let text = |user: &str| WHOLE.replace("{token: t-1}", user);
    let folder = Folder::new(&[
        ("token", "from-file"),
        ("both", &text("{token: t-1, tokenFile: token}")),
        ("gone", &text("{token: t-1, tokenFile: gone-away}")),
        ("token-exec", &text(&format!("{{token: t-1, {exec}}}"))),
        ("old", &text(&format!("{{{}}}", exec.replace("/v1", "/v1alpha1")))),
        (
            "nameless",
            &text(&format!("{{{}}}", exec.replace("command: aws", "args: [x]"))),
        ),
    ]);
    let user = async |name: &str| of_files(&folder.one(name), None, None).await.unwrap();
    let both = user("both").await.config.auth_info;
    assert!(
        both.token.is_none() && both.token_file.unwrap().ends_with("/token"),
        "relative to the kubeconfig"
    );
    assert!(user("gone").await.config.auth_info.token.is_some());
    assert!(user("token-exec").await.plugin.is_none());
    let error = fails(&folder.one("old"), None).await;
    assert!(
        error.contains("v1alpha1` , and there are") || error.contains("v1alpha1`, and there are"),
        "{error}"
    );
    assert!(
        fails(&folder.one("nameless"), None)
            .await
            .ends_with("no `command` is named")
    );
}
