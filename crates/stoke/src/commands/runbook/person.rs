//! Who runs a runbook: asked on the terminal, told what is done.

use std::io::IsTerminal;

use stoke_laptop::runbook::Person;
use stoke_laptop::{LaptopError, Outcome};
use stoke_observe::runbook::{Entry, Plan, Step, Verdict};

use crate::terminal::{Terminal, bold, dim, green, red};

/// A person at a terminal, or one who agreed to everything.
pub struct Prompt<'a> {
    yes: bool,
    terminal: &'a mut Terminal,
}

impl<'a> Prompt<'a> {
    pub fn new(yes: bool, terminal: &'a mut Terminal) -> Self {
        Prompt { yes, terminal }
    }

    pub fn note(&mut self, text: String) {
        self.terminal.note(text);
    }

    /// Whether something may be done.
    pub fn consents(&mut self, what: &str) -> Outcome<bool> {
        if self.yes {
            return Ok(true);
        }
        if !std::io::stdin().is_terminal() {
            return Err(LaptopError::input(
                "stoke::runbook::consent",
                format!("{what}: this is asked first, and there is no terminal to answer"),
            )
            .fix("add --yes to agree to every change, or --dry-run to see what they would be"));
        }
        self.terminal.note(format!("{what}? [y/N]"));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

impl Person for Prompt<'_> {
    fn agrees(&mut self, step: &Step, plan: &Plan) -> Outcome<Option<String>> {
        let agreed = self.consents(&format!("{}: {}", step.name, plan.blast))?;
        let by = if self.yes { "--yes" } else { "an answer at the terminal" };
        Ok(agreed.then(|| by.to_owned()))
    }

    fn sees(&mut self, entry: &Entry) {
        if let Some(line) = line(entry) {
            self.terminal.note(line);
        }
    }

    fn waits(&mut self, step: &str, says: &str) {
        self.terminal.status(format!("{step}: {says}"));
    }
}

/// A line of a record, for people.
pub fn line(entry: &Entry) -> Option<String> {
    let step = |name: &str| bold(format!("{name:<16}"));
    Some(match entry {
        Entry::Checked {
            step: name,
            verdict,
            says,
            branch,
            ..
        } => {
            let sign = match verdict {
                Verdict::Goes | Verdict::Nothing => green("saw"),
                Verdict::Other | Verdict::Unknown => red("saw"),
            };
            let branch = branch
                .as_ref()
                .map(|branch| dim(format!(" [{branch}]")))
                .unwrap_or_default();
            format!("{} {sign}      {says}{branch}", step(name))
        }
        Entry::Intended { step: name, plan, .. } => {
            let lines = plan
                .changes
                .iter()
                .map(|change| format!("\n                   - {}", change.action.words()));
            format!("{} means    {}{}", step(name), plan.blast, lines.collect::<String>())
        }
        Entry::Agreed { step: name, by, .. } => format!("{} agreed   {}", step(name), dim(by)),
        Entry::Did {
            step: name,
            says,
            already,
            ..
        } => {
            let what = if *already { "was so  " } else { "did     " };
            format!("{} {what} {says}", step(name))
        }
        Entry::Verified { step: name, says, .. } => format!("{} {} {says}", step(name), green("verified")),
        Entry::Skipped { step: name, says, .. } => dim(format!("{name:<16} left out {says}")),
        Entry::Paused { step: name, .. } => format!("{} waits for you", step(name)),
        Entry::Continued { step: name, .. } => format!("{} was done by you", step(name)),
        Entry::Undid { step: name, says, .. } => format!("{} undone   {says}", step(name)),
        Entry::Opened { record, who, .. } => dim(format!("record {record} by {who}")),
        Entry::Resumed { who, .. } => dim(format!("{who} goes on")),
        Entry::Ended { .. } => return None,
    })
}
