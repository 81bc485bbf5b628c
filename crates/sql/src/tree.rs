//! Which rule took which words: the tree of a text that the grammar takes.
//!
//! Where a text can be taken in several ways, the first alternative of the grammar wins, and loops take as much as they can, or as
//! little where the grammar says so: so do ANTLR's parsers. Operators
//! of a rule that calls itself on its left stand side by side in one node, not one below the other.

use std::collections::HashSet;
use std::ops::Range;

use foldhash::fast::FixedState;

use crate::lexer::Token;
use crate::moves::{Move, Moves, Network, StateId};
use crate::parser::{End, Ends};

/// A part of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A token, by its index.
    Token(usize),
    /// A node, by its index in the tree.
    Node(usize),
}

/// What a rule took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub rule: usize,
    /// Its first token.
    pub from: usize,
    /// The token after its last.
    pub to: usize,
    /// The node it is a part of; its own index for the first.
    pub parent: usize,
    /// Its parts, in order, as a range of the tree's.
    pub parts: Range<usize>,
}

/// All nodes of a text, those above before those below, and their parts.
#[derive(Debug, Default)]
pub struct Tree {
    pub nodes: Vec<Taken>,
    /// Parts of all nodes; those of one stand together.
    pub parts: Vec<Part>,
}

/// What a step on a way through a rule takes: one token or a call, from a token on; or nothing.
#[derive(Debug, Clone, Copy)]
enum What {
    Nothing,
    Token(usize),
    Call { call: u32, from: usize, to: usize },
}

/// A place on a way: what was taken to come there, and what can be done.
#[derive(Debug)]
struct Step {
    state: StateId,
    at: usize,
    takes: What,
    /// The moves that were not tried.
    moves: Range<usize>,
    /// Where the call of the move before them ended, as far as that was not tried.
    ended: Option<Ended>,
}

/// The places where a call ended, in the order they are tried: the last first, or the first where the rule takes as little as it can.
#[derive(Debug)]
enum Ended {
    LastFirst(End),
    FirstFirst(std::vec::IntoIter<usize>),
}

impl Ended {
    fn of(ends: &Ends, call: u32, at: usize, to: usize, shy: bool) -> Ended {
        let mut last = ends.of(call, at);
        if !shy {
            return Ended::LastFirst(last);
        }
        let mut all: Vec<usize> = std::iter::from_fn(|| last.next(ends))
            .filter(|end| *end <= to)
            .collect();
        all.reverse();
        Ended::FirstFirst(all.into_iter())
    }

    fn next(&mut self, ends: &Ends, to: usize, count: &mut u64) -> Option<usize> {
        match self {
            Ended::LastFirst(end) => {
                let mut counted = || {
                    *count += 1;
                    end.next(ends)
                };
                std::iter::from_fn(&mut counted).find(|end| *end <= to)
            }
            Ended::FirstFirst(all) => all.next(),
        }
    }
}

/// Steps that may be taken for a text, besides those for each token. What people write needs some hundred for a token.
const MOST_STEPS: u64 = 4 << 20;
const MOST_STEPS_A_TOKEN: u64 = 4_000;

/// Why there is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTree {
    /// There is no way through the grammar.
    NoWay,
    /// The budget was used up.
    Budget,
}

/// Room for finding ways, which is used again for the next.
#[derive(Debug, Default)]
pub struct Steps {
    taken: Vec<Step>,
    /// States and tokens that were come by, from the first step that led nowhere on; before that they are those of the steps.
    seen: Option<HashSet<(StateId, usize), FixedState>>,
    /// Steps taken so far, of all texts.
    pub count: u64,
}

impl Steps {
    /// Marks a place as come by; whether it is new.
    fn come_by(&mut self, state: StateId, at: usize) -> bool {
        match &mut self.seen {
            Some(seen) => seen.insert((state, at)),
            None => {
                let here = self.taken.iter().rev().take_while(|step| step.at == at);
                here.into_iter().all(|step| step.state != state)
            }
        }
    }

