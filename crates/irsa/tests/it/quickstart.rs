use crate::support::{Ended, irsa};

#[test]
fn the_story_is_true() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = irsa();
    // What it inherits must not help or hurt it.
    command
        .arg("quickstart")
        .env("TMPDIR", temporary.path())
        .env_remove("XDG_RUNTIME_DIR")
        .env("AWS_ACCESS_KEY_ID", "AKIAINHERITEDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "inherited")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let ended = Ended::of(&mut command);
    assert_eq!(ended.stderr, "", "{ended:#?}");
    let text = ended.done();
    for line in [
        " 1  A server: IAM, STS, EKS, S3 and the clusters' issuers",
        "aws eks describe-cluster --name my-cluster --query \"cluster.identity.oidc.issuer\" --output text",
        "\"sts.amazonaws.com\",",
        "\"system:serviceaccount:app:s3-reader\"",
        "+        - name: AWS_WEB_IDENTITY_TOKEN_FILE",
        ":assumed-role/S3ReadRole/",
        "✓ it lists s3://my-bucket: hello.txt",
        "✓ it reads s3://my-bucket/hello.txt: hello from my-bucket",
        "✓ denied AccessDenied: User: arn:aws:sts::",
        "because no identity-based policy allows the s3:PutObject action",
        "Action: expected `s3:GetObject` or `s3:ListBucket`, found `s3:PutObject`",
        "✓ denied the service account names no role",
        "✓ denied AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "expected `system:serviceaccount:app:s3-reader`, found `system:serviceaccount:app:default`",
        "✓ every step is there, refusals too; no token and no secret is",
        "records, chained: none was changed, removed or moved",
        "every step was checked.",
        "What to try next",
    ] {
        assert!(text.contains(line), "`{line}` is missing in:\n{text}");
    }
    assert!(!text.contains("inherited") && !text.contains('\u{1b}'), "{text}");
    let left: Vec<_> = std::fs::read_dir(temporary.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
