use std::fmt;

use crate::EnvSourceKind;

/// Something that a pod's owner should hear: the admission answer, the log and the terminal show it.
///
/// Its text is one line of less than 256 characters, which is what a Kubernetes client shows of a warning, whatever
/// stood in the input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Warning {
    /// The role ARN is not the ARN of a role.
    RoleArn {
        /// The value as it was found.
        role_arn: String,
    },
    /// The role is in another partition than the region.
    ForeignPartition {
        /// The value as it was found.
        role_arn: String,
        /// The region's partition.
        expected: &'static str,
    },
    /// A token expiration is not a whole number of seconds, or outside what is allowed.
    TokenExpiration {
        /// The value as it was found.
        value: String,
        /// The seconds that apply instead.
        used: i64,
    },
    /// A regional STS annotation is neither true nor false, and has no effect.
    RegionalSts {
        /// The value as it was found.
        value: String,
    },
    /// A region annotation is no region's name, and has no effect.
    Region {
        /// The value as it was found.
        value: String,
    },
    /// The audience annotation is empty: the token gets the cluster's default audience, which STS does not accept.
    EmptyAudience,
    /// A pod's annotation is not a string, and has no effect.
    AnnotationType {
        /// The annotation's key.
        annotation: String,
    },
    /// A skip list is not CSV, and skips nothing.
    SkipContainers {
        /// The value as it was found.
        value: String,
    },
    /// A list of the only containers to inject is not CSV, and includes all.
    IncludeContainers {
        /// The value as it was found.
        value: String,
    },
    /// A list of the only containers to inject names some that the pod does not have.
    UnknownIncludedContainers {
        /// The names.
        names: Vec<String>,
    },
    /// A skip list names containers that the pod does not have.
    UnknownSkippedContainers {
        /// The names.
        names: Vec<String>,
    },
    /// A container sets one of the two credential variables itself, so the other is not injected.
    HalfCredentials {
        /// The container's name.
        container: String,
        /// The variable that is there.
        present: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
    /// A container is left without credentials: the token volume's name is taken by a volume that does not hold this token.
    ForeignVolume {
        /// The container's name.
        container: String,
        /// The volume's name.
        volume: String,
    },
    /// A container mounts a volume of the token volume's name that does not hold this token.
    ForeignVolumeMounted {
        /// The container's name.
        container: String,
        /// The volume's name.
        volume: String,
    },
    /// A container mounts the token volume at another path than the variables name.
    MountedElsewhere {
        /// The container's name.
        container: String,
        /// Where it is mounted.
        mount_path: String,
    },
    /// A container is left without credentials: another volume is mounted where the token belongs.
    MountPathTaken {
        /// The container's name.
        container: String,
        /// The other volume.
        volume: String,
    },
    /// What a source of variables sets is not known, so what is injected goes before it.
    EnvFromUnread {
        /// What it is.
        kind: EnvSourceKind,
        /// Its name.
        source: String,
        /// Why, in a few words.
        why: &'static str,
    },
    /// A field has another type than the Kubernetes API gives it, so what it belongs to is left alone.
    Malformed {
        /// The field's place in the pod, such as `spec.containers[0].env`.
        field: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoleArn { role_arn } => write!(f, "`{}` is not the ARN of an IAM role", Shown(role_arn)),
            Self::ForeignPartition { role_arn, expected } => {
                write!(
                    f,
                    "role `{}` is not in the region's partition {expected}",
                    Shown(role_arn)
                )
            }
            Self::TokenExpiration { value, used } => {
                write!(
                    f,
                    "token expiration `{}` is not usable, {used} seconds apply",
                    Shown(value)
                )
            }
            Self::RegionalSts { value } => {
                write!(
                    f,
                    "`{}` for regional STS endpoints is neither true nor false",
                    Shown(value)
                )
            }
            Self::Region { value } => write!(f, "`{}` is no region's name", Shown(value)),
            Self::EmptyAudience => f.write_str("the audience annotation is empty: STS will not accept the token"),
            Self::AnnotationType { annotation } => write!(f, "annotation `{}` is not a string", Shown(annotation)),
            Self::SkipContainers { value } => {
                write!(
                    f,
                    "the skip list `{}` is not comma-separated values, nothing is skipped",
                    Shown(value)
                )
            }
            Self::IncludeContainers { value } => {
                write!(
                    f,
                    "the list `{}` is not comma-separated values, all containers are included",
                    Shown(value)
                )
            }
            Self::UnknownSkippedContainers { names } => unknown_containers(f, "skip list", names),
            Self::UnknownIncludedContainers { names } => unknown_containers(f, "list of included containers", names),
            Self::HalfCredentials {
                container,
                present,
                missing,
            } => {
                write!(
                    f,
                    "container `{}` sets {present} itself, so {missing} is not injected",
                    Shown(container)
                )
            }
            Self::ForeignVolume { container, volume } => write!(
                f,
                "container `{}` gets no credentials: volume `{}` does not hold this role's token",
                Shown(container),
                Shown(volume)
            ),
            Self::ForeignVolumeMounted { container, volume } => write!(
                f,
                "container `{}` mounts `{}`, which does not hold this role's token",
                Shown(container),
                Shown(volume)
            ),
            Self::MountedElsewhere { container, mount_path } => write!(
                f,
                "container `{}` mounts the token at `{}`, where the SDKs will not look",
                Shown(container),
                Shown(mount_path)
            ),
            Self::MountPathTaken { container, volume } => write!(
                f,
                "container `{}` gets no credentials: volume `{}` is mounted in the token's place",
                Shown(container),
                Shown(volume)
            ),
            Self::EnvFromUnread { kind, source, why } => write!(
                f,
                "what {kind} `{}` sets is not known, so what is injected goes before it: {why}",
                Shown(source)
            ),
            Self::Malformed { field } => write!(f, "`{}` has the wrong type, left alone", Shown(field)),
        }
    }
}

