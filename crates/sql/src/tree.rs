//! Which rule took which words: the tree of a text that the grammar takes.
//!
//! Where a text can be taken in several ways, the first alternative of the grammar wins, and loops take as much as they can, or as
//! little where the grammar says so: so do ANTLR's parsers. Operators
//! of a rule that calls itself on its left stand side by side in one node, not one below the other.

use std::collections::HashSet;

use crate::atn::{Atn, StateId, Takes};
use crate::lexer::Token;
use crate::parser::{self, Ends, Lookahead};

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
    /// The rule.
    pub rule: usize,
    /// Its first token.
    pub from: usize,
    /// The token after its last.
    pub to: usize,
    /// The node it is a part of; its own index for the first.
    pub parent: usize,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// One step on a way through a rule.
#[derive(Clone, Copy)]
struct Step {
    state: StateId,
    at: usize,
    takes: Option<What>,
}

#[derive(Clone, Copy)]
enum What {
    Token,
    Rule { rule: usize, precedence: i32, from: usize },
}

/// What is known of the text.
pub struct Read<'a> {
    /// The network.
    pub atn: &'a Atn,
    /// What may come next.
    pub lookahead: &'a Lookahead,
    /// Its tokens.
    pub tokens: &'a [Token],
    /// Where rules ended.
    pub ends: &'a Ends,
}

impl Read<'_> {
    /// The tree of a rule over all tokens; `None` where there is no way, which does not happen for what the parser takes.
    pub fn tree(&self, rule: usize) -> Option<Vec<Taken>> {
        let mut tree = vec![Taken {
            rule,
            from: 0,
            to: self.tokens.len(),
            parent: 0,
            parts: Vec::new(),
        }];
        let mut waiting = vec![(0, 0)];
        while let Some((node, precedence)) = waiting.pop() {
            let (rule, from, to) = (tree[node].rule, tree[node].from, tree[node].to);
            for step in self.way(rule, precedence, from, to)? {
                let part = match step.takes {
                    None => continue,
                    Some(What::Token) => Part::Token(step.at - 1),
                    Some(What::Rule { rule, precedence, from }) => {
                        tree.push(Taken {
                            rule,
                            from,
                            to: step.at,
                            parent: node,
                            parts: Vec::new(),
                        });
                        waiting.push((tree.len() - 1, precedence));
                        Part::Node(tree.len() - 1)
                    }
                };
                tree[node].parts.push(part);
            }
        }
        Some(tree)
    }

    /// The first way through a rule from one token to another.
    fn way(&self, rule: usize, precedence: i32, from: usize, to: usize) -> Option<Vec<Step>> {
        let start = Step {
            state: self.atn.starts[rule],
            at: from,
            takes: None,
        };
        let mut seen = HashSet::from([(start.state, start.at)]);
        // Steps that were taken, each with what else can be done there, the next at the end.
        let mut taken = vec![(start, self.steps(start, precedence, to))];
        while let Some((here, others)) = taken.last_mut() {
            if self.atn.states[here.state].stop && here.at == to {
                return Some(taken.into_iter().map(|(step, _)| step).collect());
            }
            match others.pop() {
                None => {
                    taken.pop();
                }
                Some(step) => {
                    if seen.insert((step.state, step.at)) {
                        taken.push((step, self.steps(step, precedence, to)));
                    }
                }
            }
        }
        None
    }

    /// What can be done at a place of a rule, the best last.
    fn steps(&self, here: Step, precedence: i32, to: usize) -> Vec<Step> {
        let token = self.tokens.get(here.at).map(|token| token.kind);
        let mut steps = Vec::new();
        for (index, way) in self.atn.states[here.state].ways.iter().enumerate() {
            if !self.lookahead.is_open(here.state, index) {
                continue;
            }
            let step = |at, takes| Step {
                state: way.to,
                at,
                takes,
            };
            let free = match way.takes {
                Takes::Set(_) | Takes::NotSet(_) | Takes::Any => {
                    if here.at < to && token.is_some_and(|kind| parser::takes(self.atn, &way.takes, kind)) {
                        steps.push(step(here.at + 1, Some(What::Token)));
                    }
                    false
                }
                Takes::Rule { rule, precedence } => {
                    let known = self.ends.get(&(rule, precedence, here.at));
                    let mut ends: Vec<usize> = known.into_iter().flatten().copied().collect();
                    ends.retain(|end| *end <= to);
                    ends.sort_unstable_by(|one, other| other.cmp(one));
                    ends.dedup();
                    if self.lookahead.shy.get(rule) == Some(&true) {
                        ends.reverse();
                    }
                    let what = What::Rule {
                        rule,
                        precedence,
                        from: here.at,
                    };
                    steps.extend(ends.into_iter().map(|end| step(end, Some(what))));
                    false
                }
                Takes::Precedence(least) => least >= precedence,
                Takes::Predicate(number) => self.lookahead.holds(number, here.at, self.tokens),
                Takes::Nothing | Takes::Action(_) => true,
            };
            if free && self.lookahead.may_begin(way.to, token) {
                steps.push(step(here.at, None));
            }
        }
        steps.reverse();
        steps
    }
}
