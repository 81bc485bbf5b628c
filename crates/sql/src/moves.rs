//! The parser's network as it is walked: what each state can do with a token ahead.
//!
//! Most of a network's ways take nothing. What lies behind them depends on the state and on the next token alone, so it is followed once for each pair
//! that occurs, and kept for all texts of a run.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;

use crate::atn::{Atn, EOF, Takes};
use crate::class::Ahead;
use crate::lexer::Token;

/// A state, by its number.
pub type StateId = u32;

/// A rule as it is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub rule: usize,
    /// The least precedence of its operators.
    pub precedence: i32,
    /// Where it begins.
    pub start: StateId,
}

/// What can be done at a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The token is taken.
    Token {
        /// Where that leads.
        to: StateId,
    },
    /// A rule is entered.
    Call {
        /// Which, by its number in [`Network::calls`].
        call: u32,
        /// Where it goes on after it.
        to: StateId,
    },
    /// The rule ends.
    End,
    /// It goes on where the rule was entered for this precedence or less.
    Precedence {
        /// The precedence.
        least: i32,
        /// Where.
        to: StateId,
    },
    /// It goes on where a condition holds.
    Condition {
        /// Which.
        number: u32,
        /// Where.
        to: StateId,
    },
}

/// A network, and what may come next at each of its states.
#[derive(Debug, Default)]
pub struct Network {
    atn: Atn,
    /// For each state a bit for each column: whether something that begins there can take that token, or nothing.
    may: Vec<u64>,
    /// Words of a state in `may`.
    stride: usize,
    /// For each way of each state, whether its condition never holds, or it is an error.
    closed: Vec<bool>,
    /// Where the ways of a state begin in `closed`.
    ways: Vec<usize>,
    /// All the ways in which a rule is entered.
    pub calls: Vec<Call>,
    /// The call that a way makes, in the order of `closed`.
    call_of: Vec<u32>,
    /// Rules with a loop that takes as little as it can.
    shy: Vec<bool>,
    /// Conditions about a token ahead, by number, and whether they are turned round.
    aheads: HashMap<usize, (Ahead, bool)>,
}

