//! What a value changes in the objects, found out by rendering with several of them: where it stands as it is, and what comes and goes with it. What
//! changes otherwise cannot be calculated by a template, and is not a value of the chart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::knob::{Form, Knob, shown};
use crate::check::examine_one;
use crate::environment::Resolved;
use crate::render::objects;

/// Objects by kind and name.
pub type Objects = BTreeMap<String, Value>;

/// A place in an object: keys of mappings, and numbers of items before anything is inserted.
pub type Place = Vec<Step>;

/// A step of a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Key(String),
    Item(usize),
}

/// Something with the value in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    Fixed(Value),
    /// The value as a number.
    Number,
    /// A text around the value, which stands between each two parts.
    Text(Vec<String>),
    Map(Vec<(String, Pattern)>),
    List(Vec<Pattern>),
}

/// When a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// When there is a value.
    Set,
    /// When it is more than one.
    Several,
}

/// What changes at a place of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// What is there is something else.
    Instead(Pattern),
    /// The mapping there has a further key.
    Key(String, Pattern),
    /// The list there has further items before the one of this number.
    Items(usize, Vec<Pattern>),
    /// There is a further object.
    Object(Pattern),
    /// A key of the mapping there, by the name that the value is; none where it is not there then.
    Choice(String, Vec<(String, Option<Value>)>),
}

/// A change of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub object: String,
    pub place: Place,
    pub when: When,
    pub what: What,
}

/// What is known of a value in an environment.
#[derive(Clone, Debug)]
pub struct Traced {
    /// What it is where nothing is set; none where it is nothing then.
    pub usual: Option<Value>,
    pub changes: Vec<Change>,
}

/// Objects by kind and name.
#[must_use]
pub fn named(at: &Resolved) -> Objects {
    let of = |object: Value| (name(&object), object);
    objects(&at.scope()).into_iter().map(of).collect()
}

/// Kind and name of an object.
#[must_use]
pub fn name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

/// The effect of a value in an environment, whose objects are `base`.
///
/// # Errors
/// Why it cannot be a value of a chart there.
pub fn trace(at: &Resolved, base: &Objects, knob: &Knob) -> Result<Traced, String> {
    match (knob.form, knob.with_room(at)?) {
        (Form::Nodes, _) => choice(at, base, knob),
        (_, None) => graded(at, base, knob),
        (_, Some(roomy)) => graded(&roomy, &named(&roomy), knob),
    }
}

/// A platform with a value, if that is right.
fn with(at: &Resolved, knob: &Knob, value: &Value) -> Result<Resolved, String> {
    let with = knob.set(at, value)?;
    let wrong = examine_one(&with, &knob.component)
        .into_iter()
        .find(|issue| issue.severity == stoke_diagnostics::Severity::Error);
    wrong.map_or(Ok(with), |issue| Err(issue.message))
}

