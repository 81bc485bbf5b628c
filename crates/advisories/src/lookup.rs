//! Which advisories concern a version, and which of them are one vulnerability under several names.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::osv::{Advisory, Event};
use crate::severity::Severity;
use crate::version::{Ecosystem, Version};

/// A vulnerability of a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// All its names, `CVE` first, then `GHSA`, then the others.
    pub ids: Vec<String>,
    /// What it is.
    pub summary: String,
    /// The worst that is said of it.
    pub severity: Severity,
    /// The lowest version above the one that was asked for in which it is fixed.
    pub fixed: Option<String>,
}

/// What is known of a version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Its vulnerabilities, the worst first.
    pub known: Vec<Known>,
    /// Advisories that could not be compared with it, each with the reason.
    pub undecided: Vec<(String, String)>,
}

/// Advisories of one vulnerability: all their names, and each with the version that fixes it.
type Group<'a> = (BTreeSet<&'a str>, Vec<(&'a Advisory, Option<String>)>);

/// What advisories of a package say of a version of it.
///
/// # Errors
/// A version that is none in its ecosystem, in words.
pub fn answer(ecosystem: Ecosystem, version: &str, advisories: &[Advisory]) -> Result<Answer, String> {
    let wanted = ecosystem.version(version)?;
    let mut answer = Answer::default();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for advisory in advisories {
        let fixed = match concerns(ecosystem, version, &wanted, advisory) {
            Ok(None) => continue,
            Ok(Some(fixed)) => fixed,
            Err(cause) => {
                answer.undecided.push((advisory.id.clone(), cause));
                continue;
            }
        };
        let mut names: BTreeSet<&str> = advisory.aliases.iter().map(String::as_str).collect();
        names.insert(&advisory.id);
        let mut members = vec![(advisory, fixed)];
        // One that has names in common with several joins these.
        groups.retain_mut(|(known, others)| {
            let apart = known.is_disjoint(&names);
            if !apart {
                names.append(known);
                members.append(others);
            }
            apart
        });
        groups.push((names, members));
    }
    answer.known = groups
        .into_iter()
        .map(|(names, members)| merged(ecosystem, &names, &members))
        .collect();
    answer.known.sort_by(|one, other| {
        let score = |known: &Known| known.severity.score.unwrap_or(0.0);
        let level = other.severity.level.cmp(&one.severity.level);
        level
            .then(score(other).total_cmp(&score(one)))
            .then_with(|| one.ids.cmp(&other.ids))
    });
    Ok(answer)
}

fn merged(ecosystem: Ecosystem, names: &BTreeSet<&str>, members: &[(&Advisory, Option<String>)]) -> Known {
    let mut ids: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let place = |id: &str| {
        ["CVE-", "GHSA-"]
            .iter()
            .position(|begin| id.starts_with(begin))
            .unwrap_or(2)
    };
    ids.sort_by(|one, other| place(one).cmp(&place(other)).then_with(|| one.cmp(other)));
    let by_name = |begin: &'static str| {
        members
            .iter()
            .filter(move |(advisory, _)| advisory.id.starts_with(begin))
    };
    // GitHub's summaries are lines people wrote for this.
    let mut summaries = by_name("GHSA-").chain(members).map(|(advisory, _)| &advisory.summary);
    let summary = summaries.find(|text| !text.is_empty()).cloned();
    // Of several databases the highest version counts: below it, one of them still holds it for vulnerable.
    let fixed = members.iter().filter_map(|(_, fixed)| fixed.as_ref());
    let fixed = fixed.max_by(|one, other| match (ecosystem.version(one), ecosystem.version(other)) {
        (Ok(one), Ok(other)) => one.compare(&other),
        _ => Ordering::Equal,
    });
    Known {
        ids,
        summary: summary.unwrap_or_default(),
        severity: members
            .iter()
            .fold(Severity::UNKNOWN, |worst, (advisory, _)| worst.worse(advisory.severity)),
        fixed: fixed.cloned(),
    }
}

