//! Families of keys: a pattern stands for every key of its form.

use super::value::ValueType;

/// A pattern such as `spark.kubernetes.driver.label.*` and what its keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The pattern: literal segments, `<name>` for one segment, `<a|b>` for a choice, a final `*` for any rest.
    pub pattern: &'static str,
    pub(super) versions: u8,
    pub value_type: ValueType,
    /// Where it is read; `third-party` and `connector` are not Spark itself.
    pub place: &'static str,
    /// What the keys do.
    pub doc: &'static str,
}

impl Family {
    pub(super) fn parse(line: &'static str) -> Option<Family> {
        let mut columns = line.split('\t');
        let mut next = || columns.next();
        Some(Family {
            pattern: next()?,
            versions: u8::from_str_radix(next()?, 16).ok()?,
            value_type: ValueType::parse(next()?)?,
            place: next()?,
            doc: next()?,
        })
    }

    /// The text before the first variable part; ends with a dot.
    pub fn prefix(&self) -> &'static str {
        let end = self.pattern.find(['<', '*']).unwrap_or(self.pattern.len());
        &self.pattern[..end]
    }

    /// Whether anything may follow the prefix.
    pub fn open(&self) -> bool {
        self.pattern.len() == self.prefix().len() + 1 && self.pattern.ends_with('*')
    }

    /// Whether the key has the form of the pattern.
    pub fn matches(&self, key: &str) -> bool {
        let Some(mut rest) = key.strip_prefix(self.prefix()) else {
            return false;
        };
        for part in self.pattern[self.prefix().len()..].split('.') {
            if part == "*" {
                return !rest.is_empty();
            }
            let (segment, after) = rest.split_once('.').unwrap_or((rest, ""));
            if !choices(part).any(|choice| choice == segment) && (segment.is_empty() || !names(part)) {
                return false;
            }
            rest = after;
        }
        rest.is_empty()
    }

    /// The key in the form of the pattern, when each of its segments is at most a slip away from it, and the number of slips. A wrong case counts
    /// as no slip.
    pub(super) fn corrected(&self, key: &str) -> Option<(String, usize)> {
        let mut out: Vec<&str> = Vec::new();
        let mut slips = 0;
        let mut segments = key.split('.');
        for part in self.pattern.split('.') {
            let segment = segments.next().filter(|segment| !segment.is_empty())?;
            if part == "*" || names(part) {
                out.push(segment);
                if part == "*" {
                    out.extend(segments.by_ref());
                }
                continue;
            }
            let lower = segment.to_ascii_lowercase();
            let distance = |choice: &&str| strsim::osa_distance(&choice.to_ascii_lowercase(), &lower);
            let nearest = choices(part).min_by_key(distance)?;
            let slip = distance(&nearest);
            if slip > 2 || slip * 3 > nearest.len() {
                return None;
            }
            slips += slip;
            out.push(nearest);
        }
        (segments.next().is_none() && slips <= 3).then(|| (out.join("."), slips))
    }
}

/// The literals a part of a pattern stands for; none when it stands for any name.
fn choices(part: &'static str) -> impl Iterator<Item = &'static str> {
    let literal = if names(part) {
        ""
    } else {
        part.trim_start_matches('<').trim_end_matches('>')
    };
    literal.split('|').filter(|choice| !choice.is_empty())
}

/// Whether a part of a pattern stands for any name.
fn names(part: &str) -> bool {
    part.starts_with('<') && !part.contains('|')
}
