//! Statements a grammar takes, drawn at random: for tests of this room against the real parser.

use crate::atn::{Atn, StateId, Takes, Way};
use crate::moves::Network;

/// Numbers below a bound, from a seed: xorshift.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound.max(1)
    }
}

/// Draws sentences of a network.
pub struct Walker<'a> {
    atn: &'a Atn,
    open: Box<dyn Fn(StateId, usize) -> bool + 'a>,
    /// The fewest symbols from a state to the end of its rule.
    least: Vec<u32>,
}

/// More than any sentence has.
const FAR: u32 = u32::MAX / 4;

impl<'a> Walker<'a> {
    /// Over a parser's network, without the ways that are closed.
    pub fn of_parser(network: &'a Network) -> Walker<'a> {
        Walker::new(network.atn(), Box::new(|state, way| network.is_open(state, way)))
    }

    /// Over a lexer's network.
    pub fn of_lexer(atn: &'a Atn) -> Walker<'a> {
        Walker::new(atn, Box::new(|_, _| true))
    }

    fn new(atn: &'a Atn, open: Box<dyn Fn(StateId, usize) -> bool + 'a>) -> Walker<'a> {
        let mut walker = Walker {
            atn,
            open,
            least: atn
                .states
                .iter()
                .map(|state| if state.stop { 0 } else { FAR })
                .collect(),
        };
        loop {
            let mut changed = false;
            for state in (0..atn.states.len()).rev() {
                let ways = atn.states[state].ways.iter().enumerate();
                let least = ways
                    .filter(|(index, _)| (walker.open)(state, *index))
                    .map(|(_, way)| walker.cost(way))
                    .min();
                if least.is_some_and(|least| least < walker.least[state]) {
                    walker.least[state] = least.unwrap_or(FAR);
                    changed = true;
                }
            }
            if !changed {
                return walker;
            }
        }
    }

    fn cost(&self, way: &Way) -> u32 {
        let own = match way.takes {
            Takes::Set(_) | Takes::NotSet(_) | Takes::Any => 1,
            // A rule costs a little by itself, so that recursion ends.
            Takes::Rule { rule, .. } => self.least[self.atn.starts[rule]] + 1,
            _ => 0,
        };
        (own + self.least[way.to]).min(FAR)
    }

    /// A sentence of a rule: sets of symbols, of which one each is to be taken. `budget` is about how many symbols before it hurries to the end.
    pub fn sentence(&self, rule: usize, budget: usize, random: &mut Random) -> Vec<i32> {
        let mut symbols = Vec::new();
        self.walk(self.atn.starts[rule], 0, budget, &mut symbols, random);
        symbols
    }

    fn walk(&self, start: StateId, precedence: i32, budget: usize, symbols: &mut Vec<i32>, random: &mut Random) {
        let mut state = start;
        while !self.atn.states[state].stop {
            let ways: Vec<&Way> = self.atn.states[state]
                .ways
                .iter()
                .enumerate()
                .filter(|(index, way)| (self.open)(state, *index) && self.cost(way) < FAR)
                .filter(|(_, way)| !matches!(way.takes, Takes::Precedence(least) if least < precedence))
                .map(|(_, way)| way)
                .collect();
            let hurry = symbols.len() >= budget;
            let chosen = match hurry {
                true => ways.iter().min_by_key(|way| self.cost(way)).copied(),
                false => ways.get(random.below(ways.len())).copied(),
            };
            let Some(way) = chosen else { return };
            match &way.takes {
                Takes::Set(set) => {
                    let ranges = &self.atn.sets[*set];
                    let (first, last) = ranges[random.below(ranges.len())];
                    symbols.push(first + i32::try_from(random.below((last - first + 1).max(1) as usize)).unwrap_or(0));
                }
                Takes::NotSet(_) | Takes::Any => {
                    let seen = |symbol: &i32| match way.takes {
                        Takes::NotSet(set) => !self.atn.has(set, *symbol),
                        _ => true,
                    };
                    let letters = (0..26)
                        .map(|n| i32::from(b'A') + n)
                        .cycle()
                        .skip(random.below(26))
                        .take(26);
                    symbols.extend(letters.into_iter().find(seen));
                }
                Takes::Rule { rule, precedence } => {
                    self.walk(self.atn.starts[*rule], *precedence, budget, symbols, random);
                }
                _ => {}
            }
            state = way.to;
        }
    }
}
