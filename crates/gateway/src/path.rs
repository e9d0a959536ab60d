//! Where in a request a value stands: `TableName`, `Tags[].Key`, `Names[member]`, `RequestItems{}`, `Items{*}.Key`.

use crate::error::GatewayError;
use crate::json::Tree;

/// A path into a request's parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Member(String),
    /// `[]`: elements; `[member]`: elements in the form of the Query protocol, under that name.
    Each(String),
    /// `{}`: the names of an object's members.
    Keys,
    /// `{*}`: their values.
    Values,
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no path: write `Name`, `Name.Name`, `Name[]`, `Name[member]`, `Name{{}}` or `Name{{*}}`"
            )
        };
        let mut steps = Vec::new();
        for part in text.split('.') {
            let end = part.find(['[', '{']).unwrap_or(part.len());
            let (name, mut rest) = part.split_at_checked(end).ok_or_else(wrong)?;
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte))
            {
                return Err(wrong());
            }
            steps.push(Step::Member(name.to_owned()));
            while !rest.is_empty() {
                if let Some(after) = rest.strip_prefix("{}") {
                    steps.push(Step::Keys);
                    rest = after;
                } else if let Some(after) = rest.strip_prefix("{*}") {
                    steps.push(Step::Values);
                    rest = after;
                } else if let Some((inner, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                    if !inner.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                        return Err(wrong());
                    }
                    steps.push(Step::Each(inner.to_owned()));
                    rest = after;
                } else {
                    return Err(wrong());
                }
            }
        }
        let keys = steps.iter().position(|step| *step == Step::Keys);
        if keys.is_some_and(|place| place.saturating_add(1) != steps.len()) {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The name of the parameter that it begins with.
    pub(crate) fn parameter(&self) -> &str {
        match self.steps.first() {
            Some(Step::Member(name)) => name,
            _ => "",
        }
    }

    /// Whether it can lead to more than one value.
    pub(crate) fn is_plural(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step, Step::Member(_)))
    }

    /// The trees at this path; none if a part of it is absent.
    pub(crate) fn trees<'t>(&self, root: &'t Tree) -> Result<Vec<&'t Tree>, GatewayError> {
        let mut places = vec![root];
        for step in &self.steps {
            let mut next = Vec::new();
            for place in places {
                self.step(step, place, &mut next)?;
            }
            places = next;
        }
        Ok(places)
    }

    fn step<'t>(&self, step: &Step, place: &'t Tree, next: &mut Vec<&'t Tree>) -> Result<(), GatewayError> {
        match step {
            Step::Member(name) => next.extend(member(place, name)?),
            Step::Each(name) => match place {
                Tree::Nothing => {}
                Tree::List(items) => next.extend(items),
                Tree::Object(_) => next.extend(self.form_elements(name, place)?),
                Tree::Text(text) if text.is_empty() => {}
                Tree::Text(_) | Tree::Plain(_) => return Err(self.shape("a list was expected")),
            },
            // Names become texts at the end.
            Step::Keys => match place {
                Tree::Object(_) => next.push(place),
                Tree::Nothing => {}
                _ => return Err(self.shape("an object was expected")),
            },
            Step::Values => match place {
                Tree::Object(members) => next.extend(members.iter().map(|(_, value)| value)),
                Tree::Nothing => {}
                _ => return Err(self.shape("an object was expected")),
            },
        }
        Ok(())
    }

    /// `Name.member.1`, or `Name.1` for flat lists; other spellings may mean something to the service, so they are refused.
    fn form_elements<'t>(&self, name: &str, place: &'t Tree) -> Result<Vec<&'t Tree>, GatewayError> {
        let numbered = if name.is_empty() {
            place
        } else {
            match place.members() {
                [(only, list)] if only == name => list,
                _ => return Err(self.shape("it is no list of the Query protocol in its usual spelling")),
            }
        };
        let members = numbered.members();
        let is_index = |text: &str| {
            !text.is_empty()
                && text.len() <= 6
                && !text.starts_with('0')
                && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if members.is_empty() || !members.iter().all(|(index, _)| is_index(index)) {
            return Err(self.shape("it is no list of the Query protocol in its usual spelling"));
        }
        Ok(members.iter().map(|(_, value)| value).collect())
    }

    /// The texts at this path.
    pub(crate) fn texts(&self, root: &Tree) -> Result<Vec<String>, GatewayError> {
        let mut texts = Vec::new();
        for tree in self.trees(root)? {
            match (tree, self.steps.last()) {
                (Tree::Object(members), Some(Step::Keys)) => texts.extend(members.iter().map(|(name, _)| name.clone())),
                (Tree::Text(text) | Tree::Plain(text), _) => texts.push(text.clone()),
                (Tree::Nothing, _) => {}
                _ => return Err(self.shape("a text was expected")),
            }
        }
        Ok(texts)
    }

    fn shape(&self, reason: &'static str) -> GatewayError {
        GatewayError::Value {
            parameter: self.text.clone(),
            reason,
        }
    }
}

