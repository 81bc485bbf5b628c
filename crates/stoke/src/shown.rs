//! What is seen of an application while it is followed, on the terminal.

use std::time::Duration;

use stoke_laptop::follow::{Sight, Watch};
use stoke_laptop::progress::Voice;
use stoke_model::units::people::elapsed;

use crate::terminal::{Format, Terminal, dim};

/// Shows one application.
pub struct Shown<'a> {
    name: &'a str,
    /// Hide the lines of Spark's logger.
    quiet: bool,
    /// What the application prints is not the command's result.
    beside: bool,
    terminal: &'a mut Terminal,
}

impl<'a> Shown<'a> {
    /// Shows the application of this name.
    pub fn new(name: &'a str, quiet: bool, terminal: &'a mut Terminal) -> Self {
        Self {
            name,
            quiet,
            beside: false,
            terminal,
        }
    }

    /// Shows an application whose output is not the command's result: beside it, and quietly.
    pub fn beside(name: &'a str, terminal: &'a mut Terminal) -> Self {
        Self {
            beside: true,
            ..Self::new(name, true, terminal)
        }
    }
}

impl Watch for Shown<'_> {
    fn see(&mut self, sight: Sight<'_>, after: Duration) {
        let name = self.name;
        let mut note = |text: &str| {
            let line = format!("{:>7}  {name}  {text}", elapsed(after));
            self.terminal.note(dim(line));
        };
        match sight {
            Sight::State(state, attempt) => {
                let word = serde_json::to_value(state).unwrap_or_default();
                let word = word.as_str().unwrap_or_default();
                match attempt {
                    0 | 1 => note(word),
                    _ => note(&format!("{word} (attempt {attempt})")),
                }
            }
            Sight::Waits(reason) => note(&format!("waiting: {reason}")),
            Sight::Quality(text) => note(text),
            Sight::Report(pod, container, text) => {
                note(&format!("pod {pod}, {container}:"));
                text.lines().for_each(|line| self.terminal.note(line));
            }
            Sight::Line(voice, line, progress) => {
                match voice {
                    Voice::Application if !self.beside && self.terminal.format() == Format::Text => {
                        self.terminal.out(line)
                    }
                    // Standard output is the summary's alone when programs read it.
                    Voice::Application => self.terminal.note(line),
                    Voice::Spark if !self.quiet => self.terminal.note(dim(line)),
                    Voice::Spark => {}
                }
                self.terminal.status(progress.status());
            }
            Sight::Unreachable(error) => self.terminal.status(format!("waiting for the API server: {error}")),
        }
    }
}