fn graded(at: &Resolved, base: &Objects, knob: &Knob) -> Result<Traced, String> {
    let mut probes = Vec::new();
    for value in knob.probes() {
        probes.push((with(at, knob, &value).map(|with| named(&with)), value));
    }
    // Bounds that only together with others are right are not the value's own.
    if let Some((Err(why), _)) = probes.iter().find(|(probe, _)| probe.is_err()) {
        return Err(why.clone());
    }
    let probes: Vec<(Value, Objects)> = probes
        .into_iter()
        .filter_map(|(probe, value)| Some((value, probe.ok()?)))
        .collect();
    let is_one = |value: &Value| value.as_i64().is_some_and(|count| count <= 1);
    let several: Vec<&(Value, Objects)> = probes.iter().filter(|(value, _)| !is_one(value)).collect();
    let [first, second, ..] = several[..] else {
        return Err("it has one value only".to_owned());
    };
    let mut pattern = BTreeMap::new();
    for (object, value) in &first.1 {
        let other = second
            .1
            .get(object)
            .ok_or_else(|| format!("{object} is not there with each of its values"))?;
        let is_same = |objects: &Objects| objects.get(object) == Some(value);
        if is_same(base) && probes.iter().all(|(_, objects)| is_same(objects)) {
            continue;
        }
        let found = alike(knob, (value, &first.0), (other, &second.0));
        pattern.insert(
            object.clone(),
            found.map_err(|place| format!("{object}: {place} is calculated with it"))?,
        );
    }
    // Objects that are there for more than one only.
    let mut conditional = BTreeSet::new();
    for (value, objects) in &probes {
        for (object, pattern) in &pattern {
            let expected = pattern.at(knob.form, value);
            match objects.get(object) {
                Some(there) if *there == expected => {}
                None if is_one(value) => drop(conditional.insert(object.clone())),
                _ => return Err(format!("{object} is another one when it is {value}")),
            }
        }
        if let Some(further) = objects.keys().find(|object| !first.1.contains_key(*object)) {
            return Err(format!("{further} is there when it is {value}"));
        }
    }
    let usual = knob.value(at).or_else(|| usual(at, knob, base, &pattern));
    let when = |object: &str| match &usual {
        _ if conditional.contains(object) => When::Several,
        Some(_) => When::Always,
        None => When::Set,
    };
    let mut changes = Vec::new();
    for (object, pattern) in &pattern {
        let when = when(object);
        match base.get(object) {
            Some(there) if when != When::Several => {
                let mut found = Vec::new();
                differs(there, pattern, usual.is_some(), &mut Vec::new(), &mut found)
                    .map_err(|place| format!("{object}: {place} is calculated with it"))?;
                changes.extend(found.into_iter().map(|(place, what)| Change {
                    object: object.clone(),
                    place,
                    when,
                    what,
                }));
            }
            _ => changes.push(Change {
                object: object.clone(),
                place: Vec::new(),
                when,
                what: What::Object(pattern.clone()),
            }),
        }
    }
    if let Some(gone) = base.keys().find(|object| !first.1.contains_key(*object)) {
        return Err(format!("{gone} is not there with it"));
    }
    Ok(Traced { usual, changes })
}

/// What stands in the objects where nothing is set, if setting it changes nothing.
fn usual(at: &Resolved, knob: &Knob, base: &Objects, pattern: &BTreeMap<String, Pattern>) -> Option<Value> {
    let value = pattern
        .iter()
        .find_map(|(object, pattern)| pattern.found_in(base.get(object)?))?;
    let same = with(at, knob, &value).is_ok_and(|with| named(&with) == *base);
    same.then_some(value)
}

impl Pattern {
    /// It with a value.
    #[must_use]
    pub fn at(&self, form: Form, value: &Value) -> Value {
        match self {
            Pattern::Fixed(fixed) => fixed.clone(),
            Pattern::Number => value.clone(),
            Pattern::Text(parts) => Value::String(parts.join(&shown(form, value))),
            Pattern::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, of)| (key.clone(), of.at(form, value)))
                    .collect(),
            ),
            Pattern::List(items) => items.iter().map(|item| item.at(form, value)).collect(),
        }
    }

    /// The value that something else has where the pattern has its own.
    fn found_in(&self, there: &Value) -> Option<Value> {
        match self {
            Pattern::Fixed(_) => None,
            Pattern::Number => there.is_number().then(|| there.clone()),
            Pattern::Text(parts) => (parts.iter().all(String::is_empty) && there.is_string()).then(|| there.clone()),
            Pattern::Map(entries) => entries.iter().find_map(|(key, of)| of.found_in(there.get(key)?)),
            Pattern::List(items) => items
                .iter()
                .zip(there.as_array()?)
                .find_map(|(of, item)| of.found_in(item)),
        }
    }
}