/// Whether an advisory concerns a version; if so, the version that fixes it, where one is known.
fn concerns(
    ecosystem: Ecosystem,
    written: &str,
    version: &Version,
    advisory: &Advisory,
) -> Result<Option<Option<String>>, String> {
    let listed = advisory.versions.iter().any(|listed| {
        // A text that is not a version can still be the same text.
        listed == written
            || ecosystem
                .version(listed)
                .is_ok_and(|listed| listed.compare(version).is_eq())
    });
    let mut undecided = None;
    let mut found = listed;
    let mut fixes: Vec<(Version, String)> = Vec::new();
    for range in &advisory.ranges {
        match within(ecosystem, version, range) {
            Ok(within) => {
                found |= within;
                if within || listed {
                    let fixed = range.iter().filter_map(|event| match event {
                        Event::Fixed(fixed) => Some((ecosystem.version(fixed).ok()?, fixed.clone())),
                        _ => None,
                    });
                    fixes.extend(fixed.filter(|(fixed, _)| fixed.compare(version).is_gt()));
                }
            }
            Err(cause) => undecided = Some(cause),
        }
    }
    if !found {
        return undecided.map_or(Ok(None), Err);
    }
    let lowest = fixes.into_iter().min_by(|one, other| one.0.compare(&other.0));
    Ok(Some(lowest.map(|(_, written)| written)))
}