/// A member of an object. A name that differs in case only is refused: some services would read it.
pub(crate) fn member<'t>(place: &'t Tree, name: &str) -> Result<Option<&'t Tree>, GatewayError> {
    let members = match place {
        Tree::Object(members) => members,
        Tree::Nothing => return Ok(None),
        _ => {
            return Err(GatewayError::Value {
                parameter: name.to_owned(),
                reason: "an object was expected around it",
            });
        }
    };
    let mut found = None;
    for (known, value) in members {
        if known == name {
            found = Some(value);
        } else if known.eq_ignore_ascii_case(name) {
            return Err(GatewayError::Ambiguous(format!(
                "a name differs from `{name}` in case only"
            )));
        }
    }
    Ok(found.filter(|value| !matches!(value, Tree::Nothing)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{form, json};

    fn texts(path: &str, tree: &Tree) -> Result<Vec<String>, GatewayError> {
        Path::parse(path).unwrap().texts(tree)
    }

    #[test]
    fn paths_in_json() {
        let tree =
            json::parse(br#"{"A":{"B":[{"C":"x"},{"C":"y"},{}]},"M":{"t1":{"K":1},"t2":{"K":2}},"N":null}"#).unwrap();
        assert_eq!(texts("A.B[].C", &tree).unwrap(), ["x", "y"]);
        assert_eq!(texts("M{}", &tree).unwrap(), ["t1", "t2"]);
        assert_eq!(texts("M{*}.K", &tree).unwrap(), ["1", "2"]);
        assert!(texts("N", &tree).unwrap().is_empty());
        assert!(texts("None.B", &tree).unwrap().is_empty());
        assert!(texts("a.B", &tree).is_err());
        assert!(texts("A", &tree).is_err());
        assert!(texts("A.B.C", &tree).is_err());
    }

    #[test]
    fn lists_of_forms_have_one_spelling() {
        let of = |form: &str| texts("Names[member]", &form::parse(form).unwrap());
        assert_eq!(of("Names.member.1=a&Names.member.2=b").unwrap(), ["a", "b"]);
        assert!(of("Other=1").unwrap().is_empty());
        assert!(of("Names=").unwrap().is_empty());
        for form in [
            "Names=a",
            "Names.1=a",
            "Names.Name.1=a",
            "Names.member=a",
            "Names.member.01=a",
            "Names.member.x=a",
            "Names.member.1=a&Names.Name.1=b",
            "Names.member.1=a&names.member.1=b",
        ] {
            assert!(of(form).is_err(), "{form}");
        }
        assert_eq!(texts("Names[]", &form::parse("Names.1=a").unwrap()).unwrap(), ["a"]);
        assert!(texts("Names[]", &form::parse("Names.member.1=a").unwrap()).is_err());
    }

    #[test]
    fn what_is_no_path() {
        for text in ["", "a..b", "[]", "a[", "a{", "a{}.b", "a b", "a[-]"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }
}
