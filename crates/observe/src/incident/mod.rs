//! Incidents: what happened, when, why, what was done, and what follows; collected, not written from memory.
//!
//! In: lines that people and runbooks write ([`Line`]), and what else is known of the time ([`timeline::Sources`]: alerts, events, applications,
//! changes, records of runbooks). Out: a time line, the times to detect and to repair, and the draft of a review.
//! - [`alerts`]: as Alertmanager and Prometheus have them
//! - [`timeline`]: what happened in order, from all sources
//! - [`review`]: the document
//!
//! Everything here is a pure function of what is given.

pub mod alerts;
pub mod review;
pub mod timeline;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use timeline::Item;

/// How bad it is for those who depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No one waits for it today.
    Low,
    /// Work is late.
    #[default]
    Medium,
    /// Data that others promised are late or wrong.
    High,
}

impl Severity {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }
}

/// What a note is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Something that was seen or done.
    #[default]
    Fact,
    /// Why it happened.
    Cause,
    /// People are no longer affected.
    Repaired,
    /// What is to be done so that it does not happen again.
    Next,
}

/// A line of an incident's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Line {
    Opened {
        time: Timestamp,
        incident: String,
        title: String,
        severity: Severity,
        namespace: String,
        cluster: String,
        who: String,
        /// When people began to be affected, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        began: Option<Timestamp>,
    },
    Noted {
        time: Timestamp,
        who: String,
        about: About,
        text: String,
    },
    /// What was collected: events of a cluster are gone after an hour.
    Collected {
        time: Timestamp,
        items: Vec<Item>,
    },
    Closed {
        time: Timestamp,
        who: String,
        says: String,
    },
}

impl Line {
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Line::Opened { time, .. }
            | Line::Noted { time, .. }
            | Line::Collected { time, .. }
            | Line::Closed { time, .. } => *time,
        }
    }
}

/// What the lines say together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Incident {
    pub lines: Vec<Line>,
}

/// The first line of an incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opening<'a> {
    pub time: Timestamp,
    pub incident: &'a str,
    pub title: &'a str,
    pub severity: Severity,
    pub namespace: &'a str,
    pub cluster: &'a str,
    pub who: &'a str,
    pub began: Option<Timestamp>,
}

/// When what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// People began to be affected.
    pub began: Timestamp,
    /// Someone or something noticed.
    pub detected: Timestamp,
    /// People were no longer affected; none while they are.
    pub repaired: Option<Timestamp>,
    /// Seconds from `began` to `detected`.
    pub to_detect: i64,
    /// Seconds from `detected` to `repaired`.
    pub to_repair: Option<i64>,
}

impl Incident {
    /// Reads the lines of a file. A last line that was cut off while it was written is left out.
    ///
    /// # Errors
    /// The number of a line that is not one of an incident.
    pub fn parse(text: &str) -> Result<Incident, usize> {
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let lines = whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let lines = lines.map(|(at, line)| serde_json::from_str(line).map_err(|_| at + 1));
        Ok(Incident {
            lines: lines.collect::<Result<_, _>>()?,
        })
    }

