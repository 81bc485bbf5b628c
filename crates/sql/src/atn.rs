//! The tables of a recognizer: an augmented transition network, as ANTLR serializes it.
//!
//! Source: the layout of `org.antlr.v4.runtime.atn.ATNSerializer`, versions 3 (ANTLR 4.7 to 4.9; every word but the first has 2 added to it) and 4 (ANTLR 4.10
//! and later; words with the high bit begin a number of two).

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Tables that cannot be decoded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AtnError {
    /// Of another version of ANTLR.
    #[error("the parser tables have version {0}; 3 and 4 are known")]
    Version(u32),
    /// They end early.
    #[error("the parser tables end early")]
    Short,
    /// A number in them makes no sense.
    #[error("the parser tables have {what} {number}")]
    Unknown { what: &'static str, number: i32 },
}

/// The end of the input, as a token and as a character.
pub const EOF: i32 = -1;

/// A state, by its number.
pub type StateId = usize;

#[derive(Debug, Default, Clone)]
pub struct State {
    pub rule: usize,
    /// Whether its rule ends here.
    pub stop: bool,
    /// Whether the loop it decides about takes as little as possible.
    pub non_greedy: bool,
    /// Ways on, in the order of the grammar's alternatives.
    pub ways: Vec<Way>,
}

/// A way from a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// What it takes.
    pub takes: Takes,
    /// Where it leads; of a rule, where it goes on after it.
    pub to: StateId,
}

/// What a way takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// A token or character of this set.
    Set(usize),
    /// Any but those of this set, and not the end.
    NotSet(usize),
    /// Any but the end.
    Any,
    /// A whole rule.
    Rule {
        /// Which.
        rule: usize,
        /// The least precedence of its operators.
        precedence: i32,
    },
    /// Nothing, where the predicate of this number holds.
    Predicate(usize),
    /// Nothing; the action of this number is done.
    Action(usize),
    /// Nothing, where the rule was entered for this precedence or less.
    Precedence(i32),
}

/// A set of tokens or characters: ranges, both ends included, in order.
pub type Set = Vec<(i32, i32)>;

/// Sets of one range, by it.
type Ranges = HashMap<(i32, i32), usize, FixedState>;

/// What a lexer's rule does when it has matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Puts the token on another channel: the parser does not see it unless it is 0.
    Channel(i32),
    /// Custom code, by its number.
    Custom(usize),
    /// Goes on in another mode.
    Mode(usize),
    /// Goes on with the same token.
    More,
    /// Goes back to the mode before.
    PopMode,
    /// Goes on in another mode until it is popped.
    PushMode(usize),
    /// Drops what was matched.
    Skip,
    /// Gives the token another type.
    Type(i32),
}

/// The network.
#[derive(Debug, Default)]
pub struct Atn {
    /// All states.
    pub states: Vec<State>,
    /// Where each rule begins.
    pub starts: Vec<StateId>,
    /// The token each rule of a lexer makes.
    pub rule_tokens: Vec<i32>,
    /// Where each mode of a lexer begins.
    pub modes: Vec<StateId>,
    /// Sets of tokens or characters.
    pub sets: Vec<Set>,
    /// Acts of a lexer's rules.
    pub acts: Vec<Act>,
    /// The largest number of a token.
    pub max_token: i32,
}

/// Kinds of states that matter here.
const LOOP_END: i32 = 12;
const BLOCK_STARTS: std::ops::RangeInclusive<i32> = 3..=5;
const RULE_STOP: i32 = 7;

/// The feature id of ANTLR 4.7 to 4.9, 59627784-3be5-417a-b9eb-8131a7286089, by words from the last: characters beyond the first plane have sets of their
/// own.
const UNICODE_SMP: [i32; 8] = [0x6089, 0xa728, 0x8131, 0xb9eb, 0x417a, 0x3be5, 0x7784, 0x5962];

struct Numbers<'a> {
    words: &'a [u16],
    at: usize,
    version: u32,
}

