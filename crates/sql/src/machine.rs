//! The lexer's network as it is walked: a deterministic machine that is made on the way.
//!
//! All ways through the network are followed at once, as a set of configurations. Which set comes after which depends on the next character, and where a
//! condition is asked on its answer; so each set is a state of the machine, and where it leads is kept for all texts of a run.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use crate::atn::{Atn, EOF, StateId, Takes};
use crate::lexer::{LexerError, Looks};

/// One way through the network: where it is, and what matters of how it came there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Config {
    state: u32,
    /// The token rule, as the alternative of the mode.
    alternative: u32,
    /// Rules that called the one it is in, by number.
    stack: u32,
    /// The actions on the way, which are the token's, by number.
    acts: u32,
    /// Whether the way led through a loop that takes as little as possible.
    lazy: bool,
}

/// A rule that was called: where it goes on, and the stack below.
type Frame = (StateId, u32);

/// No stack, and no actions.
const EMPTY: u32 = 0;

/// What is matched at a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The token rule.
    pub rule: usize,
    /// Its actions, for [`Machine::acts`].
    acts: u32,
}

#[derive(Debug)]
struct State {
    configs: Box<[Config]>,
    /// That which is before a token, in this mode.
    mode: Option<usize>,
    accepted: Option<Accepted>,
    /// By character of ASCII: the state after it, or one of the words below.
    next: Box<[u32; ASCII]>,
}

/// Characters that have a place of their own.
const ASCII: usize = 128;
/// Not known yet.
const UNKNOWN: u32 = u32::MAX;
/// A condition is asked.
const ASKS: u32 = u32::MAX - 1;
/// Nothing can be matched any more.
const NOWHERE: u32 = u32::MAX - 2;
/// The state that is not kept: there are too many of its kind, as in comments in comments in comments.
const FLEETING: u32 = 0;
/// Configurations of a state that is kept.
const MOST_CONFIGS: usize = 256;
/// States that are kept; what people write needs some thousands.
const MOST_STATES: usize = 1 << 15;

#[derive(Debug, Default)]
pub struct Machine {
    states: Vec<State>,
    numbers: HashMap<Box<[Config]>, u32, FixedState>,
    /// By mode, the state before a token.
    modes: Vec<u32>,
    /// Stacks by number.
    stacks: Vec<Frame>,
    stack_numbers: HashMap<Frame, u32, FixedState>,
    /// Lists of actions by number.
    acts: Vec<Vec<usize>>,
    /// Where a set of the network begins or ends, beyond ASCII: no set tells the characters between two of them apart.
    bounds: Vec<i32>,
    /// The state after another and a character beyond ASCII, by its place among the bounds.
    wide: HashMap<(u32, usize), u32, FixedState>,
    /// The state after another, a character, and the answers to all conditions.
    asked: HashMap<(u32, usize, u64), u32, FixedState>,
    /// Configurations made so far.
    pub made: u64,
}

/// What is found while the next state is made.
struct Making<'l, L> {
    lexer: &'l L,
    atn: &'l Atn,
    /// Where the text is looked at by conditions.
    at: usize,
    asked: bool,
    into: Vec<Config>,
    /// The same, when they are too many to look through.
    many: HashSet<Config, FixedState>,
}

impl Machine {
    /// Between two texts: forgets what is known when it grew too large.
    pub fn trim(&mut self) {
        if self.states.len() >= MOST_STATES || self.stacks.len() >= MOST_STATES {
            *self = Machine {
                made: self.made,
                ..Machine::default()
            };
        }
    }

    /// The state before a token.
    ///
    /// # Errors
    /// When there is no such mode.
    pub fn start(&mut self, lexer: &impl Looks, mode: usize) -> Result<u32, LexerError> {
        if self.states.is_empty() {
            self.begin(lexer.atn());
        }
        let unknown = || LexerError::Unknown(format!("mode {mode}"));
        self.modes.get(mode).copied().ok_or_else(unknown)
    }

