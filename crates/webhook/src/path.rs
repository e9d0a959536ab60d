//! Paths inside containers: always with slashes, whatever the host.

/// The shortest equal path, by text alone: no doubled slashes, no `.`, and `..` resolved where something precedes it.
/// Same results as Go's `path.Clean`, because variables must equal what the reference webhook writes.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// `folder` and `file` joined and cleaned; an empty folder leaves the file alone.
pub(crate) fn join(folder: &str, file: &str) -> String {
    if folder.is_empty() {
        clean(file)
    } else {
        clean(&format!("{folder}/{file}"))
    }
}

/// The same file as a Windows container sees it.
pub(crate) fn windows(path: &str) -> String {
    format!("C:{}", path.replace('/', "\\"))
}

/// Whether the cleaned `path` is `folder` or something in it.
pub(crate) fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaned_as_go_does() {
        for (path, expected) in [
            ("", "."),
            ("/", "/"),
            ("//", "/"),
            (".", "."),
            ("./a", "a"),
            ("a/..", "."),
            ("a/../..", ".."),
            ("../../a", "../../a"),
            ("/../a", "/a"),
            ("/var//creds/", "/var/creds"),
            ("/var/./x/../creds", "/var/creds"),
            ("/é/…", "/é/…"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn joined() {
        assert_eq!(join("/var//creds/", "token"), "/var/creds/token");
        assert_eq!(join("", "token"), "token");
        assert_eq!(join("/", "token"), "/token");
        assert_eq!(windows("/var/run/token"), "C:\\var\\run\\token");
    }

    #[test]
    fn below() {
        assert!(is_at_or_below("/a/b", "/a/b"));
        assert!(is_at_or_below("/a/b/c", "/a/b"));
        assert!(!is_at_or_below("/a/bc", "/a/b"));
        assert!(is_at_or_below("/a", "/"));
    }
}
