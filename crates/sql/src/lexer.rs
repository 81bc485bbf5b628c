//! From text to tokens.
//!
//! The rules of ANTLR's lexers: the longest match wins, of those as long the one that stands first in the grammar; loops that are not greedy end as soon
//! as their rule can. Spark folds letters to upper case for the match alone (`UpperCaseCharStream`).

use std::rc::Rc;

use crate::atn::{Act, Atn, EOF, StateId, Takes};
use crate::class::Predicate;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Its type; [`EOF`] for the end.
    pub kind: i32,
    /// Where it begins, in characters.
    pub from: usize,
    /// Where it ends, in characters.
    pub to: usize,
}

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LexerError {
    /// No token begins with what stands here (a character's index).
    Nothing(usize),
    /// A comment begins here and does not end.
    UnclosedComment(usize),
    /// A condition or action of the grammar that this room does not know.
    Unknown(String),
}

/// With what tokens may begin, for each mode: its alternatives by the first character, the last for all beyond ASCII and for the end.
#[derive(Debug, Default)]
pub struct Beginnings(Vec<Vec<Vec<usize>>>);

/// Characters that have a list of their own.
const ASCII: usize = 128;

impl Beginnings {
    /// Reckons them.
    pub fn of(atn: &Atn) -> Beginnings {
        let mode = |start: &StateId| {
            let mut lists = vec![Vec::new(); ASCII + 1];
            for (alternative, way) in atn.states[*start].ways.iter().enumerate() {
                let (mut first, mut seen) = (vec![false; ASCII + 1], vec![false; atn.states.len()]);
                // A rule that can be left with nothing goes on where it was called; which that is does not matter: what can follow any call is added.
                begin(atn, way.to, &mut seen, &mut first);
                for (list, may) in lists.iter_mut().zip(first) {
                    if may {
                        list.push(alternative);
                    }
                }
            }
            lists
        };
        Beginnings(atn.modes.iter().map(mode).collect())
    }

    fn at(&self, mode: usize, next: i32) -> &[usize] {
        let index = usize::try_from(next).unwrap_or(ASCII).min(ASCII);
        self.0
            .get(mode)
            .and_then(|lists| lists.get(index))
            .map_or(&[], Vec::as_slice)
    }
}

/// Marks the characters with which something may begin at a state; whether its rule can be left with nothing.
fn begin(atn: &Atn, state: StateId, seen: &mut [bool], first: &mut [bool]) -> bool {
    if atn.states[state].stop {
        return true;
    }
    if std::mem::replace(&mut seen[state], true) {
        return false;
    }
    let mut empty = false;
    for way in &atn.states[state].ways {
        empty |= match &way.takes {
            Takes::Set(set) => {
                for (from, to) in &atn.sets[*set] {
                    for c in (*from).max(0)..=(*to).min(ASCII as i32 - 1) {
                        first[c as usize] = true;
                    }
                    first[ASCII] |= *to >= ASCII as i32 || *from == EOF;
                }
                false
            }
            Takes::NotSet(_) | Takes::Any => {
                first.fill(true);
                false
            }
            Takes::Rule { rule, .. } => {
                // A rule that was looked at already is taken as one that may be empty: that only adds.
                let start = atn.starts[*rule];
                (seen[start] || begin(atn, start, seen, first)) && begin(atn, way.to, seen, first)
            }
            _ => begin(atn, way.to, seen, first),
        };
    }
    empty
}

/// What a lexer has besides its network.
pub struct Rules<'a> {
    /// With what its tokens begin.
    pub beginnings: &'a Beginnings,
    /// The network.
    pub atn: &'a Atn,
    /// Its conditions by number.
    pub predicates: &'a [Option<Predicate>],
    /// Its custom actions by number: what they use.
    pub actions: &'a [Option<String>],
}

/// Rules that called the one a configuration is in: where each goes on.
type Stack = Option<Rc<Frame>>;

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    back: StateId,
    below: Stack,
}

#[derive(Debug, Clone)]
struct Config {
    state: StateId,
    /// The token rule, as the alternative of the mode.
    alternative: usize,
    stack: Stack,
    /// The last action on the way, which is the token's.
    acts: Rc<[usize]>,
    /// Whether the way led through a loop that takes as little as possible.
    lazy: bool,
}

/// What Spark's lexers remember between tokens.
#[derive(Default)]
struct Memory {
    /// `complex_type_level_counter`: how many `ARRAY`, `MAP` and `STRUCT` wait for their `>`.
    complex: u32,
    /// Where a comment began that does not end.
    unclosed: Option<usize>,
    /// Tags of dollar-quoted strings.
    tags: Vec<String>,
}

