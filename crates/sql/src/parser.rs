//! Whether tokens are a sentence of the grammar.
//!
//! ANTLR's parsers choose one way at each decision, with as much of the input as that takes; what they accept is what any way through the network accepts,
//! conditions and precedences included. So all ways are followed at once here (a generalised LL recogniser: stacks are shared as a graph), in time that is
//! linear in the tokens for what people write, and cubic at the worst. Ways that cannot take the next token are not begun; what a state can do with a token
//! ahead is computed once and kept ([`crate::moves`]).
//!
//! All that is known of a text is in three lists that only grow, of rules entered, of who waits for them and of where they ended, linked by index: nothing
//! is allocated for a token.

use crate::lexer::Token;
use crate::moves::{Move, Moves, Network, StateId};

/// No link.
const NONE: u32 = u32::MAX;

/// A rule that was entered at some token: shared by all that wait for it.
#[derive(Debug, Clone, Copy)]
struct Entered {
    /// The call, by its number; of the rule the text is parsed as, none.
    call: u32,
    /// The last of those that wait.
    waiting: u32,
    /// The last place where it ended.
    ended: u32,
    /// The token at which `visited` was begun.
    stamp: u32,
    /// The last state that was looked at in it with that token.
    visited: u32,
}

/// Who waits for a rule: where they go on, and the rule they are in.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    to: StateId,
    inside: u32,
    before: u32,
}

/// A number in a linked list.
#[derive(Debug, Clone, Copy)]
struct Link {
    number: u32,
    before: u32,
}

/// Where the rules that were entered ended; and room for finding that out, which is used again for the next text.
#[derive(Debug, Default)]
pub struct Ends {
    entered: Vec<Entered>,
    /// For each token, the first rule that was entered at it; when all is known, the first of the calls that ended.
    first: Vec<u32>,
    waiting: Vec<Waiting>,
    ended: Vec<Link>,
    /// The calls that ended, in the order they were made, and the last place of each.
    calls: Vec<(u32, u32)>,
    /// States looked at with the token at hand.
    visited: Vec<Link>,
    /// By call: the token after the one it was last entered at (0 is none), and the rule entered.
    by_call: Vec<(u32, u32)>,
    now: Vec<(StateId, u32)>,
    next: Vec<(StateId, u32)>,
    /// States looked at so far, of all texts.
    pub looked: u64,
    /// Links of the lists gone along.
    walked: u64,
}

/// Entries that all lists together may have for a text, some 160 MB; and states that may be looked at, besides those for each token. What people write needs
/// some hundreds of each for a token.
const MOST_ENTRIES: usize = 12 << 20;
const MOST_LOOKED: u64 = 4 << 20;
const MOST_LOOKED_A_TOKEN: u64 = 4_000;
/// Links of lists that may be gone along for each state that may be looked at.
const LINKS: u64 = 8;

/// Why tokens are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// No way takes the token of this index.
    At(usize),
    /// The budget was used up at this one: there are too many ways to take what is before it.
    Budget(usize),
}

/// Entries a list may keep from one text for the next.
const KEPT: usize = 1 << 16;

impl Ends {
    /// Forgets a text. Lists that grew long are given back.
    fn clear(&mut self, calls: usize) {
        fn emptied<T>(list: &mut Vec<T>) {
            list.clear();
            list.shrink_to(KEPT);
        }
        emptied(&mut self.entered);
        emptied(&mut self.first);
        emptied(&mut self.waiting);
        emptied(&mut self.ended);
        emptied(&mut self.calls);
        emptied(&mut self.visited);
        emptied(&mut self.now);
        emptied(&mut self.next);
        self.by_call.clear();
        self.by_call.resize(calls, (0, 0));
    }

    /// Entries of all lists.
    fn entries(&self) -> usize {
        self.entered.len() + self.waiting.len() + self.ended.len() + self.visited.len()
    }

    fn enter(&mut self, call: u32) -> u32 {
        let number = index(self.entered.len());
        self.entered.push(Entered {
            call,
            waiting: NONE,
            ended: NONE,
            stamp: NONE,
            visited: NONE,
        });
        number
    }

    /// Marks a state of an entered rule as looked at with this token; whether it is new.
    fn visit(&mut self, state: StateId, inside: u32, at: u32) -> bool {
        let entered = &mut self.entered[inside as usize];
        if entered.stamp != at {
            (entered.stamp, entered.visited) = (at, NONE);
        }
        let mut link = entered.visited;
        while let Some(known) = self.visited.get(link as usize) {
            self.walked += 1;
            if known.number == state {
                return false;
            }
            link = known.before;
        }
        let before = std::mem::replace(&mut entered.visited, index(self.visited.len()));
        self.visited.push(Link { number: state, before });
        true
    }

    /// Has one wait for an entered rule; whether that is new.
    fn wait(&mut self, entered: u32, to: StateId, inside: u32) -> bool {
        let mut link = self.entered[entered as usize].waiting;
        while let Some(known) = self.waiting.get(link as usize) {
            self.walked += 1;
            if known.to == to && known.inside == inside {
                return false;
            }
            link = known.before;
        }
        let last = index(self.waiting.len());
        let before = std::mem::replace(&mut self.entered[entered as usize].waiting, last);
        self.waiting.push(Waiting { to, inside, before });
        true
    }

