//! Output: for people on a terminal, JSON for programs; no colour when piped.

use std::io::{IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use stoke_diagnostics::render::{self, Style};
use stoke_laptop::report::Reporter;

use crate::failure::Failure;

/// Form of a command's result on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Text in a style; the stream strips it where colours are not wanted.
pub fn bold(text: impl std::fmt::Display) -> String {
    format!("{BOLD}{text}{RESET}")
}

/// Text that may be overlooked.
pub fn dim(text: impl std::fmt::Display) -> String {
    format!("{DIM}{text}{RESET}")
}

/// Text that is bad news.
pub fn red(text: impl std::fmt::Display) -> String {
    format!("{RED}{text}{RESET}")
}

/// Text that is good news.
pub fn green(text: impl std::fmt::Display) -> String {
    format!("{GREEN}{text}{RESET}")
}

/// The two streams of the process, and a status line at the foot of a terminal.
pub struct Terminal {
    format: Format,
    interactive: bool,
    status: String,
}

impl Terminal {
    /// A terminal for results in the given form.
    pub fn new(format: Format) -> Self {
        let interactive = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Terminal {
            format,
            interactive,
            status: String::new(),
        }
    }

    /// The form of results.
    pub fn format(&self) -> Format {
        self.format
    }

    /// A line of the result, on standard output. A closed pipe ends the process quietly, as is usual.
    pub fn out(&mut self, line: impl std::fmt::Display) {
        self.clear_status();
        let mut stdout = anstream::stdout().lock();
        if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
            std::process::exit(141);
        }
        drop(stdout);
        self.draw_status();
    }

    /// A JSON document of the result, on standard output. It is written as it is serialized, not by way of a [`serde_json::Value`], which holds no
    /// number beyond 64 bits (`json!` of such a result would panic).
    pub fn json(&mut self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
        self.out(text);
    }

    /// A line beside the result, on standard error.
    pub fn note(&mut self, line: impl std::fmt::Display) {
        self.clear_status();
        let _ = writeln!(self.stderr(), "{line}");
        self.draw_status();
    }

    /// Replaces the status line; on anything but a terminal nothing happens.
    pub fn status(&mut self, line: impl Into<String>) {
        let line = line.into();
        if !self.interactive || line == self.status {
            return;
        }
        self.clear_status();
        self.status = line;
        self.draw_status();
    }

    /// Removes the status line.
    pub fn end_status(&mut self) {
        self.clear_status();
        self.status.clear();
    }

    /// Renders a failure.
    pub fn failure(&mut self, failure: &Failure) {
        self.end_status();
        if self.format == Format::Json {
            let value = serde_json::json!({ "error": failure.diagnostic });
            self.json(&value);
            return;
        }
        self.note(render::text(&failure.diagnostic, Style::Coloured));
    }

    fn stderr(&self) -> AutoStream<std::io::Stderr> {
        AutoStream::new(
            std::io::stderr(),
            if self.interactive {
                ColorChoice::Auto
            } else {
                ColorChoice::Never
            },
        )
    }

    fn clear_status(&self) {
        if !self.status.is_empty() {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }

    fn draw_status(&self) {
        if !self.status.is_empty() {
            let width =
                rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| usize::from(size.ws_col).max(20));
            let line: String = self.status.chars().take(width - 1).collect();
            let _ = write!(std::io::stderr(), "{line}");
            let _ = std::io::stderr().flush();
        }
    }
}

/// Rows as a table with two blanks between columns; the first row is the heading.
pub fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        })
        .collect()
}

impl Reporter for Terminal {
    fn begins(&mut self, doing: &str) {
        // A status line says it on a terminal.
        if !self.interactive {
            self.note(doing);
        }
    }

    fn status(&mut self, status: &str) {
        Terminal::status(self, status);
    }

    fn warns(&mut self, text: &str) {
        self.note(text);
    }

    fn ends(&mut self) {
        self.end_status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_their_columns() {
        let rows = [
            vec!["NAME".to_string(), "STATE".into()],
            vec!["a-long-name".into(), "RUNNING".into()],
        ];
        assert_eq!(table(&rows), ["NAME         STATE", "a-long-name  RUNNING"]);
    }
}
