//! Printing: the only places that write to stdout and stderr. Colour obeys `NO_COLOR`, `CLICOLOR` and whether anybody
//! looks.

use std::fmt;
use std::io::{self, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::Value;

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// What is printed on stdout.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    // For people.
    #[default]
    #[value(alias = "text")]
    Table,
    // For programs.
    Json,
}

/// Why data was lost: the first error of stdout.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// A line of data. A reader that has gone away is no failure of ours, and there is nobody left to tell; whatever else keeps it from being
/// written makes the command fail in the end: [`lost`].
pub(crate) fn data(line: impl fmt::Display) {
    if let Err(error) = writeln!(anstream::stdout(), "{line}")
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error);
    }
}

/// Why some data could not be written, if that happened: a full disk, say.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// A JSON document as data.
pub(crate) fn json(value: &Value) {
    data(format_args!("{value:#}"));
}

/// A line for whoever watches.
pub(crate) fn note(line: impl fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Something to know before it hurts.
pub(crate) fn warning(text: impl fmt::Display) {
    note(format_args!("{WARNING}warning{WARNING:#}: {text}"));
}

/// What to do next.
pub(crate) fn hint(text: impl fmt::Display) {
    note(format_args!("{HINT}hint{HINT:#}: {text}"));
}

/// Whether stderr shows colours.
pub(crate) fn stderr_has_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Text from outside on a terminal: control characters are escaped, so that it cannot move the cursor or hide itself.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A word of POSIX shells that means exactly this text.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words_survive_a_shell() {
        for text in [
            "", "plain", "/a b/c", "it's", "$(rm)", "a\nb", "`x`", "\\", "~", "a'b'c", "-n", "*", "ü",
        ] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", shell_word(text))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
        assert_eq!(shell_word("http://127.0.0.1:4700"), "http://127.0.0.1:4700");
    }

    #[test]
    fn hostile_text_is_shown_harmless() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}\n"), "a\\u{1b}[2Jb\\u{202e}\\u{a}");
        assert_eq!(shown("plain ü"), "plain ü");
    }
}
