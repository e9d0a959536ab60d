//! The flags of `irsa webhook`, in the syntax of Go's `pflag`, so that manifests written for the reference webhook work as they are.
//!
//! One table says all: names, kinds, defaults and help. See <https://pkg.go.dev/github.com/spf13/pflag#hdr-Command_line_flag_syntax>.

mod go;
mod table;

use std::time::Duration;

pub(crate) use table::{Flag, Group, Kind, TABLE};

/// What the words came to.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Flags.
    Flags(Flags),
    /// `--help` or `-h`.
    Help,
}

/// The value of every flag in the table.
#[derive(Clone, Debug)]
pub(crate) struct Flags(Vec<Value>);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Switch(bool),
    Number(i64),
    Text(String),
    Duration(Duration),
}

/// Words that are not understood; the texts are pflag's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("unknown flag: --{0}")]
    Unknown(String),
    #[error("unknown shorthand flag: {0:?} in {1}")]
    UnknownShort(char, String),
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("flag needs an argument: {0}")]
    NeedsValue(String),
    #[error("invalid argument {value:?} for {flag:?} flag: {reason}")]
    Value {
        value: String,
        flag: String,
        reason: String,
    },
}

/// Reads the words after `irsa webhook`. What is no flag is passed over, as the reference does.
pub(crate) fn parse(words: &[String]) -> Result<Parsed, FlagError> {
    let defaults = TABLE
        .iter()
        .map(|flag| read(flag, flag.default).map_err(|reason| invalid(flag, flag.default, reason)));
    let mut flags = Flags(defaults.collect::<Result<_, _>>()?);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            if flags.long(word, long, &mut words)? {
                return Ok(Parsed::Help);
            }
        } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty())
            && flags.short(word, short, &mut words)?
        {
            return Ok(Parsed::Help);
        }
    }
    Ok(Parsed::Flags(flags))
}

impl Flags {
    /// `--name`, `--name=value` or `--name value`. True: help is asked for.
    fn long<'a>(
        &mut self,
        word: &str,
        long: &'a str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<bool, FlagError> {
        if long.starts_with(['-', '=']) {
            return Err(FlagError::Syntax(word.to_owned()));
        }
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let Some(place) = TABLE.iter().position(|flag| flag.name == name) else {
            return match name {
                "help" => Ok(true),
                _ => Err(FlagError::Unknown(name.to_owned())),
            };
        };
        self.set(place, value, None, word, rest)?;
        Ok(false)
    }

    /// `-v`, `-v=2`, `-v2` or `-v 2`.
    fn short<'a>(
        &mut self,
        word: &str,
        short: &'a str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<bool, FlagError> {
        let mut characters = short.chars();
        while let Some(character) = characters.next() {
            let left = characters.as_str();
            let Some(place) = TABLE.iter().position(|flag| flag.short == Some(character)) else {
                return match character {
                    'h' => Ok(true),
                    _ => Err(FlagError::UnknownShort(character, word.to_owned())),
                };
            };
            let is_switch = TABLE.get(place).is_some_and(|flag| flag.kind == Kind::Switch);
            if let Some(value) = left.strip_prefix('=').filter(|_| !left.is_empty()) {
                self.set(place, Some(value), Some(character), word, rest)?;
                break;
            }
            let value = Some(left).filter(|left| !is_switch && !left.is_empty());
            self.set(place, value, Some(character), word, rest)?;
            if !is_switch {
                break;
            }
        }
        Ok(false)
    }

    fn set<'a>(
        &mut self,
        place: usize,
        value: Option<&'a str>,
        short: Option<char>,
        word: &str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), FlagError> {
        let (Some(flag), Some(slot)) = (TABLE.get(place), self.0.get_mut(place)) else {
            return Ok(());
        };
        let value = match (value, flag.kind) {
            (Some(value), _) => value,
            (None, Kind::Switch) => "true",
            (None, _) => rest.next().ok_or_else(|| {
                FlagError::NeedsValue(short.map_or_else(|| word.to_owned(), |short| format!("{short:?} in {word}")))
            })?,
        };
        *slot = read(flag, value).map_err(|reason| invalid(flag, value, reason))?;
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let place = TABLE.iter().position(|flag| flag.name == name);
        debug_assert!(place.is_some(), "--{name} is in no row");
        self.0.get(place?)
    }

    /// Whether a flag has the value that it has where it is not given.
    pub(crate) fn is_default(&self, name: &str) -> bool {
        let row = TABLE.iter().find(|flag| flag.name == name);
        row.is_none_or(|flag| read(flag, flag.default).ok().as_ref() == self.get(name))
    }

    /// A switch's value.
    pub(crate) fn switch(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Switch(true)))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A duration; what is negative is none.
    pub(crate) fn duration(&self, name: &str) -> Duration {
        match self.get(name) {
            Some(Value::Duration(duration)) => *duration,
            _ => Duration::ZERO,
        }
    }
}

fn read(flag: &Flag, text: &str) -> Result<Value, String> {
    Ok(match flag.kind {
        Kind::Switch => Value::Switch(go::switch(text)?),
        Kind::Number => Value::Number(go::number(text)?),
        Kind::Text(_) => Value::Text(text.to_owned()),
        Kind::Word(words) => {
            if !words.contains(&text) {
                return Err(format!("must be one of {}", words.join(", ")));
            }
            Value::Text(text.to_owned())
        }
        Kind::Duration => Value::Duration(go::duration(text)?),
    })
}

fn invalid(flag: &Flag, value: &str, reason: String) -> FlagError {
    let long = format!("--{}", flag.name);
    FlagError::Value {
        value: value.to_owned(),
        flag: flag.short.map_or(long.clone(), |short| format!("-{short}, {long}")),
        reason,
    }
}

/// The help text, out of the table.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Serve the pod identity webhook: answers an API server's reviews of new pods\n\n\
         Usage: irsa webhook [FLAGS]\n       irsa webhook policy [FLAGS]\n\n\
         Drop-in for the pod identity webhook of EKS, with the same flags. A pod whose service account has a role is injected, or refused with the\n\
         reason; a pod whose account has none is never held up. On `/mutate/fail-closed` a pod is also refused when nobody can tell.\n",
    );
    for group in Group::ALL {
        text.push_str(&format!("\n{}:\n", group.title()));
        for flag in TABLE.iter().filter(|flag| flag.group == group) {
            let short = flag
                .short
                .map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
            let value = match flag.kind {
                Kind::Switch => String::new(),
                Kind::Number => " <N>".to_owned(),
                Kind::Text(name) => format!(" <{name}>"),
                Kind::Word(words) => format!(" <{}>", words.join("|")),
                Kind::Duration => " <DURATION>".to_owned(),
            };
            text.push_str(&format!("  {short}--{}{value}\n", flag.name));
            if group == Group::Klog {
                continue;
            }
            let default = match (flag.kind, flag.default) {
                (Kind::Switch, "false") | (_, "") => String::new(),
                (_, default) => format!(" [default: {default}]"),
            };
            text.push_str(&format!("          {}{default}\n", flag.help));
        }
    }
    text
}

#[cfg(test)]
mod tests;
