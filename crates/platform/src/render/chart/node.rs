//! Objects with values in them: the tree that is written as a template, and what it gives for some values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::knob::{Form, Knob};
use super::trace::{Change, Pattern, Place, Step, What, When};

/// A value of the chart, as an object refers to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub component: String,
    pub path: &'static str,
}

/// When something is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Set(Reference),
    Several(Reference),
    Is(Reference, String),
}

/// A part of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Fixed(Value),
    Number(Reference),
    /// A text around a value, which stands between each two parts.
    Text(Reference, Form, Vec<String>),
    /// One text, number or the like where the condition holds, and another where not.
    Either(Condition, Box<Node>, Box<Node>),
    Map(Vec<(String, Member)>),
    List(Vec<(Option<Condition>, Node)>),
}

/// What a key of a mapping has.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The first whose condition holds counts; none: the key is not there then.
    pub cases: Vec<(Condition, Option<Node>)>,
    /// What it has otherwise.
    pub otherwise: Option<Node>,
}

/// An object of the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Kind and name.
    pub object: String,
    pub condition: Option<Condition>,
    pub node: Node,
}

/// Values by what refers to them.
pub type Settings = BTreeMap<Reference, Value>;

impl Knob {
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference {
            component: self.component.clone(),
            path: self.path,
        }
    }
}

impl Condition {
    #[must_use]
    pub fn holds(&self, settings: &Settings) -> bool {
        match self {
            Condition::Set(of) => settings.contains_key(of),
            Condition::Several(of) => settings.get(of).and_then(Value::as_i64).is_some_and(|count| count > 1),
            Condition::Is(of, name) => settings.get(of).is_some_and(|value| value == name),
        }
    }
}

impl Node {
    /// It with values.
    #[must_use]
    pub fn at(&self, settings: &Settings) -> Value {
        match self {
            Node::Fixed(value) => value.clone(),
            Node::Number(of) => settings.get(of).cloned().unwrap_or_default(),
            Node::Text(of, form, parts) => {
                Pattern::Text(parts.clone()).at(*form, settings.get(of).unwrap_or(&Value::Null))
            }
            Node::Either(condition, one, other) => match condition.holds(settings) {
                true => one.at(settings),
                false => other.at(settings),
            },
            Node::Map(members) => {
                let of = |(key, member): &(String, Member)| {
                    let case = member.cases.iter().find(|(condition, _)| condition.holds(settings));
                    let node = case.map_or(member.otherwise.as_ref(), |(_, node)| node.as_ref())?;
                    Some((key.clone(), node.at(settings)))
                };
                Value::Object(members.iter().filter_map(of).collect::<Map<_, _>>())
            }
            Node::List(items) => {
                let there = |condition: &Option<Condition>| condition.as_ref().is_none_or(|it| it.holds(settings));
                let items = items.iter().filter(|(condition, _)| there(condition));
                items.map(|(_, node)| node.at(settings)).collect()
            }
        }
    }
}

/// A pattern with the value of this knob in it.
#[must_use]
pub fn filled(pattern: &Pattern, knob: &Knob) -> Node {
    match pattern {
        Pattern::Fixed(value) => fixed(value),
        Pattern::Number => Node::Number(knob.reference()),
        Pattern::Text(parts) => Node::Text(knob.reference(), knob.form, parts.clone()),
        Pattern::Map(entries) => {
            let entries = entries.iter();
            Node::Map(
                entries
                    .map(|(key, of)| (key.clone(), always(filled(of, knob))))
                    .collect(),
            )
        }
        Pattern::List(items) => Node::List(items.iter().map(|item| (None, filled(item, knob))).collect()),
    }
}

fn fixed(value: &Value) -> Node {
    match value {
        Value::Object(map) if !map.is_empty() => Node::Map(
            map.iter()
                .map(|(key, value)| (key.clone(), always(fixed(value))))
                .collect(),
        ),
        Value::Array(items) if !items.is_empty() => Node::List(items.iter().map(|item| (None, fixed(item))).collect()),
        other => Node::Fixed(other.clone()),
    }
}

