//! Kinds of resources: how a value of a request becomes an ARN.

use std::collections::BTreeMap;

use irsa_core::{AccountId, partition_of_region};
use serde::Deserialize;

/// Where a request plays: what the templates of ARNs are filled with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) region: &'a str,
    /// The owner of what stands behind the gateway.
    pub(crate) account: AccountId,
}

/// A resource that a request names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named {
    pub(crate) arn: String,
    pub(crate) account: AccountId,
    /// Whether the ARN only stands for one that the request does not say.
    pub(crate) approximate: bool,
}

/// A kind as the file of rules has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct KindJson {
    /// With `{partition}`, `{region}`, `{account}`, `{}` for values, and `*` for what requests do not say.
    arn: String,
    /// Signs that values may have beside letters, digits, `-`, `_` and `.`.
    #[serde(default)]
    allow: String,
    /// What is cut from the beginning of a value.
    #[serde(default)]
    trim: Vec<String>,
    /// The sign from which on a value is cut: a version or a label.
    #[serde(default)]
    until: Option<char>,
    /// What ARNs have after the name, with `?` for each sign, and names do not.
    #[serde(default)]
    suffix: String,
    /// The value is a URL; its last segment counts.
    #[serde(default)]
    url: bool,
    /// The service does not tell capitals from small letters.
    #[serde(default)]
    lower_case: bool,
    /// The ARN is not the one that AWS would ask about.
    #[serde(default)]
    approximate: bool,
    /// What is left of a value once it is cut may be nothing: the root of a hierarchy.
    #[serde(default)]
    root: bool,
    /// What ARNs have for the words that requests have for the first value; then it has no others.
    #[serde(default)]
    words: BTreeMap<String, String>,
}

/// A kind of resource of a service.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pieces: Vec<Piece>,
    slots: usize,
    allow: String,
    trim: Vec<String>,
    until: Option<char>,
    suffix: String,
    url: bool,
    lower_case: bool,
    pub(crate) approximate: bool,
    root: bool,
    words: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Literal(String),
    Partition,
    Region,
    Account,
    Slot,
    /// `*`: unknown, and written as such.
    Any,
}

impl TryFrom<KindJson> for Kind {
    type Error = String;

    fn try_from(json: KindJson) -> Result<Self, String> {
        let pieces = pieces(&json.arn)?;
        if json.arn.splitn(6, ':').count() != 6 || !json.arn.starts_with("arn:") {
            return Err(format!(
                "`{}` is no template of an ARN: `arn:` and five more fields",
                json.arn
            ));
        }
        let slots = pieces.iter().filter(|piece| **piece == Piece::Slot).count();
        if slots == 0 {
            return Err(format!("`{}` has no `{{}}` for the value", json.arn));
        }
        if json.allow.contains(['*', '?', '$']) || json.allow.chars().any(|sign| sign.is_control() || !sign.is_ascii())
        {
            return Err("`allow` may hold printable ASCII but `*`, `?` and `$`".to_owned());
        }
        Ok(Self {
            approximate: json.approximate || pieces.contains(&Piece::Any),
            pieces,
            slots,
            allow: json.allow,
            trim: json.trim,
            until: json.until,
            suffix: json.suffix,
            url: json.url,
            lower_case: json.lower_case,
            root: json.root,
            words: json.words,
        })
    }
}

fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let end = rest.find(['{', '*']).unwrap_or(rest.len());
        let (literal, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        rest = after;
        let found = [
            ("{partition}", Piece::Partition),
            ("{region}", Piece::Region),
            ("{account}", Piece::Account),
            ("{}", Piece::Slot),
            ("*", Piece::Any),
        ]
        .into_iter()
        .find_map(|(text, piece)| Some((rest.strip_prefix(text)?, piece)));
        match found {
            Some((after, piece)) => {
                pieces.push(piece);
                rest = after;
            }
            None if rest.is_empty() => {}
            None => {
                return Err(format!(
                    "`{template}` has something else than `{{partition}}`, `{{region}}`, `{{account}}` and `{{}}` in braces"
                ));
            }
        }
    }
    Ok(pieces)
}