/// What two objects with different values have in common; else the place where they differ otherwise.
fn alike(knob: &Knob, (one, of_one): (&Value, &Value), (two, of_two): (&Value, &Value)) -> Result<Pattern, String> {
    match (one, two) {
        _ if one == two => Ok(Pattern::Fixed(one.clone())),
        (Value::Number(_), Value::Number(_)) if one == of_one && two == of_two => Ok(Pattern::Number),
        (Value::String(a), Value::String(b)) => {
            let (shown_a, shown_b) = (shown(knob.form, of_one), shown(knob.form, of_two));
            let parts = |text: &str, shown: &str| -> Vec<String> { text.split(shown).map(str::to_owned).collect() };
            // A number may be a part of another one.
            let whole = *a == shown_a && *b == shown_b;
            let parts_of = (parts(a, &shown_a), parts(b, &shown_b));
            match parts_of.0 == parts_of.1 && (whole || knob.form != Form::Count) {
                true => Ok(Pattern::Text(parts_of.0)),
                false => Err(String::new()),
            }
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let of = |((key, one), two): ((&String, &Value), &Value)| {
                let of = alike(knob, (one, of_one), (two, of_two)).map_err(|below| under(key, &below))?;
                Ok((key.clone(), of))
            };
            a.iter()
                .zip(b.values())
                .map(of)
                .collect::<Result<_, _>>()
                .map(Pattern::Map)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let of = |(one, two)| alike(knob, (one, of_one), (two, of_two));
            a.iter().zip(b).map(of).collect::<Result<_, _>>().map(Pattern::List)
        }
        _ => Err(String::new()),
    }
}

fn under(key: &str, below: &str) -> String {
    match below {
        "" => key.to_owned(),
        below => format!("{key}.{below}"),
    }
}

type Found = Vec<(Place, What)>;

/// What of an object is different from a pattern, or has the value in it.
fn differs(there: &Value, pattern: &Pattern, is_set: bool, place: &mut Place, found: &mut Found) -> Result<(), String> {
    match (there, pattern) {
        (_, Pattern::Fixed(fixed)) if fixed == there => Ok(()),
        (Value::Object(there), Pattern::Map(entries)) => members(there, entries, is_set, place, found),
        (Value::Object(object), Pattern::Fixed(Value::Object(fixed))) => {
            let entries: Vec<(String, Pattern)> = fixed
                .iter()
                .map(|(key, value)| (key.clone(), Pattern::Fixed(value.clone())))
                .collect();
            members(object, &entries, is_set, place, found)
        }
        (Value::Array(items), Pattern::List(patterns)) => list(items, patterns, is_set, place, found),
        (Value::Array(items), Pattern::Fixed(Value::Array(fixed))) => {
            let patterns: Vec<Pattern> = fixed.iter().cloned().map(Pattern::Fixed).collect();
            list(items, &patterns, is_set, place, found)
        }
        (Value::Object(_) | Value::Array(_), _) | (_, Pattern::Map(_) | Pattern::List(_)) => Err(String::new()),
        _ => {
            found.push((place.clone(), What::Instead(pattern.clone())));
            Ok(())
        }
    }
}

fn members(
    there: &serde_json::Map<String, Value>,
    entries: &[(String, Pattern)],
    is_set: bool,
    place: &mut Place,
    found: &mut Found,
) -> Result<(), String> {
    if let Some(gone) = there.keys().find(|key| !entries.iter().any(|(of, _)| of == *key)) {
        return Err(gone.clone());
    }
    for (key, pattern) in entries {
        match there.get(key) {
            Some(value) => {
                place.push(Step::Key(key.clone()));
                differs(value, pattern, is_set, place, found).map_err(|below| under(key, &below))?;
                place.pop();
            }
            // A mapping with nothing else in it would be nothing at all without the value.
            None if there.is_empty() || is_set => return Err(key.clone()),
            None => found.push((place.clone(), What::Key(key.clone(), pattern.clone()))),
        }
    }
    Ok(())
}