    fn end(&mut self, entered: u32, at: u32) {
        let last = index(self.ended.len());
        let before = std::mem::replace(&mut self.entered[entered as usize].ended, last);
        self.ended.push(Link { number: at, before });
    }

    /// Whether a rule ended at the token that is looked at.
    fn ended_at(&self, entered: u32, at: u32) -> bool {
        let last = self.ended.get(self.entered[entered as usize].ended as usize);
        last.is_some_and(|link| link.number == at)
    }

    /// Where a call that was made at a token ended.
    pub fn of(&self, call: u32, at: usize) -> End {
        let from = self.first.get(at).map_or(0, |first| *first as usize);
        let to = self.first.get(at + 1).map_or(self.calls.len(), |next| *next as usize);
        let calls = self.calls.get(from..to).unwrap_or_default();
        End(calls
            .iter()
            .find(|(known, _)| *known == call)
            .map_or(NONE, |(_, ended)| *ended))
    }

    /// Lists the calls that ended: of those that were made, few did.
    fn list_calls(&mut self) {
        let mut made = 0;
        for token in 0..self.first.len() {
            let next = self
                .first
                .get(token + 1)
                .map_or(self.entered.len(), |next| *next as usize);
            self.first[token] = index(self.calls.len());
            let ended = self.entered[made..next].iter().filter(|entered| entered.ended != NONE);
            self.calls.extend(ended.map(|entered| (entered.call, entered.ended)));
            made = next;
        }
    }
}

/// One of the places where a call ended.
#[derive(Debug, Clone, Copy)]
pub struct End(u32);

impl End {
    /// The place, and on to the one before it: the last comes first.
    pub fn next(&mut self, ends: &Ends) -> Option<usize> {
        let link = ends.ended.get(self.0 as usize)?;
        self.0 = link.before;
        Some(link.number as usize)
    }
}

/// Texts have fewer characters than four billion: the lists are a few times as long as the tokens.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

/// Whether the tokens are what this rule takes, all of them; `ends` says then where the rules on the way ended.
///
/// # Errors
/// The index of the first token that no way takes, or where the budget was used up.
pub fn accepts(
    network: &Network,
    moves: &mut Moves,
    ends: &mut Ends,
    rule: usize,
    tokens: &[Token],
) -> Result<(), Stopped> {
    let budget = MOST_LOOKED + MOST_LOOKED_A_TOKEN * tokens.len() as u64;
    let (most, most_walked) = (ends.looked + budget, ends.walked + budget * LINKS);
    ends.clear(network.calls.len());
    let outermost = ends.enter(NONE);
    ends.next.push((network.start(rule), outermost));
    let mut column = network.column(tokens.first());
    for place in 0..=tokens.len() {
        let at = index(place);
        ends.first.push(if place == 0 { 0 } else { index(ends.entered.len()) });
        std::mem::swap(&mut ends.now, &mut ends.next);
        ends.visited.clear();
        let after = network.column(tokens.get(place + 1));
        let (mut taken, mut accepted) = (false, false);
        while let Some((state, inside)) = ends.now.pop() {
            if !ends.visit(state, inside, at) {
                continue;
            }
            ends.looked += 1;
            if ends.looked > most || ends.walked > most_walked || ends.entries() > MOST_ENTRIES {
                return Err(Stopped::Budget(place.min(tokens.len().saturating_sub(1))));
            }
            for number in moves.of(network, state, column) {
                match moves.list[number] {
                    Move::Token { to } => {
                        taken = true;
                        if network.may(to, after) {
                            ends.next.push((to, inside));
                        }
                    }
                    Move::Call { call, to } => {
                        let (stamp, known) = ends.by_call[call as usize];
                        let callee = if stamp == at + 1 {
                            known
                        } else {
                            let callee = ends.enter(call);
                            ends.by_call[call as usize] = (at + 1, callee);
                            ends.now.push((network.calls[call as usize].start, callee));
                            callee
                        };
                        // It may have ended here already, with nothing.
                        if ends.wait(callee, to, inside) && ends.ended_at(callee, at) && network.may(to, column) {
                            ends.now.push((to, inside));
                        }
                    }
                    Move::End if inside == outermost => accepted = place == tokens.len(),
                    // More than one state may lead here.
                    Move::End if ends.ended_at(inside, at) => {}
                    Move::End => {
                        ends.end(inside, at);
                        let mut link = ends.entered[inside as usize].waiting;
                        while let Some(waiting) = ends.waiting.get(link as usize) {
                            ends.walked += 1;
                            if network.may(waiting.to, column) {
                                ends.now.push((waiting.to, waiting.inside));
                            }
                            link = waiting.before;
                        }
                    }
                    Move::Precedence { least, to } => {
                        let call = ends.entered[inside as usize].call;
                        let precedence = network.calls.get(call as usize).map_or(0, |call| call.precedence);
                        if least >= precedence {
                            ends.now.push((to, inside));
                        }
                    }
                    Move::Condition { number, to } => {
                        if network.holds(number, place, tokens) {
                            ends.now.push((to, inside));
                        }
                    }
                }
            }
        }
        if accepted {
            ends.list_calls();
            return Ok(());
        }
        if !taken {
            return Err(Stopped::At(place.min(tokens.len().saturating_sub(1))));
        }
        column = after;
    }
    Err(Stopped::At(tokens.len().saturating_sub(1)))
}