impl Kind {
    /// How many values it takes.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// The ARN template as a pattern: every unknown part a `*`.
    pub(crate) fn sample(&self) -> String {
        let filled = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.as_str(),
            Piece::Partition => "aws",
            Piece::Region => "us-east-1",
            Piece::Account => "111122223333",
            Piece::Slot | Piece::Any => "*",
        });
        filled.collect()
    }

    /// The resource of one set of values: one ARN, or a name for every slot.
    pub(crate) fn name(&self, values: &[String], place: &Place<'_>) -> Result<Named, &'static str> {
        if values.len() != self.slots {
            return Err("another number of values was expected");
        }
        if let [value] = values
            && value.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("arn:"))
        {
            return self.arn(value, place);
        }
        let mut first = values.first().map_or("", String::as_str);
        if !self.words.is_empty() {
            first = self.words.get(first).ok_or("it is none of the words that are known")?;
        }
        let mut arn = String::new();
        let mut values = std::iter::once(first).chain(values.iter().skip(1).map(String::as_str));
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => arn.push_str(text),
                Piece::Partition => arn.push_str(partition_of_region(place.region)),
                Piece::Region => arn.push_str(place.region),
                Piece::Account => arn.push_str(&place.account.to_string()),
                Piece::Slot => arn.push_str(&self.value(values.next().unwrap_or_default())?),
                Piece::Any => arn.push('*'),
            }
        }
        arn.push_str(&self.suffix);
        Ok(Named {
            arn,
            account: place.account,
            approximate: self.approximate || !self.suffix.is_empty(),
        })
    }

    /// A value as it stands in the ARN.
    fn value(&self, value: &str) -> Result<String, &'static str> {
        let mut value = value;
        if self.url {
            value = last_segment(value)?;
        }
        if let Some(end) = self.until.and_then(|sign| value.find(sign)) {
            value = value.get(..end).unwrap_or(value);
        }
        let mut is_cut = false;
        for start in &self.trim {
            if let Some(rest) = value.strip_prefix(start.as_str()) {
                (value, is_cut) = (rest, true);
            }
        }
        if self.root && is_cut && value.is_empty() {
            return Ok(String::new());
        }
        let value = if self.lower_case {
            value.to_ascii_lowercase()
        } else {
            value.to_owned()
        };
        if self.is_name(&value) {
            Ok(value)
        } else {
            Err("it is no name of such a resource")
        }
    }

    fn accepts(&self, sign: char) -> bool {
        sign.is_ascii_alphanumeric() || "-_.".contains(sign) || self.allow.contains(sign)
    }

    /// Signs as allowed; no empty, `.` or `..` segment, which services could read as another name.
    fn is_name(&self, value: &str) -> bool {
        let length = value.len();
        let segments = value.strip_suffix('/').unwrap_or(value);
        (1..=2048).contains(&length)
            && value.chars().all(|sign| self.accepts(sign))
            && segments.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
    }

    /// An ARN in the place of a name: it must be one of this kind, and of this region.
    fn arn(&self, value: &str, place: &Place<'_>) -> Result<Named, &'static str> {
        let wrong = "it is no ARN of such a resource in this partition and region";
        let mut arn = String::new();
        let mut account = None;
        let mut rest = value;
        for (index, piece) in self.pieces.iter().enumerate() {
            let literal = match piece {
                Piece::Literal(text) => text.as_str(),
                Piece::Partition => partition_of_region(place.region),
                Piece::Region => place.region,
                Piece::Account => {
                    let (digits, after) = rest.split_at_checked(12).ok_or(wrong)?;
                    account = Some(digits.parse::<AccountId>().map_err(|_| wrong)?);
                    arn.push_str(digits);
                    rest = after;
                    continue;
                }
                Piece::Slot | Piece::Any => {
                    let is_last = index.saturating_add(1) == self.pieces.len();
                    let end = if is_last {
                        rest.len()
                    } else {
                        rest.find(|sign| !self.accepts(sign)).unwrap_or(rest.len())
                    };
                    let (mut text, after) = rest.split_at_checked(end).ok_or(wrong)?;
                    if let Some(end) = self.until.filter(|_| is_last).and_then(|sign| text.find(sign)) {
                        text = text.get(..end).unwrap_or(text);
                    }
                    let text = if self.lower_case {
                        text.to_ascii_lowercase()
                    } else {
                        text.to_owned()
                    };
                    if !self.is_name(&text) {
                        return Err(wrong);
                    }
                    arn.push_str(&text);
                    rest = after;
                    continue;
                }
            };
            rest = rest.strip_prefix(literal).ok_or(wrong)?;
            arn.push_str(literal);
        }
        if !rest.is_empty() {
            return Err(wrong);
        }
        if !self.ends_in_suffix(&arn) {
            return Err("the ARN is not whole: give all of it, or the name");
        }
        Ok(Named {
            arn,
            account: account.unwrap_or(place.account),
            approximate: false,
        })
    }

    fn ends_in_suffix(&self, arn: &str) -> bool {
        arn.len() > self.suffix.len()
            && self
                .suffix
                .bytes()
                .rev()
                .zip(arn.bytes().rev())
                .all(|(expected, found)| match expected {
                    b'?' => found.is_ascii_alphanumeric(),
                    expected => expected == found,
                })
    }
}

