//! Whether tokens are a sentence of the grammar.
//!
//! ANTLR's parsers choose one way at each decision, with as much of the input as that takes; what they accept is what any way through the network accepts,
//! conditions and precedences included. So all ways are followed at once here (a generalised LL recogniser: stacks are shared as a graph), in time that is
//! linear in the tokens for what people write, and cubic at the worst. Ways that cannot take the next token are not begun.

use std::collections::{HashMap, HashSet};

use crate::atn::{Atn, StateId, Takes};
use crate::class::Ahead;
use crate::lexer::Token;

/// A set of tokens by number; the end is the last bit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tokens(Vec<u64>);

impl Tokens {
    fn new(max: i32) -> Tokens {
        Tokens(vec![0; usize::try_from(max).unwrap_or_default() / 64 + 1])
    }

    /// The end of the input has number -1; 0 is no token of any grammar, so it stands there.
    fn place(kind: i32) -> (usize, u64) {
        let number = usize::try_from(kind).unwrap_or_default();
        (number / 64, 1 << (number % 64))
    }

    fn has(&self, kind: i32) -> bool {
        let (word, bit) = Tokens::place(kind);
        self.0.get(word).is_some_and(|found| found & bit != 0)
    }

    fn add(&mut self, kind: i32) -> bool {
        let (word, bit) = Tokens::place(kind);
        let Some(found) = self.0.get_mut(word) else {
            return false;
        };
        let new = *found & bit == 0;
        *found |= bit;
        new
    }

    fn add_all(&mut self, others: &Tokens) -> bool {
        let mut new = false;
        for (mine, theirs) in self.0.iter_mut().zip(&others.0) {
            new |= *theirs & !*mine != 0;
            *mine |= theirs;
        }
        new
    }
}

/// What may come next, for each state, and what is never taken.
#[derive(Debug, Default)]
pub struct Lookahead {
    first: Vec<Tokens>,
    /// Whether the end of the state's rule can be reached with nothing.
    nullable: Vec<bool>,
    /// Ways whose condition never holds, or that are errors: by state, as the network has them.
    closed: HashSet<(StateId, usize)>,
    /// Rules with a loop that takes as little as it can.
    pub shy: Vec<bool>,
    /// Conditions about a token ahead, by number, and whether they are turned round.
    pub aheads: HashMap<usize, (Ahead, bool)>,
}

impl Lookahead {
    /// Reckons it. `open` says of a way whether it may be taken at all.
    pub fn of(atn: &Atn, open: impl Fn(StateId, &Takes) -> bool) -> Lookahead {
        let mut closed = HashSet::new();
        for (number, state) in atn.states.iter().enumerate() {
            for (index, way) in state.ways.iter().enumerate() {
                if !open(number, &way.takes) {
                    closed.insert((number, index));
                }
            }
        }
        let mut shy = vec![false; atn.starts.len()];
        for state in atn.states.iter().filter(|state| state.non_greedy) {
            if let Some(rule) = shy.get_mut(state.rule) {
                *rule = true;
            }
        }
        let mut first = vec![Tokens::new(atn.max_token + 1); atn.states.len()];
        let mut nullable: Vec<bool> = atn.states.iter().map(|state| state.stop).collect();
        // To a fixed point; states are numbered along the rules, so few rounds from the back are enough.
        loop {
            let mut changed = false;
            for number in (0..atn.states.len()).rev() {
                let mut here = std::mem::replace(&mut first[number], Tokens(Vec::new()));
                let mut empty = nullable[number];
                for (index, way) in atn.states[number].ways.iter().enumerate() {
                    if closed.contains(&(number, index)) {
                        continue;
                    }
                    let mut passes = |target: StateId, here: &mut Tokens| {
                        if target != number {
                            changed |= here.add_all(&first[target]);
                        }
                        nullable[target]
                    };
                    match way.takes {
                        Takes::Set(set) => {
                            for (from, to) in &atn.sets[set] {
                                for kind in *from..=*to {
                                    changed |= here.add(kind);
                                }
                            }
                        }
                        Takes::NotSet(_) | Takes::Any => {
                            // One more stands for a token that is of no type the grammar names.
                            for kind in (1..=atn.max_token + 1).filter(|kind| takes(atn, &way.takes, *kind)) {
                                changed |= here.add(kind);
                            }
                        }
                        Takes::Rule { rule, .. } => {
                            if passes(atn.starts[rule], &mut here) {
                                empty |= passes(way.to, &mut here);
                            }
                        }
                        Takes::Nothing | Takes::Predicate(_) | Takes::Action(_) | Takes::Precedence(_) => {
                            empty |= passes(way.to, &mut here);
                        }
                    }
                }
                changed |= empty != nullable[number];
                nullable[number] = empty;
                first[number] = here;
            }
            if !changed {
                return Lookahead {
                    first,
                    nullable,
                    closed,
                    shy,
                    aheads: HashMap::new(),
                };
            }
        }
    }