    #[must_use]
    pub fn opening(&self) -> Option<Opening<'_>> {
        match self.lines.first()? {
            Line::Opened {
                time,
                incident,
                title,
                severity,
                namespace,
                cluster,
                who,
                began,
            } => Some(Opening {
                time: *time,
                incident,
                title,
                severity: *severity,
                namespace,
                cluster,
                who,
                began: *began,
            }),
            _ => None,
        }
    }

    /// When it was closed, and what was said.
    #[must_use]
    pub fn closing(&self) -> Option<(Timestamp, &str)> {
        self.lines.iter().find_map(|line| match line {
            Line::Closed { time, says, .. } => Some((*time, says.as_str())),
            _ => None,
        })
    }

    /// Notes about something, in order.
    pub fn notes(&self, wanted: About) -> impl Iterator<Item = (Timestamp, &str)> {
        self.lines.iter().filter_map(move |line| match line {
            Line::Noted { time, about, text, .. } if *about == wanted => Some((*time, text.as_str())),
            _ => None,
        })
    }

    /// What was collected last.
    #[must_use]
    pub fn collected(&self) -> &[Item] {
        let last = self.lines.iter().rev().find_map(|line| match line {
            Line::Collected { items, .. } => Some(items.as_slice()),
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// Begin, detection and repair. What was noted stands before what was collected.
    #[must_use]
    pub fn times(&self, items: &[Item]) -> Option<Times> {
        let opening = self.opening()?;
        let first = |holds: fn(&Item) -> bool| items.iter().filter(|item| holds(item)).map(|item| item.time).min();
        let began = opening
            .began
            .or(first(|item| item.is_bad))
            .unwrap_or(opening.time)
            .min(opening.time);
        let alerted = first(|item| item.source == timeline::Source::Alert).filter(|at| *at >= began);
        let detected = alerted.unwrap_or(opening.time).min(opening.time).max(began);
        let repaired = self.notes(About::Repaired).map(|(time, _)| time).last();
        let repaired = repaired.or(self.closing().map(|(time, _)| time));
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).max(SignedDuration::ZERO).as_secs();
        Some(Times {
            began,
            detected,
            repaired,
            to_detect: seconds(began, detected),
            to_repair: repaired.map(|repaired| seconds(detected, repaired)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::timeline::Source;
    use super::*;

    fn at(minute: i8) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + i64::from(minute) * 60).unwrap()
    }

    pub(super) fn opened(began: Option<Timestamp>) -> Incident {
        Incident {
            lines: vec![Line::Opened {
                time: at(10),
                incident: "i-1".into(),
                title: "orders are late".into(),
                severity: Severity::High,
                namespace: "team".into(),
                cluster: "c".into(),
                who: "ada".into(),
                began,
            }],
        }
    }

    fn item(minute: i8, source: Source, is_bad: bool) -> Item {
        Item {
            time: at(minute),
            source,
            about: "x".into(),
            text: "t".into(),
            is_bad,
        }
    }

    #[test]
    fn times_are_those_of_the_first_failure_the_first_alert_and_the_repair() {
        let mut incident = opened(None);
        let items = [
            item(2, Source::Run, true),
            item(5, Source::Alert, true),
            item(1, Source::Change, false),
        ];
        let times = incident.times(&items).unwrap();
        assert_eq!((times.began, times.detected, times.repaired), (at(2), at(5), None));
        assert_eq!((times.to_detect, times.to_repair), (180, None));
        incident.lines.push(Line::Noted {
            time: at(30),
            who: "ada".into(),
            about: About::Repaired,
            text: "data are there".into(),
        });
        incident.lines.push(Line::Closed {
            time: at(50),
            who: "ada".into(),
            says: "done".into(),
        });
        let times = incident.times(&items).unwrap();
        assert_eq!((times.repaired, times.to_repair), (Some(at(30)), Some(25 * 60)));
    }

    #[test]
    fn what_was_said_of_the_begin_stands_and_nothing_is_negative() {
        let times = opened(Some(at(8)))
            .times(&[item(2, Source::Run, true), item(3, Source::Alert, true)])
            .unwrap();
        assert_eq!((times.began, times.detected), (at(8), at(10)));
        let times = opened(Some(at(40))).times(&[]).unwrap();
        assert_eq!((times.began, times.to_detect), (at(10), 0));
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let mut incident = opened(Some(at(1)));
        incident.lines.push(Line::Collected {
            time: at(11),
            items: vec![item(2, Source::Runbook, false)],
        });
        let text: String = incident
            .lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap() + "\n")
            .collect();
        assert_eq!(Incident::parse(&text).unwrap(), incident);
        assert_eq!(Incident::parse(&text[..text.len() - 3]).unwrap().lines.len(), 1);
        assert_eq!(Incident::parse("nonsense\n"), Err(1));
    }
}
