//! Where something stands in a file, and what is said about it.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

/// A place in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
    /// The column in characters, from 1.
    pub column: u64,
    /// The byte where it begins.
    pub offset: usize,
    /// How many bytes it spans.
    pub length: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Whether a character steers a terminal or turns the direction of the text around it, so that what is shown is not what
/// is there.
pub(crate) fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A text on one line, without characters that steer a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .map(|character| if steers(character) { '\u{fffd}' } else { character })
        .collect()
}

/// A file's text as it may be shown: every byte stays at its place.
pub(crate) fn source(text: &str) -> String {
    let shown = |character: char| match (character, character.len_utf8()) {
        ('\n' | '\t' | '\r', _) => character,
        (_, 1) if steers(character) => '?',
        (_, 2) if steers(character) => '\u{bf}',
        (_, 3) if steers(character) => '\u{fffd}',
        _ => character,
    };
    text.chars().map(shown).collect()
}

/// Something to say about a configuration: an error, a warning, or (as [`Severity::Advice`]) a note.
///
/// It is a [`Diagnostic`], so a report shows it in its place.
#[derive(Clone, Debug)]
pub struct Problem {
    /// An error keeps the whole configuration from being used.
    pub severity: Severity,
    /// What is wrong; eksctl's own words where it checks the same.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where; `None` for a file that is empty or flags.
    pub place: Option<Place>,
    pub(crate) source: Option<NamedSource<Arc<str>>>,
}

impl Problem {
    /// An error without a place.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: shown(&message.into()),
            help: None,
            place: None,
            source: None,
        }
    }

    /// The message behind its place, on one line.
    #[must_use]
    pub fn located(&self) -> String {
        match &self.place {
            Some(place) => format!("{place}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether it keeps the configuration from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display + 'a>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        self.source.as_ref()?;
        let label = LabeledSpan::new(None, place.offset, place.length);
        Some(Box::new(std::iter::once(label)))
    }
}