/// Whether a version lies in a range: its events are gone through in their order, as "Evaluation" of the schema has it.
fn within(ecosystem: Ecosystem, version: &Version, range: &[Event]) -> Result<bool, String> {
    let mut limits = range
        .iter()
        .filter_map(|event| match event {
            Event::Limit(limit) => Some(limit),
            _ => None,
        })
        .peekable();
    if limits.peek().is_some() {
        let mut below = false;
        for limit in limits {
            below |= limit == "*" || version.compare(&ecosystem.version(limit)?).is_lt();
        }
        if !below {
            return Ok(false);
        }
    }
    let mut events = Vec::new();
    for event in range {
        // What is fixed in a version and comes back in it is there in it; what comes in a version and ends behind it is there in it.
        let (text, kind) = match event {
            Event::Fixed(text) => (text, 0),
            Event::Introduced(text) => (text, 1),
            Event::LastAffected(text) => (text, 2),
            Event::Limit(_) => continue,
        };
        // `0` is before every version, `0a1` and `0-alpha` included.
        let zero = kind == 1 && text == "0";
        let at = if zero { None } else { Some(ecosystem.version(text)?) };
        events.push((at, kind));
    }
    events.sort_by(|one, other| match (&one.0, &other.0) {
        (None, None) => one.1.cmp(&other.1),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(at), Some(other_at)) => at.compare(other_at).then(one.1.cmp(&other.1)),
    });
    let mut inside = false;
    for (at, kind) in &events {
        let order = at.as_ref().map_or(Ordering::Greater, |at| version.compare(at));
        match kind {
            0 if order.is_ge() => inside = false,
            1 if order.is_ge() => inside = true,
            2 if order.is_gt() => inside = false,
            _ => {}
        }
    }
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::severity::Level;

    fn events(text: &str) -> Vec<Event> {
        let one = |text: &str| {
            let (kind, version) = text.split_at(1);
            let version = version.to_owned();
            match kind {
                "+" => Event::Introduced(version),
                "!" => Event::Fixed(version),
                "=" => Event::LastAffected(version),
                _ => Event::Limit(version),
            }
        };
        text.split_whitespace().map(one).collect()
    }

    #[test]
    fn ranges_are_gone_through_in_the_order_of_their_versions() {
        let cases = [
            ("+0 !2.0", "1.9", true),
            ("+0 !2.0", "2.0", false),
            ("+0 !2.0", "2.0rc1", true),
            ("+0 !2.0", "0.dev0", true),
            ("+1.5 !2.0", "1.4", false),
            ("+1.5 !2.0", "1.5", true),
            ("+0 =2.0", "2.0", true),
            ("+0 =2.0", "2.0.post1", false),
            // In any order, and several stretches in one range.
            ("!4.0 +3.0 !2.0 +1.0", "2.5", false),
            ("!4.0 +3.0 !2.0 +1.0", "3.5", true),
            ("!4.0 +3.0 !2.0 +1.0", "1.0", true),
            ("!4.0 +3.0 !2.0 +1.0", "4.0", false),
            // One version alone.
            ("+1.0 =1.0", "1.0", true),
            ("+1.0 =1.0", "1.0.1", false),
            // Fixed and broken again in the same version.
            ("+0 !2.0 +2.0 !3.0", "2.0", true),
            ("+0 <1.5", "1.4", true),
            ("+0 <1.5", "1.5", false),
            ("+0 <1.5 <3.0", "2.0", true),
            ("+0 <*", "99", true),
            ("+0", "99", true),
            ("", "1", false),
            ("!1.0", "0.5", false),
        ];
        for (range, version, expected) in cases {
            let ecosystem = Ecosystem::PyPI;
            let wanted = ecosystem.version(version).unwrap();
            assert_eq!(
                within(ecosystem, &wanted, &events(range)),
                Ok(expected),
                "{version} in {range}"
            );
        }
    }

    fn advisory(id: &str, aliases: &[&str], range: &str, versions: &[&str]) -> Advisory {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Advisory {
            id: id.into(),
            aliases: owned(aliases),
            summary: format!("of {id}"),
            severity: Severity::UNKNOWN,
            ranges: vec![events(range)],
            versions: owned(versions),
        }
    }

    #[test]
    fn names_of_one_vulnerability_are_one_finding() {
        let mut mild = advisory("GHSA-1", &["CVE-1"], "+0 !2.0", &[]);
        mild.severity.level = Level::High;
        let all = [
            advisory("PYSEC-1", &["CVE-1"], "+0 !2.1", &[]),
            advisory("OSV-9", &[], "+0", &[]),
            mild,
            // Known to none of the others until this one.
            advisory("X-1", &["GHSA-1", "PYSEC-1"], "+0 !1.9", &[]),
            advisory("GHSA-2", &["CVE-2"], "+5", &[]),
        ];
        let answer = answer(Ecosystem::PyPI, "1.0", &all).unwrap();
        let found: Vec<_> = answer
            .known
            .iter()
            .map(|known| (known.ids.join(" "), known.fixed.as_deref(), known.severity.level))
            .collect();
        assert_eq!(
            found,
            [
                ("CVE-1 GHSA-1 PYSEC-1 X-1".to_owned(), Some("2.1"), Level::High),
                ("OSV-9".to_owned(), None, Level::Unknown)
            ]
        );
        assert_eq!(answer.known[0].summary, "of GHSA-1");
    }

    #[test]
    fn lists_count_besides_ranges_and_what_cannot_be_compared_is_said() {
        let listed = advisory("A", &[], "+0 !1.0", &["1.2.0", "odd one"]);
        let found = |version: &str, advisory: &Advisory| {
            answer(Ecosystem::PyPI, version, std::slice::from_ref(advisory))
                .unwrap()
                .known
                .len()
        };
        assert_eq!(found("1.2", &listed), 1);
        assert_eq!(found("1.3", &listed), 0);
        let odd = advisory("B", &[], "+0 !odd", &[]);
        let answer = answer(Ecosystem::PyPI, "1.2", &[odd]).unwrap();
        assert_eq!(answer.known, []);
        assert_eq!(answer.undecided[0].0, "B");
        assert!(super::answer(Ecosystem::PyPI, "latest", &[]).is_err());
    }

    #[test]
    fn versions_of_maven_have_mavens_order() {
        let cases = [
            ("+0 !4.1.100.Final", "4.1.99.Final", true),
            ("+0 !4.1.100.Final", "4.1.100.Final", false),
            ("+2.13.0 !2.13.4.2", "2.13.4.1", true),
            ("+2.0-beta9 !2.15.0", "2.0-beta8", false),
            ("+2.0-beta9 !2.15.0", "2.0", true),
            ("+0 !32.0.0-android", "31.1-jre", true),
        ];
        for (range, version, expected) in cases {
            let answer = answer(Ecosystem::Maven, version, &[advisory("A", &[], range, &[])]).unwrap();
            assert_eq!(!answer.known.is_empty(), expected, "{version} in {range}");
        }
    }
}
