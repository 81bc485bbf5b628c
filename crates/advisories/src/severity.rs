//! How bad a vulnerability is: the score of a CVSS vector, and its level.
//!
//! Levels are those of CVSS: low to 3.9, medium to 6.9, high to 8.9, critical above. Of several vectors the newest version of CVSS counts; without one, the
//! word the database itself gives (`database_specific.severity`, as GitHub's has).

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Below 4.
    Low,
    /// Below 7.
    Medium,
    /// No one says; it stands between, since it may be any.
    Unknown,
    /// Below 9.
    High,
    /// 9 and above; a package made to do harm.
    Critical,
}

impl Level {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Low => "low",
            Level::Medium => "medium",
            Level::Unknown => "of unknown severity",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// The level of a score of CVSS.
    #[must_use]
    pub fn of_score(score: f64) -> Level {
        match score {
            score if score < 4.0 => Level::Low,
            score if score < 7.0 => Level::Medium,
            score if score < 9.0 => Level::High,
            _ => Level::Critical,
        }
    }

    /// The level of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Level> {
        match word.to_ascii_lowercase().as_str() {
            "low" => Some(Level::Low),
            "moderate" | "medium" => Some(Level::Medium),
            "high" => Some(Level::High),
            "critical" => Some(Level::Critical),
            _ => None,
        }
    }
}

/// A level, and the score it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Severity {
    pub level: Level,
    /// The score of CVSS, 0 to 10.
    pub score: Option<f64>,
}

impl Severity {
    /// No one says.
    pub const UNKNOWN: Severity = Severity {
        level: Level::Unknown,
        score: None,
    };

    /// The severity of vectors (of which the newest CVSS that can be read counts), else of a word.
    #[must_use]
    pub fn of(vectors: &[(String, String)], word: Option<&str>) -> Severity {
        let newest = ["CVSS_V4", "CVSS_V3"].into_iter().find_map(|kind| {
            let mut of_kind = vectors.iter().filter(|(written, _)| written == kind);
            of_kind.find_map(|(_, vector)| vector.parse::<cvss::Cvss>().ok())
        });
        match (newest, word.and_then(Level::named)) {
            (Some(vector), _) => Severity {
                level: Level::of_score(vector.score()),
                score: Some(vector.score()),
            },
            (None, Some(level)) => Severity { level, score: None },
            (None, None) => Severity::UNKNOWN,
        }
    }

    /// The worse of two; one that is known before one that is not.
    #[must_use]
    pub fn worse(self, other: Severity) -> Severity {
        match (self.level, other.level) {
            (Level::Unknown, _) => other,
            (_, Level::Unknown) => self,
            (one, two) if (two, other.score.unwrap_or(0.0)) > (one, self.score.unwrap_or(0.0)) => other,
            _ => self,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.score {
            Some(score) => write!(f, "{} ({score:.1})", self.level.name()),
            None => f.write_str(self.level.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_give_the_scores_first_org_publishes_for_them() {
        let v3 = |vector: &str| vec![("CVSS_V3".to_owned(), vector.to_owned())];
        // Examples of the specification documents of CVSS 3.1 and 4.0.
        let cases = [
            (
                v3("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
                None,
                "critical (9.8)",
            ),
            (
                v3("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"),
                None,
                "critical (10.0)",
            ),
            (v3("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"), None, "medium (6.1)"),
            (v3("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L"), None, "medium (4.2)"),
            (v3("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"), None, "low (3.1)"),
            (
                vec![(
                    "CVSS_V4".to_owned(),
                    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N".to_owned(),
                )],
                None,
                "critical (9.3)",
            ),
            (v3("no vector"), Some("MODERATE"), "medium"),
            (vec![], Some("HIGH"), "high"),
            (vec![], Some("grave"), "of unknown severity"),
            (vec![], None, "of unknown severity"),
        ];
        for (vectors, word, expected) in cases {
            assert_eq!(Severity::of(&vectors, word).to_string(), expected, "{vectors:?}");
        }
    }

    #[test]
    fn what_is_known_goes_before_what_is_not() {
        let low = Severity {
            level: Level::Low,
            score: None,
        };
        assert_eq!(low.worse(Severity::UNKNOWN), low);
        assert_eq!(Severity::UNKNOWN.worse(low), low);
        let worse = Severity {
            level: Level::Low,
            score: Some(3.0),
        };
        assert_eq!(low.worse(worse), worse);
        assert_eq!(worse.worse(low), worse);
    }
}
