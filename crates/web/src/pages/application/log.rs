//! The log of a pod of an application.

use super::{Application, bad};
use crate::live::Refusal;
use crate::live::logs::{Level, Line, Read};
use crate::page::{Filter, Log, Page, Section};
use crate::pages::Visit;

/// Lines of a log that are read unless the address says otherwise, and at most.
pub const LINES: usize = 500;
/// Lines of a log that are read at most.
pub const MOST_LINES: usize = 5000;

/// The log of a pod of it: `pod` of those there are, and what was read of it.
pub fn log(app: &Application, visit: &Visit, pod: &str, read: &Result<Read, Refusal>) -> Page {
    let (w, p) = (visit.w, visit.w.platform());
    let mut page = app.page(visit, "log", "log/", p.driver_log.to_owned());
    page.subtitle = pod.to_owned();
    let nothing = Read::default();
    let read = match read {
        Ok(read) => read,
        // A container that has not started has no log yet.
        Err(refusal) => {
            if !matches!(refusal.status, 400 | 404) {
                page.sections.push(bad("refused", format!("{} {refusal}", p.may_not)));
            }
            &nothing
        }
    };
    let text = visit.searched();
    let chosen = visit.query.first("level").unwrap_or_default();
    let matches = |line: &&Line| {
        text.as_deref()
            .is_none_or(|text| line.text.to_lowercase().contains(text))
    };
    let found: Vec<&Line> = read.lines.iter().filter(matches).collect();
    let name = |level: Level| match level {
        Level::Error => p.errors,
        Level::Warning => p.warnings,
        Level::Info => p.infos,
        Level::Debug => p.debugs,
        Level::Output => p.of_application,
    };
    let mut choices = vec![(w.all, found.len(), visit.here.with(&[("level", "")]), chosen.is_empty())];
    for level in Level::ALL {
        let count = found.iter().filter(|line| line.level == level).count();
        if count > 0 || chosen == level.name() {
            let to = visit.here.with(&[("level", level.name())]);
            choices.push((name(level), count, to, chosen == level.name()));
        }
    }
    page.sections.push(Section::Filter(Filter {
        action: visit.here.path().to_owned(),
        text: visit.query.first("q").unwrap_or_default().to_owned(),
        placeholder: p.search_log,
        choices,
        kept: visit.here.without(&["q"]),
    }));
    if read.cut {
        page.sections.push(bad("cut", p.log_cut.to_owned()));
    }
    let asked: usize = visit.number("lines").unwrap_or(LINES);
    if read.lines.len() >= asked && asked < MOST_LINES {
        let more = visit.here.with(&[("lines", &MOST_LINES.to_string())]);
        page.sections.push(Section::Actions(vec![(p.more_lines, more)]));
    }
    let is_chosen = |line: &&&Line| chosen.is_empty() || line.level.name() == chosen;
    page.sections.push(Section::Log(Log {
        empty: if read.lines.is_empty() { p.no_log } else { p.no_lines },
        lines: found.iter().filter(is_chosen).map(|line| (*line).clone()).collect(),
    }));
    page
}
