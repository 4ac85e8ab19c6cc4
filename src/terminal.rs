//! What people and programs see: one JSON value, or lines and tables.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::cli::Global;
use crate::failure::Failure;

/// Prints results as the global options ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    json: bool,
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(global: &Global) -> Self {
        let Global { json, quiet, .. } = *global;
        Self { json, quiet }
    }

    /// Prints the result of a command: `value` for programs, else what `lines` makes of it.
    pub(crate) fn result<T: Serialize>(&self, value: &T, lines: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let text = match self.json {
            true => serde_json::to_string_pretty(value)?,
            false => lines(value),
        };
        print(&text)
    }

    /// Prints what a command did: nothing when asked to be quiet.
    pub(crate) fn done<T: Serialize>(&self, value: &T, line: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self.quiet && !self.json {
            true => Ok(()),
            false => self.result(value, line),
        }
    }

    /// Tells how far a command is that goes on: `value` on one line for programs, else what `line` makes of it.
    pub(crate) fn announce<T: Serialize>(&self, value: &T, line: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match (self.json, self.quiet) {
            (true, _) => print(&serde_json::to_string(value)?),
            (false, true) => Ok(()),
            (false, false) => print(&line(value)),
        }
    }

    /// As [`Terminal::done`], on the error output: the other one is taken.
    pub(crate) fn done_aside<T: Serialize>(&self, value: &T, line: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match (self.json, self.quiet) {
            (true, _) => eprintln!("{}", serde_json::to_string_pretty(value)?),
            (false, true) => {}
            (false, false) => eprintln!("{}", line(value)),
        }
        Ok(())
    }

    /// Prints one result of many at once: one JSON value a line for programs, else what `line` makes of it.
    pub(crate) fn line<T: Serialize>(&self, value: &T, line: impl FnOnce(&T) -> String) {
        let text = match self.json {
            true => serde_json::to_string(value).expect("what is listed has names for keys"),
            false => line(value),
        };
        // Nobody listening is no failure.
        let _ = print(&text);
    }

    /// Tells people what is going on; programs and the quiet are spared.
    pub(crate) fn say(&self, text: &str) {
        if !self.json && !self.quiet {
            // Nobody listening is no failure.
            let _ = print(text);
        }
    }

    /// Whether nothing but results and errors is wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether programs read what is printed.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Columns of text, aligned; numbers to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these headings; a heading that begins with `>` is of a column of numbers.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let first = headings
            .iter()
            .map(|heading| heading.trim_start_matches('>').to_owned())
            .collect();
        Self {
            rows: vec![first],
            right,
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn to_text(&self) -> String {
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let cell = |(column, text): (usize, &String)| match self.right[column] {
            true => format!("{text:>width$}", width = widths[column]),
            false => format!("{text:<width$}", width = widths[column]),
        };
        let line = |row: &Vec<String>| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
        self.rows
            .iter()
            .map(|row| line(row).trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// A number of bytes as people read it: `1.5 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A moment as people read it, in Coordinated Universal Time.
pub(crate) fn moment(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_counts() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 40, "5.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn tables_are_aligned() {
        let mut table = Table::new(&["NAME", ">POINTS"]);
        table.row(["a".to_owned(), "7".to_owned()]);
        table.row(["longer".to_owned(), "1234567".to_owned()]);
        assert_eq!(table.to_text(), "NAME     POINTS\na             7\nlonger  1234567");
    }
}
