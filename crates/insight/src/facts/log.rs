//! What a container wrote.

use std::collections::VecDeque;

use super::cluster::Role;

/// The log of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Whose it is.
    pub role: Role,
    /// The pod, or the file it was read from.
    pub source: String,
    /// Its lines, in order, without line ends.
    pub lines: Vec<Line>,
    /// Lines left out in the middle, where the log was longer than what is kept.
    pub left_out: u64,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the whole log, from 1.
    pub number: u64,
    pub text: String,
}

/// Lines kept of the beginning of a log.
pub const HEAD: usize = 2_000;
/// Lines kept of its end.
pub const TAIL: usize = 20_000;
/// Bytes kept of a line.
pub const WIDTH: usize = 8 << 10;

impl Log {
    /// Takes a log: the first [`HEAD`] and the last [`TAIL`] lines of it, each cut to [`WIDTH`] bytes. The memory is bounded by that.
    pub fn of_lines<T: AsRef<str>>(role: Role, source: impl Into<String>, lines: impl IntoIterator<Item = T>) -> Log {
        let mut writing = Writing::default();
        for line in lines {
            writing.line(line.as_ref());
        }
        writing.finish(role, source)
    }

    /// The first line that has all of `words`.
    pub fn find(&self, words: &[&str]) -> Option<&Line> {
        self.lines
            .iter()
            .find(|line| words.iter().all(|word| line.text.contains(word)))
    }

    /// The last line that has all of `words`.
    pub fn find_last(&self, words: &[&str]) -> Option<&Line> {
        self.lines
            .iter()
            .rev()
            .find(|line| words.iter().all(|word| line.text.contains(word)))
    }
}

/// A log that is being taken line by line, or as bytes that come in pieces ([`std::io::Write`]).
#[derive(Debug, Default)]
pub struct Writing {
    head: Vec<Line>,
    tail: VecDeque<Line>,
    left_out: u64,
    lines: u64,
    begun: Vec<u8>,
}

impl Writing {
    /// Takes the next line.
    pub fn line(&mut self, text: &str) {
        self.lines += 1;
        let line = Line {
            number: self.lines,
            text: cut(text).to_owned(),
        };
        if self.head.len() < HEAD {
            self.head.push(line);
            return;
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
            self.left_out += 1;
        }
        self.tail.push_back(line);
    }

    /// The log, with what was begun of its last line.
    pub fn finish(mut self, role: Role, source: impl Into<String>) -> Log {
        if !self.begun.is_empty() {
            self.whole();
        }
        self.head.extend(self.tail);
        Log {
            role,
            source: source.into(),
            lines: self.head,
            left_out: self.left_out,
        }
    }

    fn whole(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        self.line(&String::from_utf8_lossy(&begun));
    }
}

impl std::io::Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.last() == Some(&b'\n');
            // What is cut anyway need not be held.
            let room = (WIDTH + 4).saturating_sub(self.begun.len());
            self.begun.extend(&piece[..piece.len().min(room)]);
            if whole {
                self.whole();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn cut(text: &str) -> &str {
    let text = text.trim_end_matches(['\r', '\n']);
    match text.len() > WIDTH {
        true => &text[..text.floor_char_boundary(WIDTH)],
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let lines = (1..=HEAD + TAIL + 5).map(|number| format!("line {number}\r\n"));
        let log = Log::of_lines(Role::Driver, "driver", lines);
        assert_eq!(log.lines.len(), HEAD + TAIL);
        assert_eq!(log.left_out, 5);
        assert_eq!(log.lines[HEAD - 1].text, format!("line {HEAD}"));
        assert_eq!(log.lines[HEAD].number, HEAD as u64 + 6);
        assert_eq!(log.find(&["line", "2000"]).map(|line| line.number), Some(2000));
    }

    #[test]
    fn a_log_that_comes_in_pieces_has_the_same_lines() {
        let text = format!("first\nsecond é\n\n{}\nlast", "x".repeat(3 * WIDTH));
        for size in [1, 7, 100_000] {
            let mut writing = Writing::default();
            for piece in text.as_bytes().chunks(size) {
                std::io::Write::write_all(&mut writing, piece).unwrap();
            }
            let log = writing.finish(Role::Driver, "driver");
            assert_eq!(log, Log::of_lines(Role::Driver, "driver", text.split('\n')), "{size}");
        }
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        let log = Log::of_lines(Role::Driver, "driver", ["é".repeat(WIDTH)]);
        assert_eq!(log.lines[0].text.len(), WIDTH);
        let log = Log::of_lines(Role::Driver, "driver", [format!("x{}", "é".repeat(WIDTH))]);
        assert_eq!(log.lines[0].text.len(), WIDTH - 1);
    }
}