impl Network {
    /// Reckons it. `open` says of a way whether it may be taken at all; conditions that are not in `aheads` are taken to hold.
    pub fn of(atn: Atn, aheads: HashMap<usize, (Ahead, bool)>, open: impl Fn(usize, &Takes) -> bool) -> Network {
        let (mut ways, mut closed, mut call_of, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut known: HashMap<(usize, i32), u32> = HashMap::new();
        for (number, state) in atn.states.iter().enumerate() {
            ways.push(closed.len());
            for way in &state.ways {
                closed.push(!open(number, &way.takes));
                call_of.push(match way.takes {
                    Takes::Rule { rule, precedence } => *known.entry((rule, precedence)).or_insert_with(|| {
                        calls.push(Call {
                            rule,
                            precedence,
                            start: narrow(atn.starts[rule]),
                        });
                        narrow(calls.len() - 1)
                    }),
                    _ => u32::MAX,
                });
            }
        }
        let mut shy = vec![false; atn.starts.len()];
        for state in atn.states.iter().filter(|state| state.non_greedy) {
            if let Some(rule) = shy.get_mut(state.rule) {
                *rule = true;
            }
        }
        let mut network = Network {
            atn,
            may: Vec::new(),
            stride: 0,
            closed,
            ways,
            calls,
            call_of,
            shy,
            aheads,
        };
        network.reckon();
        network
    }

    /// What may come next, to a fixed point; states are numbered along the rules, so few rounds from the back are enough.
    fn reckon(&mut self) {
        let atn = &self.atn;
        let columns = columns(atn);
        let stride = columns.div_ceil(64);
        let row = |state: usize| state * stride..(state + 1) * stride;
        let mut first = vec![0_u64; atn.states.len() * stride];
        let mut nullable: Vec<bool> = atn.states.iter().map(|state| state.stop).collect();
        // Tokens are put in once; the rounds only pass them on.
        for (number, state) in atn.states.iter().enumerate() {
            let row = &mut first[row(number)];
            let mut add = |kind: i32| {
                let column = column(atn, kind);
                row[column / 64] |= 1 << (column % 64);
            };
            for (index, way) in state.ways.iter().enumerate() {
                match way.takes {
                    _ if self.closed[self.ways[number] + index] => {}
                    Takes::Set(set) => atn.sets[set]
                        .iter()
                        .for_each(|(from, to)| (*from..=*to).for_each(&mut add)),
                    // One more stands for a token that is of no type the grammar names.
                    Takes::NotSet(_) | Takes::Any => (1..=atn.max_token + 1)
                        .filter(|kind| takes(atn, &way.takes, *kind))
                        .for_each(&mut add),
                    _ => {}
                }
            }
        }
        // When a state's tokens last changed, and when they were last computed.
        let (mut now, mut changed, mut reckoned) =
            (1_u32, vec![1_u32; atn.states.len()], vec![0_u32; atn.states.len()]);
        let (mut last_round, mut here) = (0, vec![0_u64; stride]);
        while now > std::mem::replace(&mut last_round, now) {
            for number in (0..atn.states.len()).rev() {
                let (since, mut empty) = (reckoned[number], nullable[number]);
                here.copy_from_slice(&first[row(number)]);
                for (index, way) in atn.states[number].ways.iter().enumerate() {
                    if self.closed[self.ways[number] + index] {
                        continue;
                    }
                    let mut passes = |target: usize, since: u32| {
                        if changed[target] > since {
                            here.iter_mut()
                                .zip(&first[row(target)])
                                .for_each(|(mine, theirs)| *mine |= theirs);
                        }
                        nullable[target]
                    };
                    empty |= match way.takes {
                        Takes::Set(_) | Takes::NotSet(_) | Takes::Any => false,
                        Takes::Rule { rule, .. } => {
                            let start = atn.starts[rule];
                            // It may only now have become one that can be left with nothing.
                            let rest = if changed[start] > since { 0 } else { since };
                            passes(start, since) && passes(way.to, rest)
                        }
                        Takes::Nothing | Takes::Predicate(_) | Takes::Action(_) | Takes::Precedence(_) => {
                            passes(way.to, since)
                        }
                    };
                }
                reckoned[number] = now;
                if empty != nullable[number] || here != first[row(number)] {
                    first[row(number)].copy_from_slice(&here);
                    nullable[number] = empty;
                    now += 1;
                    changed[number] = now;
                }
            }
        }
        for (state, _) in nullable.iter().enumerate().filter(|(_, nullable)| **nullable) {
            first[row(state)].fill(u64::MAX);
        }
        (self.may, self.stride) = (first, stride);
    }

    /// The network as it was read.
    pub fn atn(&self) -> &Atn {
        &self.atn
    }

    /// Where a rule begins.
    pub fn start(&self, rule: usize) -> StateId {
        narrow(self.atn.starts[rule])
    }

    /// Whether a loop of a rule takes as little as it can.
    pub fn is_shy(&self, rule: usize) -> bool {
        self.shy.get(rule) == Some(&true)
    }

    /// Whether a way of a state, by its index, is ever taken.
    pub fn is_open(&self, state: usize, way: usize) -> bool {
        !self.closed[self.ways[state] + way]
    }

    /// The column of a token; of none, one that only what can be left with nothing may take.
    pub fn column(&self, token: Option<&Token>) -> usize {
        token.map_or(columns(&self.atn) - 1, |token| column(&self.atn, token.kind))
    }

    /// Whether something that begins at a state can take this token, or nothing.
    pub fn may(&self, state: StateId, column: usize) -> bool {
        self.may[state as usize * self.stride + column / 64] & 1 << (column % 64) != 0
    }

    /// Whether a condition about a token ahead holds; those that are about something else were decided before.
    pub fn holds(&self, condition: u32, at: usize, tokens: &[Token]) -> bool {
        self.aheads.get(&(condition as usize)).is_none_or(|(ahead, negated)| {
            let token = (at + ahead.distance).checked_sub(1).and_then(|at| tokens.get(at));
            token.is_some_and(|token| ahead.tokens.contains(&token.kind)) != *negated
        })
    }
}

/// One column for the end of the input, one for each kind of token, one for those of no kind the grammar names, one for no token at all.
fn columns(atn: &Atn) -> usize {
    usize::try_from(atn.max_token).unwrap_or_default() + 3
}

/// The end of the input has number -1; 0 is not a token of any grammar, so it stands there.
fn column(atn: &Atn, kind: i32) -> usize {
    usize::try_from(kind.min(atn.max_token + 1)).unwrap_or_default()
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether a way takes a token.
fn takes(atn: &Atn, takes: &Takes, kind: i32) -> bool {
    match takes {
        Takes::Set(set) => atn.has(*set, kind),
        Takes::NotSet(set) => kind > 0 && !atn.has(*set, kind),
        Takes::Any => kind > 0,
        _ => false,
    }
}

/// What is known so far of what states can do.
#[derive(Debug, Default)]
pub struct Moves {
    known: HashMap<u64, (u32, u32), FixedState>,
    /// All moves: those of one state with one token stand together, in the order of the grammar's alternatives.
    pub list: Vec<Move>,
    /// The last walk that came by a state.
    walked: Vec<u32>,
    walk: u32,
    /// States on the way, and the way of each that is next.
    waiting: Vec<(usize, usize)>,
}

/// Moves that are kept; a run over what people write knows some ten thousand.
const MOST: usize = 4 << 20;

impl Moves {
    /// What a state can do with a token, as a range of the list; nothing where it cannot take it.
    pub fn of(&mut self, network: &Network, state: StateId, column: usize) -> Range<usize> {
        let key = u64::from(state) << 32 | column as u64;
        if let Some((from, to)) = self.known.get(&key) {
            return *from as usize..*to as usize;
        }
        let from = self.list.len();
        self.follow(network, state as usize, column);
        self.known.insert(key, (narrow(from), narrow(self.list.len())));
        from..self.list.len()
    }

    /// Between two texts: forgets what is known when it grew too large.
    pub fn trim(&mut self) {
        if self.list.len() > MOST {
            *self = Moves::default();
        }
    }

    /// Follows what takes nothing, the first alternatives first.
    fn follow(&mut self, network: &Network, state: usize, column: usize) {
        let atn = &network.atn;
        if self.walk == u32::MAX || self.walked.is_empty() {
            (self.walked, self.walk) = (vec![0; atn.states.len()], 0);
        }
        self.walk += 1;
        self.come_by(network, state, column);
        while let Some((state, index)) = self.waiting.pop() {
            let Some(way) = atn.states[state].ways.get(index) else {
                continue;
            };
            self.waiting.push((state, index + 1));
            let place = network.ways[state] + index;
            let to = narrow(way.to);
            let can = |state| network.may(state, column);
            match way.takes {
                _ if network.closed[place] => {}
                Takes::Set(_) | Takes::NotSet(_) | Takes::Any => {
                    if takes_column(atn, &way.takes, column) {
                        self.list.push(Move::Token { to });
                    }
                }
                Takes::Rule { .. } => {
                    let call = network.call_of[place];
                    if can(network.calls[call as usize].start) {
                        self.list.push(Move::Call { call, to });
                    }
                }
                Takes::Precedence(least) if can(to) => self.list.push(Move::Precedence { least, to }),
                Takes::Predicate(number) if can(to) => {
                    let number = narrow(number);
                    self.list.push(Move::Condition { number, to });
                }
                Takes::Precedence(_) | Takes::Predicate(_) => {}
                Takes::Nothing | Takes::Action(_) => self.come_by(network, way.to, column),
            }
        }
    }

    fn come_by(&mut self, network: &Network, state: usize, column: usize) {
        if !network.may(narrow(state), column) || std::mem::replace(&mut self.walked[state], self.walk) == self.walk {
            return;
        }
        if network.atn.states[state].stop {
            self.list.push(Move::End);
        } else {
            self.waiting.push((state, 0));
        }
    }
}

/// Whether a way takes the token of a column.
fn takes_column(atn: &Atn, way: &Takes, column: usize) -> bool {
    let kind = if column == 0 {
        EOF
    } else {
        i32::try_from(column).unwrap_or(0)
    };
    column + 1 < columns(atn) && takes(atn, way, kind)
}
