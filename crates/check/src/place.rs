//! Bytes become lines and columns, for all findings in one pass over the text.

use crate::finding::{Edit, Finding, Fix, Location, Position, Span};
use crate::rule::Raw;
use crate::tree::Bytes;

/// The positions of all bytes that findings name.
pub(crate) struct Places(Vec<Position>);

impl Places {
    pub(crate) fn new(text: &str, findings: &[Raw]) -> Self {
        let ends = |bytes: &Bytes| [bytes.start, bytes.end];
        let mut wanted: Vec<usize> = findings
            .iter()
            .flat_map(|finding| {
                let edits = finding.edits.iter().flat_map(move |(bytes, _)| ends(bytes));
                ends(&finding.bytes).into_iter().chain(edits)
            })
            .collect();
        wanted.push(0);
        wanted.sort_unstable();
        wanted.dedup();
        let mut positions = Vec::with_capacity(wanted.len());
        let mut wanted = wanted.into_iter().peekable();
        let mut position = Position {
            line: 1,
            column: 1,
            offset: 0,
            byte: 0,
        };
        for (byte, character) in text.char_indices() {
            if wanted.peek().is_none() {
                break;
            }
            position.byte = byte;
            // A byte inside a character counts as its beginning.
            let next = byte.saturating_add(character.len_utf8());
            while wanted.next_if(|wanted| *wanted < next).is_some() {
                positions.push(position);
            }
            position.offset = position.offset.saturating_add(1);
            if character == '\n' {
                position.line = position.line.saturating_add(1);
                position.column = 1;
            } else {
                position.column = position.column.saturating_add(1);
            }
        }
        // What is behind the end is the end.
        position.byte = text.len();
        positions.push(position);
        Self(positions)
    }

    fn span(&self, bytes: &Bytes) -> Span {
        let end = bytes.end.max(bytes.start);
        Span {
            start: self.position(bytes.start),
            end: self.position(end),
        }
    }

    fn position(&self, byte: usize) -> Position {
        let after = self.0.partition_point(|position| position.byte < byte);
        let found = self.0.get(after).or(self.0.last());
        found.copied().unwrap_or(Position {
            line: 1,
            column: 1,
            offset: 0,
            byte: 0,
        })
    }

    /// Findings in the order of their places, the worst of a place first.
    pub(crate) fn resolve(&self, mut findings: Vec<Raw>) -> Vec<Finding> {
        findings.sort_by(|one, other| {
            let place = |raw: &Raw| (raw.bytes.start, std::cmp::Reverse(raw.finding_type));
            place(one).cmp(&place(other))
        });
        findings
            .into_iter()
            .map(|raw| Finding {
                finding_type: raw.finding_type,
                code: raw.rule.code,
                learn_more: raw.rule.learn_more(),
                location: Location {
                    span: self.span(&raw.bytes),
                    path: raw.path,
                },
                fix: raw.fix.map(|description| Fix {
                    description,
                    edits: raw
                        .edits
                        .into_iter()
                        .map(|(bytes, text)| Edit {
                            span: self.span(&bytes),
                            text,
                        })
                        .collect(),
                }),
                message: raw.message,
            })
            .collect()
    }
}
