//! Logs that outlived their pods, printed as they were logged.

use std::collections::VecDeque;
use std::io::Write;

use stoke_operator::logs::{self, Kept};
use stoke_storage::Place;

use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Prints a kept log, or its last lines.
pub async fn print(place: &Place, kept: &Kept, tail: Option<i64>, terminal: &mut Terminal) -> Outcome<()> {
    terminal.note(format!(
        "kept log {} of attempt {}, stored {} at {}",
        kept.file,
        kept.attempt().unwrap_or_default(),
        kept.stored_at,
        place.url()
    ));
    let last = tail.map(|lines| usize::try_from(lines).unwrap_or_default());
    let mut lines = Lines {
        terminal,
        begun: Vec::new(),
        last,
        held: VecDeque::new(),
    };
    let read = logs::read(place, kept, &mut lines).await;
    lines.end();
    read.map_err(|error| Failure::environment(error.code(), error))
}

/// Lines to the terminal as they become whole.
struct Lines<'a> {
    terminal: &'a mut Terminal,
    begun: Vec<u8>,
    last: Option<usize>,
    held: VecDeque<String>,
}

impl Lines<'_> {
    fn line(&mut self) {
        let line = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun.clear();
        match self.last {
            None => self.terminal.out(line),
            Some(most) => {
                self.held.push_back(line);
                if self.held.len() > most {
                    self.held.pop_front();
                }
            }
        }
    }

    fn end(&mut self) {
        if !self.begun.is_empty() {
            self.line();
        }
        for line in std::mem::take(&mut self.held) {
            self.terminal.out(line);
        }
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => self.line(),
                byte => self.begun.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