    fn begin(&mut self, atn: &Atn) {
        self.stacks.push((0, EMPTY));
        self.acts.push(Vec::new());
        let bounds = atn.sets.iter().flatten().flat_map(|(first, last)| [*first, *last + 1]);
        self.bounds = bounds.filter(|bound| *bound > ASCII as i32).collect();
        self.bounds.sort_unstable();
        self.bounds.dedup();
        self.states.push(State::new(Box::default(), None, None));
        for mode in 0..atn.modes.len() {
            self.modes.push(number(self.states.len()));
            self.states.push(State::new(Box::default(), Some(mode), None));
        }
    }

    /// What is matched at a state.
    pub fn accepted(&self, state: u32) -> Option<Accepted> {
        self.states[state as usize].accepted
    }

    /// The actions of what was matched.
    pub fn acts(&self, accepted: Accepted) -> &[usize] {
        &self.acts[accepted.acts as usize]
    }

    /// The state after a character; `None` where nothing can be matched any more. Conditions look at the text from `at` on.
    ///
    /// # Errors
    /// When a condition is not known.
    pub fn after(&mut self, lexer: &impl Looks, state: u32, symbol: i32, at: usize) -> Result<Option<u32>, LexerError> {
        let place = match usize::try_from(symbol) {
            Ok(place) if place < ASCII => place,
            Ok(_) => ASCII + 1 + self.bounds.partition_point(|bound| *bound <= symbol),
            Err(_) => ASCII,
        };
        let known = match self.states[state as usize].next.get(place) {
            Some(known) => *known,
            None => self.wide.get(&(state, place)).copied().unwrap_or(UNKNOWN),
        };
        let next = match known {
            UNKNOWN => self.make(lexer, state, symbol, place, at)?,
            ASKS => {
                let key = lexer.answers(at).map(|answers| (state, place, answers));
                match key.and_then(|key| self.asked.get(&key)) {
                    Some(next) => *next,
                    None => self.make(lexer, state, symbol, place, at)?,
                }
            }
            next => next,
        };
        Ok((next != NOWHERE).then_some(next))
    }

    /// Makes the state after a character.
    fn make(
        &mut self,
        lexer: &impl Looks,
        state: u32,
        symbol: i32,
        place: usize,
        at: usize,
    ) -> Result<u32, LexerError> {
        let mut making = Making {
            lexer,
            atn: lexer.atn(),
            at,
            asked: false,
            into: Vec::new(),
            many: HashSet::default(),
        };
        match self.states[state as usize].mode {
            Some(mode) => self.first(mode, symbol, &mut making)?,
            None => self.step(state, symbol, &mut making)?,
        }
        let Making { asked, into, atn, .. } = making;
        self.made += into.len() as u64;
        let next = self.state(atn, into);
        if state == FLEETING || next == FLEETING {
            return Ok(next);
        }
        let kept = if asked { ASKS } else { next };
        match self.states[state as usize].next.get_mut(place) {
            Some(known) => *known = kept,
            None => {
                self.wide.insert((state, place), kept);
            }
        }
        if let Some(answers) = lexer.answers(at).filter(|_| asked) {
            self.asked.insert((state, place, answers), next);
        }
        Ok(next)
    }

    /// The state of these configurations.
    fn state(&mut self, atn: &Atn, configs: Vec<Config>) -> u32 {
        if configs.is_empty() {
            return NOWHERE;
        }
        let configs = configs.into_boxed_slice();
        let many = configs.len() > MOST_CONFIGS;
        if let Some(known) = self.numbers.get(&configs).filter(|_| !many) {
            return *known;
        }
        let stops = configs.iter().find(|config| atn.states[config.state as usize].stop);
        let accepted = stops.map(|config| Accepted {
            rule: atn.states[config.state as usize].rule,
            acts: config.acts,
        });
        if many || self.states.len() >= MOST_STATES {
            self.states[FLEETING as usize] = State::new(configs, None, accepted);
            return FLEETING;
        }
        let next = number(self.states.len());
        self.numbers.insert(configs.clone(), next);
        self.states.push(State::new(configs, None, accepted));
        next
    }

    /// What a token may begin with, with this character ahead.
    fn first<L: Looks>(&mut self, mode: usize, symbol: i32, making: &mut Making<'_, L>) -> Result<(), LexerError> {
        let start = making.atn.modes[mode];
        for alternative in making.lexer.beginnings(mode, symbol) {
            let config = Config {
                state: number(making.atn.states[start].ways[*alternative].to),
                alternative: number(*alternative),
                stack: EMPTY,
                acts: EMPTY,
                lazy: false,
            };
            self.close(config, false, making)?;
        }
        Ok(())
    }

