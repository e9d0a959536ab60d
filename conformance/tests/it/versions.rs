//! Versions of objects with the AWS CLI and boto3.

use anyhow::Result;
use irsa_conformance::Server;

use crate::{boto3::passes, shell};

#[test]
fn the_aws_cli_makes_lists_and_removes_versions() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let output = shell::script(&server, folder.path(), "versions.sh", &[])?;
    let part = |name: &str| -> Vec<Vec<&str>> {
        let (_, rest) = output
            .split_once(&format!("== {name}\n"))
            .unwrap_or_else(|| panic!("no part {name} in:\n{output}"));
        let lines = rest.split("== ").next().unwrap_or_default().lines();
        lines.map(|line| line.split_whitespace().collect()).collect()
    };
    assert_eq!(part("status"), [["Enabled"]]);
    assert_eq!(part("unversioned"), [["None"]]);
    let ids = part("ids");
    let [second, third, marker] = ids[0][..] else {
        panic!("{ids:?}")
    };
    assert!([second, third, marker].iter().all(|id| id.len() == 32), "{ids:?}");

    let hidden: Vec<String> = part("hidden").iter().map(|words| words.join(" ")).collect();
    let expected = [
        "An error occurred (NoSuchKey) when calling the GetObject operation: The specified key does not exist.",
        "An error occurred (404) when calling the HeadObject operation: Not Found",
        "An error occurred (MethodNotAllowed) when calling the GetObject operation: The specified method is not allowed \
         against this resource.",
        "An error occurred (405) when calling the HeadObject operation: Method Not Allowed",
        "An error occurred (InvalidArgument) when calling the GetObject operation: Invalid version id specified",
        "An error occurred (InvalidArgument) when calling the DeleteObject operation: Invalid version id specified",
        "An error occurred (BucketNotEmpty) when calling the DeleteBucket operation: The bucket you tried to delete is not empty",
    ];
    assert_eq!(hidden, expected);

    assert_eq!(
        part("contents"),
        [["null", "before"], [second, "second"], [third, "third"]]
    );
    assert_eq!(
        part("versions"),
        [["a", third, "False"], ["a", second, "False"], ["a", "null", "False"]]
    );
    assert_eq!(part("markers"), [["a", marker, "True"]]);
    let paged = part("paged").concat();
    let paged: Vec<&str> = paged.into_iter().filter(|id| *id != "None").collect();
    assert_eq!(paged, [third, second, "null"]);
    assert_eq!(part("one page"), [["True", "a", third]]);
    assert_eq!(part("restored"), [[second], ["second"]]);
    let tags = part("tags");
    assert_eq!(tags[..3], [vec![third], vec!["third"], vec!["0"]]);
    assert_eq!(tags[3], [third, "6"]);
    assert_eq!(part("suspended"), [vec!["null"], vec!["True", "null"]]);
    assert_eq!(part("removed"), [[third, "True", marker, "NoSuchVersion"]]);
    Ok(())
}

#[test]
fn boto3_empties_a_bucket_page_by_page() -> Result<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    passes(shell::command(&server, "python", folder.path())?.arg(shell::scripts().join("versions.py")))
}
