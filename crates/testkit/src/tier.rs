//! Tiers of proof: which tests run at every change, and which when they are asked for.

use std::str::FromStr;

/// When a test runs.
///
/// `STOKE_TESTS` says what is asked for: nothing is [`Tier::Default`].
///
/// ```
/// use stoke_testkit::Tier;
/// assert!(Tier::Default.runs_in(Tier::Full));
/// assert!(!Tier::Full.runs_in(Tier::Default));
/// // A real cluster is asked for alone: its tests take the whole machine.
/// assert!(!Tier::Real.runs_in(Tier::Full));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// At every change, within minutes: one Spark, everything else from records.
    Default,
    /// Everything live: every Spark version, every fault, the records held against the real thing.
    Full,
    /// A real Kubernetes with a kubelet.
    Real,
}

impl Tier {
    /// What `STOKE_TESTS` asks for; unset or empty is [`Tier::Default`].
    ///
    /// # Panics
    ///
    /// On a name that is not a tier: a typing error must not run fewer tests than were meant.
    #[allow(clippy::panic, reason = "a test program can only stop")]
    pub fn selected() -> Tier {
        let asked = std::env::var("STOKE_TESTS").unwrap_or_default();
        match asked.parse() {
            Ok(tier) => tier,
            Err(message) => panic!("{message}"),
        }
    }

    /// Whether a test of this tier runs when `asked` is asked for.
    pub fn runs_in(self, asked: Tier) -> bool {
        match self {
            Tier::Default => true,
            Tier::Full | Tier::Real => self == asked,
        }
    }

    /// `Ok` when the test runs, else what to ask for.
    pub fn need(self) -> Result<(), String> {
        if self.runs_in(Tier::selected()) {
            Ok(())
        } else {
            Err(format!("STOKE_TESTS={} runs it", self.name()))
        }
    }

    fn name(self) -> &'static str {
        match self {
            Tier::Default => "default",
            Tier::Full => "full",
            Tier::Real => "real",
        }
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Tier, String> {
        match text {
            "" | "default" => Ok(Tier::Default),
            "full" => Ok(Tier::Full),
            "real" => Ok(Tier::Real),
            other => Err(format!("STOKE_TESTS={other}: not a tier (default, full or real)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_runs_when_it_is_asked_for() {
        use Tier::{Default, Full, Real};
        for (tier, asked, runs) in [
            (Default, Default, true),
            (Default, Full, true),
            (Default, Real, true),
            (Full, Default, false),
            (Full, Full, true),
            (Full, Real, false),
            (Real, Default, false),
            (Real, Full, false),
            (Real, Real, true),
        ] {
            assert_eq!(tier.runs_in(asked), runs, "{tier:?} in {asked:?}");
        }
    }

    #[test]
    fn names_are_read_and_others_refused() {
        assert_eq!("".parse(), Ok(Tier::Default));
        for tier in [Tier::Default, Tier::Full, Tier::Real] {
            assert_eq!(tier.name().parse(), Ok(tier));
        }
        assert!("Full".parse::<Tier>().is_err());
    }
}