impl Numbers<'_> {
    fn word(&mut self) -> Result<u16, AtnError> {
        let word = self.words.get(self.at).ok_or(AtnError::Short)?;
        self.at += 1;
        Ok(*word)
    }

    /// A number; in version 3, 0xFFFF stands for "none" only where that is said.
    fn next(&mut self) -> Result<i32, AtnError> {
        let word = self.word()?;
        if self.version == 3 {
            return Ok(i32::from(word.wrapping_sub(2)));
        }
        if word & 0x8000 == 0 {
            return Ok(i32::from(word));
        }
        let low = self.word()?;
        Ok(match (word, low) {
            (0xffff, 0xffff) => -1,
            _ => i32::from(word & 0x7fff) << 16 | i32::from(low),
        })
    }

    fn or_none(&mut self) -> Result<i32, AtnError> {
        let number = self.next()?;
        Ok(if self.version == 3 && number == 0xffff {
            -1
        } else {
            number
        })
    }

    fn index(&mut self) -> Result<usize, AtnError> {
        let number = self.next()?;
        usize::try_from(number).map_err(|_| AtnError::Unknown {
            what: "an index",
            number,
        })
    }

    fn character(&mut self, wide: bool) -> Result<i32, AtnError> {
        if !wide {
            return self.next();
        }
        let low = self.next()?;
        Ok(low | self.next()? << 16)
    }

    fn sets(&mut self, wide: bool, into: &mut Vec<Set>) -> Result<(), AtnError> {
        for _ in 0..self.index()? {
            let ranges = self.index()?;
            let mut set = Set::new();
            if self.next()? != 0 {
                set.push((EOF, EOF));
            }
            for _ in 0..ranges {
                set.push((self.character(wide)?, self.character(wide)?));
            }
            set.sort_unstable();
            into.push(set);
        }
        Ok(())
    }
}

impl Atn {
    /// Decodes tables.
    ///
    /// # Errors
    /// When they are of another version, or damaged.
    pub fn decode(words: &[u16]) -> Result<Atn, AtnError> {
        let version = u32::from(*words.first().ok_or(AtnError::Short)?);
        if !matches!(version, 3 | 4) {
            return Err(AtnError::Version(version));
        }
        let mut from = Numbers { words, at: 1, version };
        if version == 3 {
            for expected in UNICODE_SMP {
                let number = from.next()?;
                if number != expected {
                    return Err(AtnError::Unknown {
                        what: "a feature id with",
                        number,
                    });
                }
            }
        }
        let lexer = from.next()? == 0;
        let mut atn = Atn {
            max_token: from.next()?,
            ..Atn::default()
        };
        for _ in 0..from.index()? {
            let kind = from.next()?;
            let mut state = State::default();
            if kind != 0 {
                state.rule = usize::try_from(from.or_none()?).unwrap_or(usize::MAX);
                state.stop = kind == RULE_STOP;
                // The end of a block or of a loop: what the network needs of it is in its ways.
                if kind == LOOP_END || BLOCK_STARTS.contains(&kind) {
                    from.next()?;
                }
            }
            atn.states.push(state);
        }
        for _ in 0..from.index()? {
            let state = from.index()?;
            atn.state(state)?.non_greedy = true;
        }
        // Rules with precedences: their ways say which.
        for _ in 0..from.index()? {
            from.next()?;
        }
        for _ in 0..from.index()? {
            let start = from.index()?;
            atn.state(start)?;
            atn.starts.push(start);
            if lexer {
                atn.rule_tokens.push(from.or_none()?);
            }
        }
        for _ in 0..from.index()? {
            let start = from.index()?;
            atn.state(start)?;
            atn.modes.push(start);
        }
        from.sets(false, &mut atn.sets)?;
        if version == 3 {
            from.sets(true, &mut atn.sets)?;
        }
        let mut ranges = Ranges::default();
        for (number, set) in atn.sets.iter().enumerate() {
            if let [range] = set[..] {
                ranges.entry(range).or_insert(number);
            }
        }
        for _ in 0..from.index()? {
            let (source, target) = (from.index()?, from.index()?);
            let kind = from.next()?;
            let numbers = [from.next()?, from.next()?, from.next()?];
            let way = atn.way(kind, target, numbers, &mut ranges)?;
            atn.state(target)?;
            atn.state(source)?.ways.push(way);
        }
        for _ in 0..from.index()? {
            from.next()?;
        }
        if lexer {
            for _ in 0..from.index()? {
                let kind = from.next()?;
                let (one, other) = (from.or_none()?, from.or_none()?);
                atn.acts.push(act(kind, one, other)?);
            }
        }
        Ok(atn)
    }