    /// Goes back from a step that leads nowhere.
    fn go_back(&mut self) {
        if self.seen.is_none() {
            self.seen = Some(self.taken.iter().map(|step| (step.state, step.at)).collect());
        }
        self.taken.pop();
    }
}

/// What is known of the text.
pub struct Read<'a> {
    pub network: &'a Network,
    /// What its states can do.
    pub moves: &'a mut Moves,
    pub tokens: &'a [Token],
    /// Where rules ended.
    pub ends: &'a Ends,
    /// Room.
    pub steps: &'a mut Steps,
}

impl Read<'_> {
    /// The tree of a rule over all tokens; `None` where there is no way, which does not happen for what the parser takes.
    pub fn tree(&mut self, rule: usize) -> Result<Tree, NoTree> {
        let most = self.steps.count + MOST_STEPS + MOST_STEPS_A_TOKEN * self.tokens.len() as u64;
        let mut tree = Tree::default();
        tree.nodes.push(Taken {
            rule,
            from: 0,
            to: self.tokens.len(),
            parent: 0,
            parts: 0..0,
        });
        let mut waiting = vec![(0, 0)];
        while let Some((node, precedence)) = waiting.pop() {
            let Taken { rule, from, to, .. } = tree.nodes[node];
            if !self.way(rule, precedence, from, to, most)? {
                return Err(NoTree::NoWay);
            }
            let first = tree.parts.len();
            for step in &self.steps.taken {
                match step.takes {
                    What::Nothing => {}
                    What::Token(token) => tree.parts.push(Part::Token(token)),
                    What::Call { call, from, to } => {
                        let call = &self.network.calls[call as usize];
                        tree.parts.push(Part::Node(tree.nodes.len()));
                        waiting.push((tree.nodes.len(), call.precedence));
                        tree.nodes.push(Taken {
                            rule: call.rule,
                            from,
                            to,
                            parent: node,
                            parts: 0..0,
                        });
                    }
                }
            }
            tree.nodes[node].parts = first..tree.parts.len();
        }
        Ok(tree)
    }

    /// Finds the first way through a rule from one token to another: the steps that are taken then. Whether there is one.
    fn way(&mut self, rule: usize, precedence: i32, from: usize, to: usize, most: u64) -> Result<bool, NoTree> {
        self.steps.seen = None;
        self.steps.taken.clear();
        self.come_by(self.network.start(rule), from, What::Nothing);
        while let Some(here) = self.steps.taken.last_mut() {
            self.steps.count += 1;
            if self.steps.count > most {
                return Err(NoTree::Budget);
            }
            let at = here.at;
            let Some(number) = here.moves.next() else {
                self.steps.go_back();
                continue;
            };
            match self.moves.list[number] {
                Move::End => {
                    if at == to {
                        return Ok(true);
                    }
                }
                Move::Token { to: state } => {
                    if at < to {
                        self.come_by(state, at + 1, What::Token(at));
                    }
                }
                Move::Call { call, to: state } => {
                    let ended = here.ended.get_or_insert_with(|| {
                        let shy = self.network.is_shy(self.network.calls[call as usize].rule);
                        Ended::of(self.ends, call, at, to, shy)
                    });
                    match ended.next(self.ends, to, &mut self.steps.count) {
                        None => here.ended = None,
                        Some(end) => {
                            // The move is tried again with the next place, should this one lead nowhere.
                            here.moves.start -= 1;
                            self.come_by(
                                state,
                                end,
                                What::Call {
                                    call,
                                    from: at,
                                    to: end,
                                },
                            );
                        }
                    }
                }
                Move::Precedence { least, to: state } => {
                    if least >= precedence {
                        self.come_by(state, at, What::Nothing);
                    }
                }
                Move::Condition { number, to: state } => {
                    if self.network.holds(number, at, self.tokens) {
                        self.come_by(state, at, What::Nothing);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Takes a step unless its place was come by already.
    fn come_by(&mut self, state: StateId, at: usize, takes: What) {
        if self.steps.come_by(state, at) {
            let column = self.network.column(self.tokens.get(at));
            self.steps.taken.push(Step {
                state,
                at,
                takes,
                moves: self.moves.of(self.network, state, column),
                ended: None,
            });
        }
    }
}
