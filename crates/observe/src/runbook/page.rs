//! The pages of `docs/runbooks`, from the runbooks themselves.

use std::fmt::Write;

use super::book::{Does, Need, Runbook};

/// How a runbook is run, with what must be given.
#[must_use]
pub fn command(book: &Runbook) -> String {
    let must = book
        .parameters
        .iter()
        .filter(|parameter| parameter.need == Need::Always);
    let options: Vec<String> = must
        .map(|parameter| {
            format!(
                " --{} {}",
                parameter.name,
                parameter.name.to_uppercase().replace('-', "_")
            )
        })
        .collect();
    format!("stoke runbook run {}{}", book.name, options.concat())
}

/// The page of a runbook. `drills` are lines about its trials.
#[must_use]
pub fn page(book: &Runbook, drills: &[String]) -> String {
    let mut text = format!(
        "# {}\n\n{}\n\n```text\n{}\n```\n\n",
        book.title,
        book.when,
        command(book)
    );
    text.push_str("`--dry-run` shows what it would do; `--yes` agrees to every change; what was killed or paused goes on with `stoke runbook resume RECORD`.\n\n## Parameters\n\n| option | what | where it is found |\n|---|---|---|\n");
    for parameter in book.parameters {
        let need = match parameter.need {
            Need::Always => String::new(),
            Need::Else(value) => format!(" [{value}]"),
            Need::Maybe => " (may be left out)".to_owned(),
        };
        let _ = writeln!(
            text,
            "| `--{}` | {}{need} | {} |",
            parameter.name, parameter.what, parameter.found
        );
    }
    text.push_str("\n## Steps\n");
    for (number, step) in book.steps.iter().enumerate() {
        let only = match step.only {
            [] => String::new(),
            branches => format!(" ({} only)", branches.join(", ")),
        };
        let _ = write!(
            text,
            "\n{}. **{}**, {}{only}: {}",
            number + 1,
            step.name,
            step.does.name(),
            step.what
        );
        match step.does {
            Does::Act { rights, undo, .. } => {
                let rights: Vec<String> = rights
                    .iter()
                    .map(|(verb, kind)| format!("`{verb} {}`", kind.api().2))
                    .collect();
                if !rights.is_empty() {
                    let _ = write!(text, " Needs {}.", rights.join(", "));
                }
                match undo {
                    "" => text.push_str(" It cannot be undone."),
                    undo => {
                        let _ = write!(text, " Undone: {undo}");
                    }
                }
            }
            Does::Verify { within, .. } => {
                let _ = write!(text, " Within {within} s.");
            }
            Does::Check(_) | Does::Pause => {}
        }
    }
    text.push('\n');
    if !book.codes.is_empty() {
        let codes: Vec<String> = book
            .codes
            .iter()
            .map(|code| format!("[{code}](../reference/codes.md#{code})"))
            .collect();
        let _ = write!(text, "\n## Findings that lead here\n\n{}\n", codes.join(", "));
    }
    if !book.limits.is_empty() {
        text.push_str("\n## What it leaves to you, and what was not tried\n\n");
        for limit in book.limits {
            let _ = writeln!(text, "- {limit}");
        }
    }
    if !drills.is_empty() {
        text.push_str("\n## Trials\n\nEach injects the fault into the embedded cluster, runs this runbook, and sees the symptom gone; then runs it again, and kills it between any two lines of its record.\n\n");
        for drill in drills {
            let _ = writeln!(text, "- {drill}");
        }
    }
    text.push_str("\nThis page is written by a test: `scripts/generate`.\n");
    text
}

/// The list of all runbooks.
#[must_use]
pub fn index(books: &[&Runbook]) -> String {
    let mut text = "# Runbooks\n\nEach runs: `stoke runbook run NAME`. It checks first, tells what a change touches and asks, proves that the symptom is gone, and keeps a record. [How to use them](../how-to/incidents.md).\n\n| runbook | for | steps |\n|---|---|---|\n".to_owned();
    for book in books {
        let _ = writeln!(
            text,
            "| [{name}]({name}.md) | {} | {} |",
            book.title,
            book.steps.len(),
            name = book.name
        );
    }
    text.push_str("\nThis page is written by a test: `scripts/generate`.\n");
    text
}

/// What a drill of a runbook measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drilled {
    /// What was broken.
    pub fault: &'static str,
    /// From the command to the symptom gone.
    pub milliseconds: u64,
    /// Steps that did something.
    pub steps: u32,
    /// Kinds of actions.
    pub actions: u32,
    /// The day of UTC on which it was drilled last.
    pub day: &'static str,
}

/// What the drills of a runbook measured, one for each fault. `laptop/drills` wrote them down.
pub fn drilled(book: &Runbook) -> impl Iterator<Item = Drilled> {
    let lines = include_str!("drilled.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let of = |line: &'static str| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [runbook, fault, milliseconds, steps, actions, day] = cells[..] else {
            return None;
        };
        let drilled = Drilled {
            fault,
            milliseconds: milliseconds.parse().ok()?,
            steps: steps.parse().ok()?,
            actions: actions.parse().ok()?,
            day,
        };
        Some((runbook, drilled))
    };
    lines
        .filter_map(of)
        .filter(move |(runbook, _)| *runbook == book.name)
        .map(|(_, drilled)| drilled)
}

/// The same as lines for people.
#[must_use]
pub fn drills(book: &Runbook) -> Vec<String> {
    let line = |one: Drilled| {
        format!(
            "{}: the symptom was gone after {} s ({} steps did something, {} kinds of actions); last on {}",
            one.fault,
            one.milliseconds.div_ceil(1000),
            one.steps,
            one.actions,
            one.day
        )
    };
    drilled(book).map(line).collect()
}

#[cfg(test)]
mod tests {
    use stoke_testkit::generated;

    use super::super::books;
    use super::*;

    #[test]
    fn the_generated_pages_are_those_of_the_runbooks() {
        for book in books::all() {
            let path = format!("docs/runbooks/{}.md", book.name);
            assert_eq!(generated::file(&path, &page(book, &drills(book))), Ok(()));
        }
        assert_eq!(generated::file("docs/runbooks/README.md", &index(books::all())), Ok(()));
    }

    #[test]
    fn every_line_of_the_drills_is_read_and_every_runbook_was_drilled() {
        let lines = include_str!("drilled.txt")
            .lines()
            .filter(|line| !line.starts_with('#'));
        let read: usize = books::all().iter().map(|book| drilled(book).count()).sum();
        assert_eq!(read, lines.count());
        for book in books::all() {
            assert!(drilled(book).next().is_some(), "{} has no drill", book.name);
            for one in drilled(book) {
                assert!(one.day.parse::<jiff::civil::Date>().is_ok(), "{one:?}");
            }
        }
    }

    #[test]
    fn a_command_has_what_must_be_given() {
        let book = books::find("upgrade-spark").unwrap();
        let command = command(book);
        assert_eq!(
            command,
            "stoke runbook run upgrade-spark --application APPLICATION --spark-version SPARK_VERSION --image IMAGE"
        );
    }
}
