//! Values that AWS writes in another form into condition keys.

/// Route 53's normalised record names: small letters, no dot at the end, everything but letters, digits, `_`, `-` and `.` as an
/// octal escape.
///
/// See <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html>.
pub(crate) fn record_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(3)?;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
        rest = after;
    }
    let mut normal = String::with_capacity(bytes.len());
    for byte in bytes {
        let byte = byte.to_ascii_lowercase();
        if byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            normal.push_str(&format!("\\{byte:03o}"));
        }
    }
    Some(normal)
}

/// A path such as `TableName` or `Names[member]` as CloudTrail writes parameters: `tableName`, `names`.
pub(crate) fn parameter_name(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    let last = last.split(['[', '{']).next().unwrap_or(last);
    let mut signs = last.chars();
    signs
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(signs)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names() {
        assert_eq!(record_name("Example.COM.").unwrap(), "example.com");
        assert_eq!(record_name("*.example.com").unwrap(), "\\052.example.com");
        assert_eq!(record_name("\\052.example.com").unwrap(), "\\052.example.com");
        assert_eq!(record_name("\\101.x").unwrap(), "a.x");
        assert!(record_name("\\1").is_none());
        assert!(record_name("\\777").is_none());
        assert!(record_name("\\999").is_none());
    }

    #[test]
    fn parameter_names() {
        assert_eq!(parameter_name("TableName"), "tableName");
        assert_eq!(parameter_name("TransactItems[].Put.TableName"), "tableName");
        assert_eq!(parameter_name("RequestItems{}"), "requestItems");
    }
}
