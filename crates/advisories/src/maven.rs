//! The order of Maven's versions: `ComparableVersion` of Maven 3.9.
//!
//! A version is a list of numbers and words; `-`, and every change between digits and letters, begins a list within the list. Words have an order of
//! their own: `alpha`, `beta`, `milestone`, `rc`, `snapshot`, nothing, `sp`, and any other word after these. Trailing zeros and empty parts do not count.
//! Source: "Version Order Specification" of Maven's POM reference; `tests/oracles` holds this against the class itself.

use std::cmp::Ordering;

/// Words in their order; the empty one is the release itself.
const QUALIFIERS: [&str; 7] = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"];
/// Place of the empty one.
const RELEASE: usize = 5;

/// A version of Maven. Every text is one.
#[derive(Clone, Debug)]
pub struct Version(Vec<Item>);

#[derive(Clone, Debug)]
enum Item {
    /// Digits without leading zeros; empty for zero.
    Number(String),
    Word(String),
    List(Vec<Item>),
}

impl Version {
    /// Reads a version.
    #[must_use]
    pub fn new(text: &str) -> Version {
        Version(parse(&text.to_lowercase()))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        compare_lists(&self.0, &other.0)
    }
}

/// Lists within lists, the innermost last: only the innermost grows.
struct Levels(Vec<Vec<Item>>);

impl Levels {
    fn push(&mut self, item: Item) {
        if let Some(level) = self.0.last_mut() {
            level.push(item);
        }
    }

    fn deeper(&mut self) {
        self.0.push(Vec::new());
    }

    fn deeper_unless_empty(&mut self) {
        if self.0.last().is_some_and(|level| !level.is_empty()) {
            self.deeper();
        }
    }

    /// Puts each list at the end of the one around it.
    fn fold(mut self) -> Vec<Item> {
        let mut inner: Option<Vec<Item>> = None;
        while let Some(mut level) = self.0.pop() {
            level.extend(inner.take().map(Item::List));
            normalize(&mut level);
            inner = Some(level);
        }
        inner.unwrap_or_default()
    }
}

fn parse(text: &str) -> Vec<Item> {
    let mut levels = Levels(vec![Vec::new()]);
    let mut digits = false;
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' | b'-' => {
                levels.push(item(digits || at == start, &text[start..at], false));
                start = at + 1;
                if byte == b'-' {
                    levels.deeper_unless_empty();
                }
            }
            b'0'..=b'9' => {
                if !digits && at > start {
                    levels.deeper_unless_empty();
                    levels.push(item(false, &text[start..at], true));
                    start = at;
                    levels.deeper();
                }
                digits = true;
            }
            _ => {
                if digits && at > start {
                    levels.push(item(true, &text[start..at], false));
                    start = at;
                    levels.deeper();
                }
                digits = false;
            }
        }
    }
    if start < text.len() {
        if !digits {
            levels.deeper_unless_empty();
        }
        levels.push(item(digits, &text[start..], false));
    }
    levels.fold()
}

fn item(digits: bool, text: &str, number_follows: bool) -> Item {
    if digits {
        Item::Number(text.trim_start_matches('0').to_owned())
    } else {
        Item::Word(word(text, number_follows))
    }
}

/// A word without its other spellings; a single letter before a number is one of the known.
fn word(text: &str, number_follows: bool) -> String {
    match (text, number_follows) {
        ("a", true) => "alpha",
        ("b", true) => "beta",
        ("m", true) => "milestone",
        ("cr", _) => "rc",
        ("ga" | "final" | "release", _) => "",
        _ => text,
    }
    .to_owned()
}

/// Removes what counts for nothing at the end, and before the lists at the end.
fn normalize(list: &mut Vec<Item>) {
    for at in (0..list.len()).rev() {
        let nothing = match &list[at] {
            Item::Number(digits) => digits.is_empty(),
            Item::Word(word) => word.is_empty(),
            Item::List(items) => items.is_empty(),
        };
        if nothing {
            list.remove(at);
        } else if !matches!(list[at], Item::List(_)) {
            break;
        }
    }
}

fn compare_lists(one: &[Item], other: &[Item]) -> Ordering {
    (0..one.len().max(other.len()))
        .map(|at| match (one.get(at), other.get(at)) {
            (Some(one), Some(other)) => compare(one, other),
            (Some(one), None) => compare_to_nothing(one),
            (None, Some(other)) => compare_to_nothing(other).reverse(),
            (None, None) => Ordering::Equal,
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare(one: &Item, other: &Item) -> Ordering {
    match (one, other) {
        (Item::Number(one), Item::Number(other)) => compare_numbers(one, other),
        (Item::Word(one), Item::Word(other)) => rank(one).cmp(&rank(other)),
        (Item::List(one), Item::List(other)) => compare_lists(one, other),
        // Numbers come after lists, and lists after words.
        (Item::Number(_), _) | (Item::List(_), Item::Word(_)) => Ordering::Greater,
        (_, Item::Number(_)) | (Item::Word(_), Item::List(_)) => Ordering::Less,
    }
}

fn compare_to_nothing(item: &Item) -> Ordering {
    match item {
        Item::Number(digits) if digits.is_empty() => Ordering::Equal,
        Item::Number(_) => Ordering::Greater,
        Item::Word(word) => rank(word).cmp(&(RELEASE, "")),
        Item::List(items) => items
            .iter()
            .map(compare_to_nothing)
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal),
    }
}

fn compare_numbers(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Place among the known words, and the word itself where it is none of them.
fn rank(word: &str) -> (usize, &str) {
    match QUALIFIERS.iter().position(|known| *known == word) {
        Some(place) => (place, ""),
        None => (QUALIFIERS.len(), word),
    }
}