fn unknown_containers(f: &mut fmt::Formatter<'_>, list: &str, names: &[String]) -> fmt::Result {
    let first = names.first().map_or("", String::as_str);
    write!(f, "the {list} names `{}`", Shown(first))?;
    if names.len() > 1 {
        write!(f, " and {} more", names.len().saturating_sub(1))?;
    }
    f.write_str(": the pod has no such container (blanks count)")
}

/// Text from outside as messages and logs show it: shortened, and with control characters and invisible ones escaped.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = 64;
        let mut written = 0_usize;
        for character in self.0.chars() {
            if written >= LIMIT {
                return f.write_str("…");
            }
            if character.is_control() || is_invisible(character) {
                let escaped = character.escape_unicode();
                written = written.saturating_add(escaped.len());
                write!(f, "{escaped}")?;
            } else {
                written = written.saturating_add(1);
                fmt::Write::write_char(f, character)?;
            }
        }
        Ok(())
    }
}

/// Characters that change how a line looks without being seen: marks of direction, joiners, separators.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_one_short_line() {
        let hostile = "\n\u{202e}\r\u{1b}[31m".repeat(100_000);
        for warning in [
            Warning::RoleArn {
                role_arn: hostile.clone(),
            },
            Warning::ForeignPartition {
                role_arn: hostile.clone(),
                expected: "aws-us-gov",
            },
            Warning::TokenExpiration {
                value: hostile.clone(),
                used: i64::MIN,
            },
            Warning::RegionalSts { value: hostile.clone() },
            Warning::SkipContainers { value: hostile.clone() },
            Warning::UnknownSkippedContainers {
                names: vec![hostile.clone(); 1000],
            },
            Warning::IncludeContainers { value: hostile.clone() },
            Warning::UnknownIncludedContainers {
                names: vec![hostile.clone(); 1000],
            },
            Warning::Region { value: hostile.clone() },
            Warning::ForeignVolumeMounted {
                container: hostile.clone(),
                volume: hostile.clone(),
            },
            Warning::HalfCredentials {
                container: hostile.clone(),
                present: "AWS_ROLE_ARN",
                missing: "AWS_WEB_IDENTITY_TOKEN_FILE",
            },
            Warning::MountedElsewhere {
                container: hostile.clone(),
                mount_path: hostile.clone(),
            },
            Warning::MountPathTaken {
                container: hostile.clone(),
                volume: hostile.clone(),
            },
            Warning::EnvFromUnread {
                kind: EnvSourceKind::ConfigMap,
                source: hostile.clone(),
                why: "the webhook may not read it",
            },
            Warning::Malformed { field: hostile.clone() },
        ] {
            let text = warning.to_string();
            assert!(text.chars().count() < 256, "{text}");
            assert!(!text.contains(['\n', '\r', '\u{1b}', '\u{202e}']), "{text}");
        }
    }
}
