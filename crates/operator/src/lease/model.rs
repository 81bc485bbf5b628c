//! A model: operators that come, go, hang and lose the network at random, and a server that stores leases. Never two on one shard.

use std::collections::BTreeMap;
use std::time::Duration;

use super::decide::{Move, Seen, Terms, decide};

const SHARDS: usize = 3;

/// xorshift64*: the model needs repeatable chance, not good chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}

#[derive(Clone, Default)]
struct Stored {
    holder: Option<String>,
    version: u64,
}

struct Operator {
    name: String,
    alive: bool,
    connected: bool,
    seen: Vec<(Stored, Duration)>,
    held: Vec<Option<Duration>>,
    /// What its gate says: open until.
    open: Vec<Option<Duration>>,
    clock: Duration,
}

fn new(name: &str, offset: u64) -> Operator {
    Operator {
        name: name.to_owned(),
        alive: true,
        connected: true,
        seen: vec![(Stored::default(), Duration::ZERO); SHARDS],
        held: vec![None; SHARDS],
        open: vec![None; SHARDS],
        clock: Duration::from_secs(offset),
    }
}

#[test]
fn never_two_at_once_and_never_nobody_for_long() {
    let terms = Terms::default();
    for seed in 1..=300 {
        let mut chance = Chance(seed * 7919);
        let mut server: BTreeMap<usize, Stored> = (0..SHARDS).map(|shard| (shard, Stored::default())).collect();
        // Their clocks have nothing in common.
        let mut operators = vec![new("a", 5), new("b", 1000), new("c", 70)];
        let mut unheld_for = Duration::ZERO;
        for step in 0..400_u64 {
            let tick = Duration::from_millis(250 + chance.below(750));
            for operator in &mut operators {
                operator.clock += tick;
            }
            let calm = step > 300;
            for operator in &mut operators {
                operator.connected = calm || chance.below(10) != 0;
                if !calm && chance.below(60) == 0 {
                    // Killed, or started again under another name.
                    let name = format!("{}'", operator.name);
                    *operator = if operator.alive {
                        Operator {
                            alive: false,
                            ..new(&name, 0)
                        }
                    } else {
                        new(&name, chance.below(500))
                    };
                }
                operator.alive |= calm;
            }
            let members = operators.iter().filter(|operator| operator.alive).count();
            let one = usize::try_from(chance.below(3)).unwrap();
            turn(&mut operators[one], &mut server, members, &terms, &mut chance);
            for shard in 0..SHARDS {
                let working: Vec<&str> = operators
                    .iter()
                    .filter(|operator| {
                        operator.alive && operator.open[shard].is_some_and(|until| until > operator.clock)
                    })
                    .map(|operator| operator.name.as_str())
                    .collect();
                assert!(working.len() <= 1, "seed {seed} step {step} shard {shard}: {working:?}");
            }
            let all_held = server.values().all(|stored| stored.holder.is_some());
            unheld_for = if all_held || !calm {
                Duration::ZERO
            } else {
                unheld_for + tick
            };
            assert!(
                unheld_for < Duration::from_secs(60),
                "seed {seed}: no one takes the free leases"
            );
        }
    }
}

fn turn(
    operator: &mut Operator,
    server: &mut BTreeMap<usize, Stored>,
    members: usize,
    terms: &Terms,
    chance: &mut Chance,
) {
    if !operator.alive {
        return;
    }
    if operator.connected {
        for (shard, stored) in server.iter() {
            if operator.seen[*shard].0.version != stored.version {
                operator.seen[*shard] = (stored.clone(), operator.clock);
            }
        }
    }
    let seen: Vec<Seen> = operator
        .seen
        .iter()
        .map(|(stored, since)| Seen {
            holder: stored.holder.clone(),
            unchanged_since: *since,
            duration: terms.duration,
        })
        .collect();
    for one in decide(
        &operator.name,
        &seen,
        &operator.held,
        members - 1,
        operator.clock,
        terms,
    ) {
        match one {
            Move::GiveUp(shard) => {
                operator.held[shard] = None;
                operator.open[shard] = None;
            }
            Move::Release(shard) => {
                operator.held[shard] = None;
                operator.open[shard] = None;
                write(operator, server, shard, None);
            }
            Move::Take(shard) | Move::Renew(shard) => {
                let begun = operator.clock;
                let me = operator.name.clone();
                // The answer to a write may get lost: then it is not held, whatever the server says.
                if write(operator, server, shard, Some(me)) && chance.below(20) != 0 {
                    operator.held[shard] = Some(begun);
                    operator.open[shard] = Some(begun + terms.renew_deadline);
                }
            }
        }
    }
}

fn write(operator: &mut Operator, server: &mut BTreeMap<usize, Stored>, shard: usize, holder: Option<String>) -> bool {
    let stored = server.get_mut(&shard).unwrap();
    if !operator.connected || stored.version != operator.seen[shard].0.version {
        return false;
    }
    *stored = Stored {
        holder,
        version: stored.version + 1,
    };
    operator.seen[shard] = (stored.clone(), operator.clock);
    true
}
