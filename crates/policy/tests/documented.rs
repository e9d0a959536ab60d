//! The settings of the profile stand in the project's documentation as they are.

use irsa_policy::Profile;

#[test]
fn every_setting_is_a_row_of_the_documentation() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md");
    let page = std::fs::read_to_string(page).expect("docs/policy.md");
    let rows: Vec<String> = Profile::AWS
        .settings()
        .map(|setting| {
            let value = setting.value;
            let meaning = setting.meaning.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("| `{}` | {value} | {meaning} |", setting.name)
        })
        .collect();
    for row in &rows {
        assert!(page.contains(row.as_str()), "docs/policy.md lacks the row\n{row}");
    }
    let written = page
        .lines()
        .filter(|line| line.ends_with(" |") && (line.contains("` | true |") || line.contains("` | false |")));
    assert_eq!(
        written.count(),
        rows.len(),
        "docs/policy.md has rows of settings that do not exist"
    );
}
