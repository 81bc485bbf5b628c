//! Families of keys: a pattern stands for every key of its form.

use super::value::ValueType;

/// A pattern such as `spark.kubernetes.driver.label.*` and what its keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The pattern: literal segments, `<name>` for one segment, `<a|b>` for a choice, a final `*` for any rest.
    pub pattern: &'static str,
    pub(super) versions: u8,
    /// Type of the values.
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
            let fits = match part.strip_prefix('<').and_then(|part| part.strip_suffix('>')) {
                Some(choices) if choices.contains('|') => choices.split('|').any(|choice| choice == segment),
                Some(_) => !segment.is_empty(),
                None => part == segment,
            };
            if !fits {
                return false;
            }
            rest = after;
        }
        rest.is_empty()
    }
}