struct Lexer<'a> {
    rules: &'a Rules<'a>,
    text: &'a [char],
    folded: Vec<i32>,
    memory: Memory,
    /// Where the token begins.
    begin: usize,
}

/// All tokens but those the parser does not see; the last is the end.
///
/// # Errors
/// Where no token begins, or a comment does not end.
pub fn tokens(rules: &Rules<'_>, text: &[char]) -> Result<Vec<Token>, LexerError> {
    let mut lexer = Lexer {
        rules,
        text,
        folded: text.iter().map(|c| folded(*c)).collect(),
        memory: Memory::default(),
        begin: 0,
    };
    let mut tokens = Vec::new();
    let mut modes = vec![0];
    let (mut at, mut more) = (0, false);
    while at < text.len() {
        if !more {
            lexer.begin = at;
        }
        let mode = *modes.last().unwrap_or(&0);
        let (rule, end, acts) = lexer.longest(mode, at)?;
        more = false;
        let made = rules.atn.rule_tokens.get(rule).copied();
        let (mut kind, mut seen) = (made.ok_or_else(|| LexerError::Unknown(format!("rule {rule}")))?, true);
        for act in acts.iter() {
            match *rules
                .atn
                .acts
                .get(*act)
                .ok_or_else(|| LexerError::Unknown(format!("action {act}")))?
            {
                Act::Channel(channel) => seen = channel == 0,
                Act::Custom(number) => lexer.act(number, end)?,
                Act::Mode(mode) => {
                    modes.pop();
                    modes.push(mode);
                }
                Act::More => more = true,
                Act::PopMode => {
                    modes.pop();
                }
                Act::PushMode(mode) => modes.push(mode),
                Act::Skip => seen = false,
                Act::Type(other) => kind = other,
            }
        }
        if seen && !more {
            tokens.push(Token {
                kind,
                from: lexer.begin,
                to: end,
            });
        }
        at = end;
    }
    if let Some(comment) = lexer.memory.unclosed {
        return Err(LexerError::UnclosedComment(comment));
    }
    tokens.push(Token {
        kind: EOF,
        from: text.len(),
        to: text.len(),
    });
    Ok(tokens)
}

/// As Java's `Character.toUpperCase` has it: characters that have no upper case of one character stay.
fn folded(c: char) -> i32 {
    let mut upper = c.to_uppercase();
    let first = match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    };
    first as i32
}