    /// Whether a way of a state, by its index, is ever taken.
    pub fn is_open(&self, state: StateId, way: usize) -> bool {
        !self.closed.contains(&(state, way))
    }

    /// Whether something that begins at a state can take the next token, or nothing.
    pub fn may_begin(&self, state: StateId, next: Option<i32>) -> bool {
        self.nullable[state] || next.is_some_and(|next| self.first[state].has(next))
    }

    /// Whether a condition about a token ahead holds; those that are about something else were decided before.
    pub fn holds(&self, condition: usize, at: usize, tokens: &[Token]) -> bool {
        self.aheads.get(&condition).is_none_or(|(ahead, negated)| {
            let token = tokens.get(at + ahead.distance - 1);
            token.is_some_and(|token| ahead.tokens.contains(&token.kind)) != *negated
        })
    }
}

/// Whether a way takes a token.
pub fn takes(atn: &Atn, takes: &Takes, kind: i32) -> bool {
    match takes {
        Takes::Set(set) => atn.has(*set, kind),
        Takes::NotSet(set) => kind > 0 && !atn.has(*set, kind),
        Takes::Any => kind > 0,
        _ => false,
    }
}

/// A rule that was entered somewhere: shared by all that wait for it.
#[derive(Default)]
struct Entered {
    precedence: i32,
    /// Who waits: where they go on, and the rule they are in.
    waiting: Vec<(StateId, usize)>,
    /// Where it ended.
    ended: Vec<usize>,
}

/// Where the rules that were entered on the way ended: by rule, precedence and the token they begin at, the tokens after them.
pub type Ends = HashMap<(usize, i32, usize), Vec<usize>>;

/// Whether the tokens are what this rule takes, all of them; and where the rules on the way ended.
///
/// # Errors
/// The index of the first token that no way takes.
pub fn accepts(atn: &Atn, lookahead: &Lookahead, rule: usize, tokens: &[Token]) -> Result<Ends, usize> {
    let mut entered = vec![Entered::default()];
    let mut by_key: HashMap<(usize, i32, usize), usize> = HashMap::new();
    let mut seen: HashSet<(StateId, usize)> = HashSet::new();
    let mut now: Vec<(StateId, usize)> = vec![(atn.starts[rule], 0)];
    let mut next: Vec<(StateId, usize)> = Vec::new();
    let mut at = 0;
    loop {
        let token = tokens.get(at).map(|token| token.kind);
        seen.clear();
        while let Some((state, inside)) = now.pop() {
            if !lookahead.may_begin(state, token) || !seen.insert((state, inside)) {
                continue;
            }
            if atn.states[state].stop {
                if inside == 0 {
                    if at == tokens.len() {
                        let ends = by_key
                            .into_iter()
                            .map(|(key, number)| (key, std::mem::take(&mut entered[number].ended)));
                        return Ok(ends.collect());
                    }
                    continue;
                }
                entered[inside].ended.push(at);
                now.extend(entered[inside].waiting.iter().copied());
                continue;
            }
            for (index, way) in atn.states[state].ways.iter().enumerate() {
                if lookahead.closed.contains(&(state, index)) {
                    continue;
                }
                match way.takes {
                    Takes::Set(_) | Takes::NotSet(_) | Takes::Any => {
                        if token.is_some_and(|kind| takes(atn, &way.takes, kind)) {
                            next.push((way.to, inside));
                        }
                    }
                    Takes::Rule { rule, precedence } => {
                        let start = atn.starts[rule];
                        if !lookahead.may_begin(start, token) {
                            continue;
                        }
                        let number = *by_key.entry((rule, precedence, at)).or_insert_with(|| {
                            entered.push(Entered {
                                precedence,
                                ..Entered::default()
                            });
                            now.push((start, entered.len() - 1));
                            entered.len() - 1
                        });
                        let callee = &mut entered[number];
                        if !callee.waiting.contains(&(way.to, inside)) {
                            callee.waiting.push((way.to, inside));
                            // It may have ended here already, with nothing.
                            if callee.ended.contains(&at) {
                                now.push((way.to, inside));
                            }
                        }
                    }
                    Takes::Precedence(least) => {
                        if least >= entered[inside].precedence {
                            now.push((way.to, inside));
                        }
                    }
                    Takes::Predicate(number) => {
                        if lookahead.holds(number, at, tokens) {
                            now.push((way.to, inside));
                        }
                    }
                    Takes::Nothing | Takes::Action(_) => now.push((way.to, inside)),
                }
            }
        }
        if next.is_empty() {
            return Err(at.min(tokens.len().saturating_sub(1)));
        }
        std::mem::swap(&mut now, &mut next);
        at += 1;
    }
}
