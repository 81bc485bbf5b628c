//! Rules that decide: which names they have, and where they are defined.

use serde::Serialize;

use crate::outcome::Effect;

/// A rule that decides, for lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleInfo {
    /// The package, dotted, for example `starter.registries`.
    pub policy: String,
    /// The rule, for example `deny` or `deny_root`.
    pub rule: String,
    /// What it does to a subject.
    #[serde(rename = "severity")]
    pub effect: Effect,
    /// The file of its first definition.
    pub file: String,
    /// Line of its first definition, from 1.
    pub line: usize,
}

/// What a rule of a name does; `None` of a rule that decides nothing.
///
/// As in conftest, `deny`, `violation` and `warn` decide, and so do these with a suffix after an underscore.
pub(crate) fn effect(name: &str) -> Option<Effect> {
    let of = |word: &str| {
        let rest = name.strip_prefix(word)?;
        let suffix = rest.strip_prefix('_').unwrap_or_default();
        let word_like = !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (rest.is_empty() || word_like).then_some(())
    };
    if of("deny").or_else(|| of("violation")).is_some() {
        return Some(Effect::Deny);
    }
    of("warn").map(|()| Effect::Warn)
}

/// What exceptions call a rule: `deny_root` is `root`, `deny` is the empty text.
pub(crate) fn suffix(name: &str) -> &str {
    name.split_once('_').map_or("", |(_, suffix)| suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_decide() {
        for name in ["deny", "deny_root", "violation", "violation_2", "deny_a_b"] {
            assert_eq!(effect(name), Some(Effect::Deny), "{name}");
        }
        for name in ["warn", "warn_old"] {
            assert_eq!(effect(name), Some(Effect::Warn), "{name}");
        }
        for name in [
            "denied",
            "deny_",
            "deny-root",
            "warning",
            "allow",
            "_deny",
            "violations",
            "test_deny",
        ] {
            assert_eq!(effect(name), None, "{name}");
        }
        assert_eq!((suffix("deny"), suffix("deny_as_root")), ("", "as_root"));
    }
}