fn always(node: Node) -> Member {
    Member {
        cases: Vec::new(),
        otherwise: Some(node),
    }
}

/// Changes of one object, each with the knob that makes it.
pub type Changes<'a> = Vec<(&'a Knob, Change)>;

/// Whether two changes are at one place, or one of them within the other.
#[must_use]
pub fn meet(one: &Change, two: &Change) -> bool {
    let whole = |change: &Change| -> Place {
        let mut place = change.place.clone();
        match &change.what {
            What::Key(key, _) | What::Choice(key, _) => place.push(Step::Key(key.clone())),
            What::Items(before, _) => place.push(Step::Item(*before)),
            What::Instead(_) | What::Object(_) => {}
        }
        place
    };
    let (a, b) = (whole(one), whole(two));
    // What is inserted before an item leaves the item as it is.
    let inserts = |change: &Change| matches!(change.what, What::Items(..));
    one.object == two.object
        && match inserts(one) || inserts(two) {
            true => a == b && inserts(one) && inserts(two),
            false => a.starts_with(&b) || b.starts_with(&a),
        }
}

/// An object with its changes.
#[must_use]
pub fn build(object: &Value, changes: &Changes<'_>) -> Node {
    built(object, &mut Vec::new(), changes)
}

fn built(value: &Value, place: &mut Place, changes: &Changes<'_>) -> Node {
    let below = changes.iter().any(|(_, change)| change.place.starts_with(place));
    if !below {
        return fixed(value);
    }
    let here: Vec<&(&Knob, Change)> = changes.iter().filter(|(_, change)| change.place == *place).collect();
    for (knob, change) in &here {
        if let What::Instead(pattern) = &change.what {
            let there = filled(pattern, knob);
            return match condition(knob, change.when) {
                None => there,
                Some(condition) => Node::Either(condition, Box::new(there), Box::new(Node::Fixed(value.clone()))),
            };
        }
    }
    match value {
        Value::Object(map) => {
            let mut members: Vec<(String, Member)> = Vec::new();
            for (key, value) in map {
                place.push(Step::Key(key.clone()));
                members.push((key.clone(), always(built(value, place, changes))));
                place.pop();
            }
            for (knob, change) in here {
                match &change.what {
                    What::Key(key, pattern) => members.push((
                        key.clone(),
                        Member {
                            cases: vec![(Condition::Set(knob.reference()), Some(filled(pattern, knob)))],
                            otherwise: None,
                        },
                    )),
                    What::Choice(key, options) => {
                        let cases = options.iter().map(|(name, value)| {
                            (Condition::Is(knob.reference(), name.clone()), value.as_ref().map(fixed))
                        });
                        let cases: Vec<_> = cases.collect();
                        match members.iter_mut().find(|(of, _)| of == key) {
                            Some((_, member)) => member.cases = cases,
                            None => members.push((key.clone(), Member { cases, otherwise: None })),
                        }
                    }
                    What::Instead(_) | What::Items(..) | What::Object(_) => {}
                }
            }
            Node::Map(members)
        }
        Value::Array(items) => {
            let mut all = Vec::new();
            for index in 0..=items.len() {
                for (knob, change) in &here {
                    if let What::Items(before, patterns) = &change.what
                        && *before == index
                    {
                        let condition = Condition::Set(knob.reference());
                        let patterns = patterns
                            .iter()
                            .map(|pattern| (Some(condition.clone()), filled(pattern, knob)));
                        all.extend(patterns);
                    }
                }
                if let Some(item) = items.get(index) {
                    place.push(Step::Item(index));
                    all.push((None, built(item, place, changes)));
                    place.pop();
                }
            }
            Node::List(all)
        }
        other => Node::Fixed(other.clone()),
    }
}

/// When an object of a change is there.
#[must_use]
pub fn condition(knob: &Knob, when: When) -> Option<Condition> {
    match when {
        When::Always => None,
        When::Set => Some(Condition::Set(knob.reference())),
        When::Several => Some(Condition::Several(knob.reference())),
    }
}
