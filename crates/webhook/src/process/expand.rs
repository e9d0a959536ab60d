//! `$(NAME)` in commands, arguments and variables, as Kubernetes expands it.
//! See <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>.

/// Expands a text: `$(NAME)` becomes the variable's value, or stays as it is if there is none; `$$` becomes `$`, so
/// `$$(NAME)` becomes `$(NAME)`; every other `$` stays. Values are not expanded again. `None`: longer than `limit` bytes.
pub(super) fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>, limit: usize) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after_escape) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after_escape;
        } else if let Some((name, after_reference)) = after.strip_prefix('(').and_then(|name| name.split_once(')')) {
            match lookup(name) {
                Some(value) => expanded.push_str(value),
                None => {
                    expanded.push_str("$(");
                    expanded.push_str(name);
                    expanded.push(')');
                }
            }
            rest = after_reference;
        } else {
            expanded.push('$');
            rest = after;
        }
        if expanded.len() > limit {
            return None;
        }
    }
    expanded.push_str(rest);
    (expanded.len() <= limit).then_some(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let lookup = |name: &str| match name {
            "A" => Some("one"),
            "B" => Some("$(A)"),
            "EMPTY" => Some(""),
            "A$(B" => Some("odd"),
            _ => None,
        };
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "one"),
            ("x$(A)y$(A)z", "xoneyonez"),
            ("$(B)", "$(A)"),
            ("$(EMPTY)", ""),
            ("$(MISSING)", "$(MISSING)"),
            ("$()", "$()"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$one"),
            ("$$$$(A)", "$$(A)"),
            ("$A ${A}", "$A ${A}"),
            ("$(A", "$(A"),
            ("$(A$(B)", "odd"),
            ("$", "$"),
            ("$$", "$"),
            ("$é$(A)", "$éone"),
            ("cost: 5$", "cost: 5$"),
        ] {
            assert_eq!(expand(text, lookup, 1000).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn no_longer_than_the_limit() {
        let value = "x".repeat(60);
        assert_eq!(expand("$(V)", |_| Some(&value), 60).as_deref(), Some(value.as_str()));
        assert_eq!(expand("$(V)$(V)", |_| Some(&value), 60), None);
        assert_eq!(expand(&value, |_| None, 59), None);
    }
}