    fn state(&mut self, number: StateId) -> Result<&mut State, AtnError> {
        self.states.get_mut(number).ok_or(AtnError::Unknown {
            what: "the state",
            number: i32::try_from(number).unwrap_or(i32::MAX),
        })
    }

    fn way(
        &mut self,
        kind: i32,
        to: StateId,
        [one, other, third]: [i32; 3],
        ranges: &mut Ranges,
    ) -> Result<Way, AtnError> {
        let index = |number: i32| {
            usize::try_from(number).map_err(|_| AtnError::Unknown {
                what: "an index",
                number,
            })
        };
        // One of the two ends may stand for the end of the input.
        let first = if third != 0 { EOF } else { one };
        let takes = match kind {
            1 => Takes::Nothing,
            2 => self.one_set((first, other), ranges),
            3 => Takes::Rule {
                rule: index(other)?,
                precedence: third,
            },
            4 => Takes::Predicate(index(other)?),
            5 => self.one_set((first, first), ranges),
            6 => Takes::Action(usize::try_from(other).unwrap_or(usize::MAX)),
            7 => Takes::Set(index(one)?),
            8 => Takes::NotSet(index(one)?),
            9 => Takes::Any,
            10 => Takes::Precedence(one),
            number => {
                return Err(AtnError::Unknown {
                    what: "a transition of kind",
                    number,
                });
            }
        };
        match takes {
            Takes::Rule { rule, .. } if rule >= self.starts.len() => Err(AtnError::Unknown {
                what: "the rule",
                number: other,
            }),
            Takes::Set(set) | Takes::NotSet(set) if set >= self.sets.len() => Err(AtnError::Unknown {
                what: "the set",
                number: one,
            }),
            takes => Ok(Way { takes, to }),
        }
    }

    fn one_set(&mut self, range: (i32, i32), ranges: &mut Ranges) -> Takes {
        Takes::Set(*ranges.entry(range).or_insert_with(|| {
            self.sets.push(vec![range]);
            self.sets.len() - 1
        }))
    }

    /// Whether a set has this token or character.
    pub fn has(&self, set: usize, wanted: i32) -> bool {
        let set = &self.sets[set];
        let at = set.partition_point(|(_, last)| *last < wanted);
        set.get(at).is_some_and(|(first, _)| *first <= wanted)
    }
}

fn act(kind: i32, one: i32, other: i32) -> Result<Act, AtnError> {
    let index = |number: i32| {
        usize::try_from(number).map_err(|_| AtnError::Unknown {
            what: "an index",
            number,
        })
    };
    Ok(match kind {
        0 => Act::Channel(one),
        1 => Act::Custom(index(other)?),
        2 => Act::Mode(index(one)?),
        3 => Act::More,
        4 => Act::PopMode,
        5 => Act::PushMode(index(one)?),
        6 => Act::Skip,
        7 => Act::Type(one),
        number => {
            return Err(AtnError::Unknown {
                what: "an act of kind",
                number,
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_is_refused() {
        assert_eq!(Atn::decode(&[]).unwrap_err(), AtnError::Short);
        assert_eq!(Atn::decode(&[5, 0, 0]).unwrap_err(), AtnError::Version(5));
        assert_eq!(Atn::decode(&[4, 1, 10, 3]).unwrap_err(), AtnError::Short);
        // One rule whose start is not a state.
        let wrong = [4, 1, 10, 1, 7, 0, 0, 0, 1, 9, 0, 0, 0, 0];
        assert!(matches!(
            Atn::decode(&wrong),
            Err(AtnError::Unknown {
                what: "the state",
                number: 9
            })
        ));
    }
}