/// The name at the end of a queue's URL.
fn last_segment(url: &str) -> Result<&str, &'static str> {
    let wrong = "it is no URL of such a resource";
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .ok_or(wrong)?;
    let mut segments = rest.split('/');
    let (Some(_), Some(account), Some(name), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(wrong);
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    // Local servers put words in the place of the account: `queue`, `000000000000`.
    if is_account || account == "queue" {
        Ok(name)
    } else {
        Err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(json: &str) -> Kind {
        Kind::try_from(serde_json::from_str::<KindJson>(json).unwrap()).unwrap()
    }

    fn named(kind: &Kind, value: &str) -> Result<String, &'static str> {
        let place = Place {
            region: "us-east-1",
            account: "111122223333".parse().unwrap(),
        };
        kind.name(&[value.to_owned()], &place).map(|named| named.arn)
    }

    #[test]
    fn names_and_arns_of_tables() {
        let table = kind(r#"{"arn":"arn:{partition}:dynamodb:{region}:{account}:table/{}"}"#);
        let arn = "arn:aws:dynamodb:us-east-1:111122223333:table/orders";
        assert_eq!(named(&table, "orders").unwrap(), arn);
        assert_eq!(named(&table, arn).unwrap(), arn);
        assert!(named(&table, "arn:aws:dynamodb:us-east-1:444455556666:table/orders").is_ok());
        for value in [
            "",
            "*",
            "a*",
            "a?",
            "${aws:username}",
            "a/index/b",
            "a:b",
            "a b",
            "ü",
            "..",
            ".",
            "a\n",
            "arn:aws:dynamodb:eu-west-1:111122223333:table/orders",
            "arn:aws-cn:dynamodb:us-east-1:111122223333:table/orders",
            "arn:aws:s3:us-east-1:111122223333:table/orders",
            "arn:aws:dynamodb:us-east-1:11112222333:table/orders",
            "arn:aws:dynamodb:us-east-1:111122223333:table/*",
            "arn:aws:dynamodb:us-east-1:111122223333:table/a/index/b",
            "arn:aws:dynamodb:us-east-1:111122223333:table/",
            "ARN:aws:dynamodb:us-east-1:111122223333:table/orders",
        ] {
            assert!(named(&table, value).is_err(), "{value}");
        }
    }

    #[test]
    fn queue_urls() {
        let queue = kind(r#"{"arn":"arn:{partition}:sqs:{region}:{account}:{}","url":true}"#);
        let arn = "arn:aws:sqs:us-east-1:111122223333:jobs.fifo";
        for url in [
            "http://localhost:4700/123456789012/jobs.fifo",
            "https://sqs.us-east-1.amazonaws.com/111122223333/jobs.fifo",
            "http://h/queue/jobs.fifo",
        ] {
            assert_eq!(named(&queue, url).unwrap(), arn, "{url}");
        }
        for url in [
            "jobs.fifo",
            "http://h/jobs",
            "http://h/1/jobs",
            "http://h/queue/jobs/",
            "http://h/queue/a/b",
            "http://h/queue/a?b",
            "http://h/queue/a%2Fb",
            "ftp://h/queue/a",
        ] {
            assert!(named(&queue, url).is_err(), "{url}");
        }
    }

    #[test]
    fn parameters_secrets_and_identifiers() {
        let parameter = kind(
            r#"{"arn":"arn:{partition}:ssm:{region}:{account}:parameter/{}","allow":"/","trim":["/"],"until":":"}"#,
        );
        let arn = "arn:aws:ssm:us-east-1:111122223333:parameter/a/b";
        for name in ["/a/b", "a/b", "/a/b:3", "/a/b:label", arn, &format!("{arn}:7")] {
            assert_eq!(named(&parameter, name).unwrap(), arn, "{name}");
        }
        for name in ["//a/b", "/a//b", "/a/../b", "/", ""] {
            assert!(named(&parameter, name).is_err(), "{name}");
        }
        let path = kind(
            r#"{"arn":"arn:{partition}:ssm:{region}:{account}:parameter/{}","allow":"/","trim":["/"],"root":true}"#,
        );
        let root = "arn:aws:ssm:us-east-1:111122223333:parameter/";
        assert_eq!(named(&path, "/").unwrap(), root);
        assert_eq!(named(&path, "/a/b").unwrap(), arn);
        for name in ["", "//", root] {
            assert!(named(&path, name).is_err(), "{name}");
        }
        let balancer = kind(
            r#"{"arn":"arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/{}/{}/*","words":{"network":"net"}}"#,
        );
        let place = Place {
            region: "us-east-1",
            account: "111122223333".parse().unwrap(),
        };
        let of = |kind: &str, name: &str| balancer.name(&[kind.to_owned(), name.to_owned()], &place);
        assert_eq!(
            of("network", "network").unwrap().arn,
            "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/net/network/*"
        );
        assert!(of("net", "a").is_err() && of("", "a").is_err());
        let secret = kind(
            r#"{"arn":"arn:{partition}:secretsmanager:{region}:{account}:secret:{}","allow":"/+=@!","suffix":"-??????"}"#,
        );
        let base = "arn:aws:secretsmanager:us-east-1:111122223333:secret:";
        assert_eq!(named(&secret, "app/db").unwrap(), format!("{base}app/db-??????"));
        assert_eq!(
            named(&secret, &format!("{base}app/db-AbCd12")).unwrap(),
            format!("{base}app/db-AbCd12")
        );
        assert!(named(&secret, &format!("{base}app/db")).is_err());
        let database = kind(r#"{"arn":"arn:{partition}:rds:{region}:{account}:db:{}","lowerCase":true}"#);
        assert_eq!(
            named(&database, "Prod").unwrap(),
            "arn:aws:rds:us-east-1:111122223333:db:prod"
        );
        let group = kind(
            r#"{"arn":"arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}"}"#,
        );
        assert_eq!(
            named(&group, "g").unwrap(),
            "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:*:autoScalingGroupName/g"
        );
        assert!(group.approximate);
        assert_eq!(
            named(
                &group,
                "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:12-ab:autoScalingGroupName/g"
            )
            .unwrap(),
            "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:12-ab:autoScalingGroupName/g"
        );
    }

    #[test]
    fn what_is_no_template() {
        for json in [
            r#"{"arn":"arn:aws:x"}"#,
            r#"{"arn":"arn:{partition}:x:{region}:{account}:y"}"#,
            r#"{"arn":"arn:{partition}:x:{region}:{acount}:{}"}"#,
            r#"{"arn":"arn:{partition}:x:{region}:{account}:{}","allow":"*"}"#,
        ] {
            assert!(
                Kind::try_from(serde_json::from_str::<KindJson>(json).unwrap()).is_err(),
                "{json}"
            );
        }
    }
}