fn list(
    items: &[Value],
    patterns: &[Pattern],
    is_set: bool,
    place: &mut Place,
    found: &mut Found,
) -> Result<(), String> {
    if items.len() == patterns.len() {
        for (index, (item, pattern)) in items.iter().zip(patterns).enumerate() {
            place.push(Step::Item(index));
            differs(item, pattern, is_set, place, found)?;
            place.pop();
        }
        return Ok(());
    }
    let same = |(item, pattern): &(&Value, &Pattern)| matches!(pattern, Pattern::Fixed(fixed) if fixed == *item);
    let before = items.iter().zip(patterns).take_while(same).count();
    let (left, more) = (&items[before..], &patterns[before..]);
    let after = left.iter().rev().zip(more.iter().rev()).take_while(same).count();
    if after < left.len() || is_set || items.is_empty() {
        return Err(String::new());
    }
    found.push((place.clone(), What::Items(before, more[..more.len() - after].to_vec())));
    Ok(())
}

/// The effect of a name out of some: at each place, what is there with each of them.
fn choice(at: &Resolved, base: &Objects, knob: &Knob) -> Result<Traced, String> {
    let mut all = Vec::new();
    for value in knob.probes() {
        let objects = named(&with(at, knob, &value)?);
        if !objects.keys().eq(base.keys()) {
            return Err("objects come and go with it".to_owned());
        }
        all.push((shown(knob.form, &value), objects));
    }
    let mut changes = Vec::new();
    for (object, there) in base {
        let mut places = BTreeSet::new();
        for (_, objects) in &all {
            apart(there, &objects[object], &mut Vec::new(), &mut places)
                .map_err(|place| format!("{object}: {place} is calculated with it"))?;
        }
        // What is below another one is decided there.
        let outer: Vec<&(Place, String)> = places
            .iter()
            .filter(|(place, _)| {
                !places.iter().any(|(other, of)| {
                    place.len() > other.len() && place.starts_with(other) && place[other.len()] == Step::Key(of.clone())
                })
            })
            .collect();
        for (place, key) in outer {
            let of = |(name, objects): &(String, Objects)| {
                let mapping = place.iter().try_fold(&objects[object], |value, step| match step {
                    Step::Key(key) => value.get(key),
                    Step::Item(index) => value.get(index),
                });
                (name.clone(), mapping.and_then(|mapping| mapping.get(key)).cloned())
            };
            let what = What::Choice(key.clone(), all.iter().map(of).collect());
            changes.push(Change {
                object: object.clone(),
                place: place.clone(),
                when: When::Always,
                what,
            });
        }
    }
    Ok(Traced {
        usual: knob.value(at),
        changes,
    })
}

/// Keys, with the place of their mapping, that are not the same; whole labels rather than one of them.
fn apart(one: &Value, two: &Value, place: &mut Place, found: &mut BTreeSet<(Place, String)>) -> Result<(), String> {
    match (one, two) {
        _ if one == two => Ok(()),
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let deeper = match (a.get(key), b.get(key)) {
                    (Some(one), Some(two)) if one == two => continue,
                    (Some(one), Some(two)) if key != "nodeSelector" && !one.is_string() => Some((one, two)),
                    _ => None,
                };
                if let Some((one, two)) = deeper {
                    let mut inner = BTreeSet::new();
                    place.push(Step::Key(key.clone()));
                    let below = apart(one, two, place, &mut inner);
                    place.pop();
                    if below.is_ok() {
                        found.extend(inner);
                        continue;
                    }
                }
                found.insert((place.clone(), key.clone()));
            }
            Ok(())
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() && a.iter().all(Value::is_object) => {
            for (index, (one, two)) in a.iter().zip(b).enumerate() {
                place.push(Step::Item(index));
                apart(one, two, place, found)?;
                place.pop();
            }
            Ok(())
        }
        _ => Err(String::new()),
    }
}