    /// What a state becomes with a character.
    fn step<L: Looks>(&mut self, state: u32, symbol: i32, making: &mut Making<'_, L>) -> Result<(), LexerError> {
        let configs = self.states[state as usize].configs.clone();
        let mut skipped = None;
        for config in configs {
            if skipped == Some(config.alternative) && config.lazy {
                continue;
            }
            let ways = &making.atn.states[config.state as usize].ways;
            for way in ways.iter().filter(|way| takes(making.atn, &way.takes, symbol)) {
                let further = Config {
                    state: number(way.to),
                    ..config
                };
                if self.close(further, skipped == Some(config.alternative), making)? {
                    skipped = Some(config.alternative);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Follows what takes nothing; whether the token's rule ended on the way.
    fn close<L: Looks>(&mut self, config: Config, ended: bool, making: &mut Making<'_, L>) -> Result<bool, LexerError> {
        let atn = making.atn;
        let mut config = config;
        while atn.states[config.state as usize].stop {
            if config.stack == EMPTY {
                making.add(config);
                return Ok(true);
            }
            let (back, below) = self.stacks[config.stack as usize];
            (config.state, config.stack) = (number(back), below);
        }
        let state = &atn.states[config.state as usize];
        let consumes = |takes: &Takes| matches!(takes, Takes::Set(_) | Takes::NotSet(_) | Takes::Any);
        if state.ways.iter().any(|way| consumes(&way.takes)) && !(ended && config.lazy) {
            making.add(config);
        }
        let mut ended = ended;
        for way in &state.ways {
            let mut next = Config {
                state: number(way.to),
                lazy: config.lazy || state.non_greedy,
                ..config
            };
            match way.takes {
                Takes::Set(_) | Takes::NotSet(_) | Takes::Any => continue,
                Takes::Nothing | Takes::Precedence(_) => {}
                Takes::Rule { rule, .. } => {
                    next.stack = self.stack((way.to, config.stack));
                    next.state = number(atn.starts[rule]);
                }
                Takes::Predicate(number) => {
                    making.asked = true;
                    if !making.lexer.holds(number, making.at)? {
                        continue;
                    }
                }
                // Only those of the token's own rule are done.
                Takes::Action(number) => {
                    if config.stack == EMPTY {
                        next.acts = self.with_act(config.acts, number);
                    }
                }
            }
            ended = self.close(next, ended, making)?;
        }
        Ok(ended)
    }

    fn stack(&mut self, frame: Frame) -> u32 {
        let stacks = &mut self.stacks;
        *self.stack_numbers.entry(frame).or_insert_with(|| {
            stacks.push(frame);
            number(stacks.len() - 1)
        })
    }

    fn with_act(&mut self, acts: u32, act: usize) -> u32 {
        let with: Vec<usize> = self.acts[acts as usize].iter().copied().chain([act]).collect();
        let known = self.acts.iter().position(|known| *known == with);
        number(known.unwrap_or_else(|| {
            self.acts.push(with);
            self.acts.len() - 1
        }))
    }
}

impl<L> Making<'_, L> {
    /// Adds a configuration unless it is there already. Those of one alternative stand together.
    fn add(&mut self, config: Config) {
        if self.many.is_empty() {
            let same = self.into.iter().rev();
            let mut same = same.take_while(|known| known.alternative == config.alternative);
            if same.any(|known| *known == config) {
                return;
            }
            if self.into.len() >= MOST_CONFIGS {
                self.many.extend(self.into.iter().copied());
            }
        }
        if self.many.is_empty() || self.many.insert(config) {
            self.into.push(config);
        }
    }
}

impl State {
    fn new(configs: Box<[Config]>, mode: Option<usize>, accepted: Option<Accepted>) -> State {
        State {
            configs,
            mode,
            accepted,
            next: Box::new([UNKNOWN; ASCII]),
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn takes(atn: &Atn, takes: &Takes, next: i32) -> bool {
    match takes {
        Takes::Set(set) => atn.has(*set, next),
        Takes::NotSet(set) => next != EOF && !atn.has(*set, next),
        Takes::Any => next != EOF,
        _ => false,
    }
}