impl Lexer<'_> {
    /// The token rule that matches longest from here, where it ends, and its actions.
    fn longest(&self, mode: usize, from: usize) -> Result<(usize, usize, Rc<[usize]>), LexerError> {
        let atn = self.rules.atn;
        let start = *atn
            .modes
            .get(mode)
            .ok_or_else(|| LexerError::Unknown(format!("mode {mode}")))?;
        let mut configs = Vec::new();
        let next = self.folded.get(from).copied().unwrap_or(EOF);
        for alternative in self.rules.beginnings.at(mode, next) {
            let config = Config {
                state: atn.states[start].ways[*alternative].to,
                alternative: *alternative,
                stack: None,
                acts: Rc::from([]),
                lazy: false,
            };
            self.close(config, from, false, &mut configs)?;
        }
        let mut best = None;
        let mut at = from;
        loop {
            if let Some(accepted) = configs.iter().find(|config| atn.states[config.state].stop) {
                best = Some((atn.states[accepted.state].rule, at, accepted.acts.clone()));
            }
            // The end can be matched, once; nothing is taken with it.
            let next = self.folded.get(at).copied().unwrap_or(EOF);
            let after = (at + 1).min(self.folded.len());
            let mut reached = Vec::new();
            let mut skipped = None;
            for config in &configs {
                if skipped == Some(config.alternative) && config.lazy {
                    continue;
                }
                let ways = &atn.states[config.state].ways;
                for way in ways.iter().filter(|way| takes(atn, &way.takes, next)) {
                    let further = Config {
                        state: way.to,
                        ..config.clone()
                    };
                    if self.close(further, after, skipped == Some(config.alternative), &mut reached)? {
                        skipped = Some(config.alternative);
                        break;
                    }
                }
            }
            if reached.is_empty() {
                break;
            }
            configs = reached;
            at = after;
            if next == EOF {
                if let Some(accepted) = configs.iter().find(|config| atn.states[config.state].stop) {
                    best = Some((atn.states[accepted.state].rule, at, accepted.acts.clone()));
                }
                break;
            }
        }
        // A rule that takes nothing makes no token.
        best.filter(|(_, end, _)| *end > from).ok_or(LexerError::Nothing(from))
    }

    /// Follows what takes nothing; whether the token's rule ended on the way.
    fn close(&self, config: Config, at: usize, ended: bool, into: &mut Vec<Config>) -> Result<bool, LexerError> {
        let atn = self.rules.atn;
        let state = &atn.states[config.state];
        if state.stop {
            let Some(frame) = config.stack.clone() else {
                add(config, into);
                return Ok(true);
            };
            let back = Config {
                state: frame.back,
                stack: frame.below.clone(),
                ..config
            };
            return self.close(back, at, ended, into);
        }
        let consumes = |takes: &Takes| matches!(takes, Takes::Set(_) | Takes::NotSet(_) | Takes::Any);
        if state.ways.iter().any(|way| consumes(&way.takes)) && !(ended && config.lazy) {
            add(config.clone(), into);
        }
        let mut ended = ended;
        for way in &state.ways {
            let mut next = Config {
                state: way.to,
                lazy: config.lazy || state.non_greedy,
                ..config.clone()
            };
            match way.takes {
                Takes::Set(_) | Takes::NotSet(_) | Takes::Any => continue,
                Takes::Nothing | Takes::Precedence(_) => {}
                Takes::Rule { rule, .. } => {
                    next.stack = Some(Rc::new(Frame {
                        back: way.to,
                        below: config.stack.clone(),
                    }));
                    next.state = atn.starts[rule];
                }
                Takes::Predicate(number) => {
                    if !self.holds(number, at)? {
                        continue;
                    }
                }
                // Only those of the token's own rule are done.
                Takes::Action(number) => {
                    if config.stack.is_none() {
                        next.acts = config.acts.iter().copied().chain([number]).collect();
                    }
                }
            }
            ended = self.close(next, at, ended, into)?;
        }
        Ok(ended)
    }

    fn holds(&self, number: usize, at: usize) -> Result<bool, LexerError> {
        let unknown = || LexerError::Unknown(format!("condition {number}"));
        let (what, negated) = match self.rules.predicates.get(number).ok_or_else(unknown)? {
            Some(Predicate::Constant(holds)) => return Ok(*holds),
            Some(Predicate::Asks { what, negated }) => (what.as_str(), *negated),
            None => return Err(unknown()),
        };
        let next = self.folded.get(at).copied().unwrap_or(EOF);
        let answer = match what {
            // `1E` is no number where a letter, a digit or `_` follows: it begins an identifier.
            "isValidDecimal" => !char::from_u32(u32::try_from(next).unwrap_or_default())
                .is_some_and(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'),
            "isHint" => next == i32::from(b'+'),
            "isShiftRightOperator" => self.memory.complex == 0,
            "getText tags peek equals" | "tags peek getText equals" => self
                .memory
                .tags
                .last()
                .is_some_and(|tag| self.text[self.begin..at].iter().copied().eq(tag.chars())),
            other => return Err(LexerError::Unknown(other.to_owned())),
        };
        Ok(answer != negated)
    }

    fn act(&mut self, number: usize, end: usize) -> Result<(), LexerError> {
        let unknown = || LexerError::Unknown(format!("action {number}"));
        let what = self
            .rules
            .actions
            .get(number)
            .and_then(Option::as_deref)
            .ok_or_else(unknown)?;
        match what {
            "incComplexTypeLevelCounter" => self.memory.complex += 1,
            "decComplexTypeLevelCounter" => self.memory.complex = self.memory.complex.saturating_sub(1),
            "markUnclosedComment" => self.memory.unclosed = Some(self.begin),
            "tags getText push" => self.memory.tags.push(self.text[self.begin..end].iter().collect()),
            "tags pop" => {
                self.memory.tags.pop();
            }
            other => return Err(LexerError::Unknown(other.to_owned())),
        }
        Ok(())
    }
}

fn takes(atn: &Atn, takes: &Takes, next: i32) -> bool {
    match takes {
        Takes::Set(set) => atn.has(*set, next),
        Takes::NotSet(set) => next != EOF && !atn.has(*set, next),
        Takes::Any => next != EOF,
        _ => false,
    }
}

/// Adds a configuration unless it is there already.
fn add(config: Config, into: &mut Vec<Config>) {
    let known = into.iter().any(|known| {
        known.state == config.state
            && known.alternative == config.alternative
            && known.lazy == config.lazy
            && known.stack == config.stack
            && known.acts == config.acts
    });
    if !known {
        into.push(config);
    }
}
