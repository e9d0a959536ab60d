//! The `skip-containers` annotation: the first record of a CSV text, read as Go's `encoding/csv` reads it.

/// The names in the first record. `None`: the text is not CSV, and nothing is skipped.
///
/// Blank lines before the record are passed over, blanks around a name belong to it, and a quoted name may hold commas,
/// doubled quotes and line breaks.
pub(crate) fn first_record(text: &str) -> Option<Vec<String>> {
    // A carriage return counts as part of the line end, and a final one as none.
    let text = text.replace("\r\n", "\n");
    let text = text.strip_suffix('\r').unwrap_or(&text);
    let mut rest = text.trim_start_matches('\n');
    let mut names = Vec::new();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end)?;
                if name.contains('"') {
                    return None;
                }
                (name.to_owned(), after)
            }
        };
        names.push(name);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some(names),
        }
    }
}

/// The field whose opening quote has been read, and the text from its delimiter on.
fn quoted_field(mut rest: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None if after.is_empty() || after.starts_with([',', '\n']) => return Some((name, after)),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let cases: [(&str, Option<&[&str]>); 22] = [
            ("", Some(&[])),
            ("\n\r\n", Some(&[])),
            ("\r", Some(&[])),
            ("a", Some(&["a"])),
            ("a,b", Some(&["a", "b"])),
            ("a, b", Some(&["a", " b"])),
            ("a,", Some(&["a", ""])),
            (",", Some(&["", ""])),
            ("a\nb", Some(&["a"])),
            ("\n\na\nb", Some(&["a"])),
            ("a\r\nb", Some(&["a"])),
            ("a\r", Some(&["a"])),
            ("\"c,d\"", Some(&["c,d"])),
            ("\"c,d\",e", Some(&["c,d", "e"])),
            ("\"a\"\"b\"", Some(&["a\"b"])),
            ("\"a\nb\",c\nd", Some(&["a\nb", "c"])),
            ("\"\"", Some(&[""])),
            ("a\"b", None),
            ("\"a", None),
            ("\"a\"b", None),
            ("\"a\" ,b", None),
            (" \"a\"", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(first_record(text), expected, "{text:?}");
        }
    }
}
