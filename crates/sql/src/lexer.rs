//! From text to tokens.
//!
//! The rules of ANTLR's lexers: the longest match wins, of those as long the one that stands first in the grammar; loops that are not greedy end as soon
//! as their rule can. Spark folds letters to upper case for the match alone (`UpperCaseCharStream`).

use crate::atn::{Act, Atn, EOF, StateId, Takes};
use crate::class::Predicate;
use crate::machine::{Accepted, Machine};

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
    /// A comment begins here that holds comments in comments, deeper than is read.
    DeepComment(usize),
    /// A condition or action of the grammar that this room does not know.
    Unknown(String),
}

/// How deep comments may stand in each other: the work grows faster than they do.
const MOST_COMMENTS: usize = 100;

/// Whether a comment in brackets begins here that is deeper than is read.
fn is_deep_comment(text: &[char]) -> bool {
    let (mut depth, mut at) = (0usize, 0);
    while let Some([one, two]) = text.get(at..at + 2) {
        match (one, two) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 || depth > MOST_COMMENTS {
            return depth > MOST_COMMENTS;
        }
    }
    false
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
    memory: Memory,
    /// Where the token begins.
    begin: usize,
}

/// All tokens but those the parser does not see; the last is the end.
///
/// # Errors
/// Where no token begins, or a comment does not end.
pub fn tokens(rules: &Rules<'_>, machine: &mut Machine, text: &[char]) -> Result<Vec<Token>, LexerError> {
    let mut lexer = Lexer {
        rules,
        text,
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
        if is_deep_comment(&text[at..]) {
            return Err(LexerError::DeepComment(at));
        }
        let mode = *modes.last().unwrap_or(&0);
        let (accepted, end) = lexer.longest(machine, mode, at)?;
        let rule = accepted.rule;
        more = false;
        let made = rules.atn.rule_tokens.get(rule).copied();
        let (mut kind, mut seen) = (made.ok_or_else(|| LexerError::Unknown(format!("rule {rule}")))?, true);
        for act in machine.acts(accepted) {
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
    if c.is_ascii() {
        return c.to_ascii_uppercase() as i32;
    }
    let mut upper = c.to_uppercase();
    let first = match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    };
    first as i32
}

/// What the machine asks of the lexer.
pub trait Looks {
    /// The network.
    fn atn(&self) -> &Atn;
    /// With which alternatives of a mode a token may begin that begins with this character.
    fn beginnings(&self, mode: usize, symbol: i32) -> &[usize];
    /// Whether a condition holds for what stands at a place.
    ///
    /// # Errors
    /// When it is not known.
    fn holds(&self, number: usize, at: usize) -> Result<bool, LexerError>;
    /// The answers to all conditions, by number; `None` when they are too many.
    fn answers(&self, at: usize) -> Option<u64>;
}

impl Looks for Lexer<'_> {
    fn atn(&self) -> &Atn {
        self.rules.atn
    }

    fn beginnings(&self, mode: usize, symbol: i32) -> &[usize] {
        self.rules.beginnings.at(mode, symbol)
    }

    fn answers(&self, at: usize) -> Option<u64> {
        let conditions = self.rules.predicates.len();
        // One that is not known is an error when it is asked.
        let answer = |number| u64::from(self.holds(number, at).unwrap_or_default()) << number;
        (conditions <= 64).then(|| (0..conditions).map(answer).sum())
    }

    fn holds(&self, number: usize, at: usize) -> Result<bool, LexerError> {
        let unknown = || LexerError::Unknown(format!("condition {number}"));
        let (what, negated) = match self.rules.predicates.get(number).ok_or_else(unknown)? {
            Some(Predicate::Constant(holds)) => return Ok(*holds),
            Some(Predicate::Asks { what, negated }) => (what.as_str(), *negated),
            None => return Err(unknown()),
        };
        let next = self.symbol(at);
        let answer = match what {
            // `1E` is not a number where a letter, a digit or `_` follows: it begins an identifier.
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
}

impl Lexer<'_> {
    /// The token rule that matches longest from here, and where it ends.
    fn longest(&self, machine: &mut Machine, mode: usize, from: usize) -> Result<(Accepted, usize), LexerError> {
        let start = machine.start(self, mode)?;
        let mut best = None;
        let mut at = from;
        let mut here = machine.after(self, start, self.symbol(from), from)?;
        while let Some(state) = here {
            if let Some(accepted) = machine.accepted(state) {
                best = Some((accepted, at));
            }
            // The end can be matched, once; nothing is taken with it.
            let next = self.symbol(at);
            let after = (at + 1).min(self.text.len());
            here = machine.after(self, state, next, after)?;
            at = after;
            if next == EOF {
                if let Some(accepted) = here.and_then(|state| machine.accepted(state)) {
                    best = Some((accepted, at));
                }
                break;
            }
        }
        // A rule that takes nothing makes no token.
        best.filter(|(_, end)| *end > from).ok_or(LexerError::Nothing(from))
    }

    /// The character at a place as it is matched, or the end.
    fn symbol(&self, at: usize) -> i32 {
        self.text.get(at).map_or(EOF, |c| folded(*c))
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
