//! What is known of the job's dependencies: their versions looked up in a database of advisories.
//!
//! High and critical vulnerabilities, and those of which no one says how bad they are, fail the gate; the others are warnings. Without a database, or
//! with one that is not for what the job depends on, the gate cannot tell, unless no one wants it looked up.

use std::collections::BTreeSet;
use std::sync::Arc;

use stoke_advisories::{Database, Ecosystem, Known, Level};
use stoke_diagnostics::{Diagnostic, Severity};

use super::Dependency;
use crate::Settings;

/// Where known vulnerabilities are looked up.
#[derive(Clone, Debug, Default)]
pub enum Advisories {
    /// Nowhere, and that is what was asked for.
    #[default]
    NotAsked,
    /// There should be a database; why there is none.
    Missing(String),
    /// Here.
    Database(Arc<Database>),
}

/// Days after which advisories are old: many were published since.
const OLD_DAYS: i64 = 30;
const UPDATE: &str = "`stoke advisories update` fetches it; `--from FILE` takes it from a file, `stoke check --advisories none` does without";

/// Looks dependencies up; returns what was done, for the report.
pub(super) fn look_up(dependencies: &[Dependency], settings: &Settings, findings: &mut Vec<Diagnostic>) -> String {
    let named: Vec<(&Dependency, &str)> = dependencies
        .iter()
        .filter_map(|dependency| Some((dependency, dependency.version.as_deref()?)))
        .collect();
    if named.is_empty() {
        return String::new();
    }
    let count = |count: usize| match count {
        1 => "1 dependency was".to_owned(),
        count => format!("{count} dependencies were"),
    };
    let database = match &settings.advisories {
        Advisories::NotAsked => return "; known vulnerabilities were not looked up".to_owned(),
        Advisories::Missing(why) => {
            let message = format!("{} not looked up for known vulnerabilities: {why}", count(named.len()));
            findings.push(Diagnostic::cannot_tell("dependency-no-advisories", "", message).with_fix(UPDATE));
            return "; known vulnerabilities were not looked up".to_owned();
        }
        Advisories::Database(database) => database,
    };
    let ecosystems: BTreeSet<Ecosystem> = named.iter().map(|(dependency, _)| dependency.ecosystem).collect();
    for ecosystem in ecosystems.iter().filter(|ecosystem| !database.covers(**ecosystem)) {
        let of_it = named
            .iter()
            .filter(|(dependency, _)| dependency.ecosystem == *ecosystem);
        let message = format!(
            "{} not looked up for known vulnerabilities: the database has no advisories of {}",
            count(of_it.count()),
            ecosystem.name()
        );
        findings.push(Diagnostic::cannot_tell("dependency-no-advisories", "", message).with_fix(UPDATE));
    }
    let newest = database.about().ecosystems.values().map(|covered| covered.newest).max();
    let newest = newest.map(|newest| newest.to_zoned(jiff::tz::TimeZone::UTC).date());
    if let Some(newest) = newest
        && let Ok(age) = newest.until(settings.today)
        && i64::from(age.get_days()) > OLD_DAYS
    {
        let message =
            format!("the newest advisory of the database is of {newest}; what was published since is not known");
        let finding = Diagnostic::of_file(Severity::Warning, "dependency-advisories-stale", "", message);
        findings.push(finding.with_fix("`stoke advisories update`"));
    }
    for (dependency, version) in named {
        if database.covers(dependency.ecosystem) {
            one(dependency, version, database, findings);
        }
    }
    newest.map_or(String::new(), |newest| format!("; advisories up to {newest}"))
}

fn one(dependency: &Dependency, version: &str, database: &Database, findings: &mut Vec<Diagnostic>) {
    let undecided = |why: &str| {
        let mut finding = dependency.say(
            Severity::Error,
            "dependency-undecided",
            format!(
                "whether `{}` has known vulnerabilities cannot be determined: {why}",
                dependency.shown()
            ),
        );
        finding.cannot_tell = true;
        finding
    };
    match database.look_up(dependency.ecosystem, &dependency.name, version) {
        Err(error) => findings.push(undecided(&error.to_string()).with_fix(UPDATE)),
        Ok(Err(why)) => findings.push(undecided(&why).with_fix("name one released version")),
        Ok(Ok(answer)) => {
            findings.extend(answer.known.iter().map(|known| of(dependency, known)));
            findings.extend(answer.undecided.iter().map(|(id, why)| {
                undecided(&format!("{id}: {why}"))
                    .with_fix("read the advisory, and waive this if it is about other versions")
            }));
        }
    }
}

fn of(dependency: &Dependency, known: &Known) -> Diagnostic {
    let severity = match known.severity.level {
        Level::Low | Level::Medium => Severity::Warning,
        Level::High | Level::Critical | Level::Unknown => Severity::Error,
    };
    let summary = match known.summary.trim_end_matches('.') {
        "" => String::new(),
        summary => format!(": {summary}"),
    };
    let message = format!(
        "`{}` has a known vulnerability, {}: {}{summary}",
        dependency.shown(),
        known.severity,
        known.ids.join(", ")
    );
    let fix = match &known.fixed {
        Some(fixed) => format!("take {fixed} or later"),
        None => "no version is known to be without it: do without, or waive it with what keeps it from harm".to_owned(),
    };
    let mut finding = dependency.say(severity, "dependency-vulnerable", message).with_fix(fix);
    // Part of the field, so that one vulnerability can be waived by its name.
    let id = known.ids.first().map_or("", String::as_str);
    finding.path = format!("{} {id}", finding.path).trim_start().to_owned();
    finding
}
