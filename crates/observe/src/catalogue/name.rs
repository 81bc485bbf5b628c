//! Names with placeholders.

use std::collections::HashSet;

use regex_automata::dfa::Automaton as _;

use super::{Automaton, start_of};

/// A name of series: texts, and placeholders (`<namespace>`) for what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Between two texts stands a placeholder; the first or the last may be empty.
    texts: Vec<String>,
}

impl Name {
    /// Reads `metrics_<namespace>_driver_…`.
    #[must_use]
    pub fn new(text: &str) -> Name {
        let mut texts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            texts.push(before.to_owned());
            rest = after.split_once('>').map_or("", |(_, after)| after);
        }
        texts.push(rest.to_owned());
        Name { texts }
    }

    /// The name, where it has no placeholder.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.texts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// How much of it is text: of two that fit a name, the one with more is meant.
    pub(super) fn specific(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }

    /// Whether a name is this with something in each placeholder.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let [first, rest @ ..] = self.texts.as_slice() else {
            return false;
        };
        let (Some(name), Some((last, middle))) = (name.strip_prefix(first.as_str()), rest.split_last()) else {
            return rest.is_empty() && name == first;
        };
        let Some(name) = name.strip_suffix(last.as_str()) else {
            return false;
        };
        fits_between(middle, name)
    }

    /// Whether there is something for each placeholder with which an expression matches. Where that takes too long to decide: yes.
    pub(crate) fn may_match(&self, automaton: &Automaton) -> bool {
        /// States looked at before it is taken for a match.
        const MOST: usize = 20_000;
        let Some(start) = start_of(automaton) else { return true };
        let mut states = HashSet::from([start]);
        let mut looked = 0;
        for (index, text) in self.texts.iter().enumerate() {
            if index > 0 {
                // One character or more of those that names have.
                let mut reached = HashSet::new();
                let mut waiting: Vec<_> = states.into_iter().collect();
                while let Some(state) = waiting.pop() {
                    for byte in (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').chain([b'_']) {
                        looked += 1;
                        let next = automaton.next_state(state, byte);
                        if !automaton.is_dead_state(next) && reached.insert(next) {
                            waiting.push(next);
                        }
                    }
                    if looked > MOST * 63 {
                        return true;
                    }
                }
                states = reached;
            }
            states = states
                .into_iter()
                .map(|state| {
                    text.bytes()
                        .fold(state, |state, byte| automaton.next_state(state, byte))
                })
                .filter(|state| !automaton.is_dead_state(*state))
                .collect();
        }
        states.into_iter().any(|state| is_end(automaton, state))
    }
}

/// `middle` in this order in `name`, with one character or more before, between and after.
fn fits_between(middle: &[String], name: &str) -> bool {
    match middle {
        [] => !name.is_empty(),
        [text, rest @ ..] => {
            let begin = name.chars().next().map_or(0, char::len_utf8);
            let after = name.get(begin..).unwrap_or_default();
            begin > 0
                && after
                    .match_indices(text.as_str())
                    .any(|(at, found)| fits_between(rest, &after[at + found.len()..]))
        }
    }
}

fn is_end(automaton: &Automaton, state: regex_automata::util::primitives::StateID) -> bool {
    automaton.is_match_state(automaton.next_eoi_state(state))
}

/// Whether an expression matches a text as a whole.
pub(crate) fn literal_matches(automaton: &Automaton, text: &str) -> bool {
    let Some(start) = start_of(automaton) else { return true };
    let state = text
        .bytes()
        .fold(start, |state, byte| automaton.next_state(state, byte));
    is_end(automaton, state)
}
