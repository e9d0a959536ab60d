//! Tables of text: columns as wide as their widest cell.

use std::fmt;

use crate::output::{STRONG, shown};

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; text from outside is made harmless.
    pub(crate) fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|cell| shown(cell)).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .chain([self.headings[column].len()])
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let last = self.headings.len().saturating_sub(1);
        for (column, heading) in self.headings.iter().enumerate() {
            if column == last {
                write!(f, "{STRONG}{heading}{STRONG:#}")?;
            } else {
                write!(f, "{STRONG}{heading:<width$}{STRONG:#}  ", width = widths[column])?;
            }
        }
        for row in &self.rows {
            writeln!(f)?;
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(&format!(
                    "{cell:<width$}  ",
                    width = widths.get(column).copied().unwrap_or_default()
                ));
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_harmless() {
        let mut table = Table::new(&["NAME", "ISSUER"]);
        table.row(&["my-cluster", "https://a"]);
        table.row(&["b\u{1b}", ""]);
        let text = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(text, "NAME        ISSUER\nmy-cluster  https://a\nb\\u{1b}");
    }
}
