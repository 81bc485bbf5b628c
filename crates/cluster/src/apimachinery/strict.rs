//! Field validation: what a body says twice and what no schema knows, in Kubernetes' words and in the order of the body.
//!
//! In: the bytes as they came, and the paths that pruning found unknown. Out: complaints; whether they refuse the request or only warn is
//! the caller's to decide (`fieldValidation`). Cost: one pass over the body without building it, a few microseconds a kilobyte.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

/// Reads YAML; of a key that comes twice the last value stays, as in JSON.
pub fn parse_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, yaml_options(DuplicateKeyPolicy::LastWins))
}

fn yaml_options(policy: DuplicateKeyPolicy) -> serde_saphyr::Options {
    serde_saphyr::options! { duplicate_keys: policy, }
}

/// Everything field validation has to say about a body: `unknown field "spec.x"`, `duplicate field "spec.y"`.
pub fn complaints(body: &[u8], unknown: &[String]) -> Vec<String> {
    let name = |path: &String| format!("unknown field {path:?}");
    match has_duplicates(body) {
        Some(false) => unknown.iter().map(name).collect(),
        Some(true) => in_order(body, unknown),
        None => yaml_duplicates(body)
            .into_iter()
            .chain(unknown.iter().map(name))
            .collect(),
    }
}

/// Whether a JSON body gives any field more than once; `None` if it is not JSON.
fn has_duplicates(body: &[u8]) -> Option<bool> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = Repeats::deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(found.0)
}

fn in_order(body: &[u8], unknown: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut said = HashSet::new();
    // Below an unknown field nothing is known, so nothing is a duplicate of anything.
    let below = |path: &str| {
        unknown.iter().any(|outer| {
            path.strip_prefix(outer.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    };
    walk(body, &mut |path, again| {
        let complaint = if unknown.iter().any(|known| known == path) {
            format!("unknown field {path:?}")
        } else if again && !below(path) {
            format!("duplicate field {path:?}")
        } else {
            return;
        };
        if said.insert(complaint.clone()) {
            complaints.push(complaint);
        }
    });
    complaints
}

/// The first key that a YAML body gives twice in one map, as Go's YAML reader tells it.
fn yaml_duplicates(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let read: Result<Value, _> = serde_saphyr::from_str_with_options(text, yaml_options(DuplicateKeyPolicy::Error));
    let error = read.err()?;
    let line = usize::try_from(error.location()?.line()).ok()?;
    let key = text.lines().nth(line.checked_sub(1)?)?;
    let key = key
        .trim_start_matches([' ', '-'])
        .split(':')
        .next()?
        .trim_matches(['"', '\'', ' ']);
    Some(format!(
        "yaml: unmarshal errors:\n  line {line}: key {key:?} already set in map"
    ))
}

/// Whether some field of a value, or of anything in it, came twice. Builds nothing but the names of one map at a time.
struct Repeats(bool);

/// A name as it stands in the body; only one with escapes is copied.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Names of a map up to which each is compared with all before it; beyond, they are hashed.
const FEW: usize = 16;

impl<'de> Deserialize<'de> for Repeats {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Repeats, D::Error> {
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Repeats;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("JSON")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Repeats, E> {
                Ok(Repeats(false))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Repeats, E> {
                Ok(Repeats(false))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Repeats, E> {
                Ok(Repeats(false))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Repeats, E> {
                Ok(Repeats(false))
            }

            fn visit_str<E>(self, _: &str) -> Result<Repeats, E> {
                Ok(Repeats(false))
            }

            fn visit_unit<E>(self) -> Result<Repeats, E> {
                Ok(Repeats(false))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Repeats, A::Error> {
                let mut found = false;
                while let Some(Repeats(below)) = items.next_element()? {
                    found |= below;
                }
                Ok(Repeats(found))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Repeats, A::Error> {
                let mut found = false;
                let mut few: Vec<Cow<'de, str>> = Vec::with_capacity(fields.size_hint().unwrap_or(FEW).min(FEW));
                let mut many: HashSet<Cow<'de, str>> = HashSet::new();
                while let Some(Name(name)) = fields.next_key()? {
                    found |= if few.len() < FEW {
                        let again = few.contains(&name);
                        few.push(name);
                        again
                    } else {
                        few.contains(&name) || !many.insert(name)
                    };
                    found |= fields.next_value::<Repeats>()?.0;
                }
                Ok(Repeats(found))
            }
        }
        reader.deserialize_any(Look)
    }
}

/// Visits every field of a JSON body in order: its path, and whether it is there for the second time. `None` if it is not JSON.
fn walk(body: &[u8], visit: &mut dyn FnMut(&str, bool)) -> Option<()> {
    let walk = RefCell::new(Walk {
        path: String::new(),
        visit,
    });
    let mut reader = serde_json::Deserializer::from_slice(body);
    Node(&walk).deserialize(&mut reader).ok()?;
    reader.end().ok()
}

struct Walk<'a> {
    path: String,
    visit: &'a mut dyn FnMut(&str, bool),
}

#[derive(Clone, Copy)]
struct Node<'a, 'b>(&'a RefCell<Walk<'b>>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let length = self.0.borrow().path.len();
        for index in 0usize.. {
            self.0.borrow_mut().path.push_str(&format!("[{index}]"));
            let more = items.next_element_seed(self)?;
            self.0.borrow_mut().path.truncate(length);
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen: HashSet<String> = HashSet::new();
        let length = self.0.borrow().path.len();
        while let Some(name) = fields.next_key::<String>()? {
            {
                let mut walk = self.0.borrow_mut();
                let Walk { path, visit } = &mut *walk;
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
                if path.len() > 64 << 10 {
                    return Err(A::Error::custom("a path is too long"));
                }
                visit(path, seen.contains(&name));
            }
            seen.insert(name);
            fields.next_value_seed(self)?;
            self.0.borrow_mut().path.truncate(length);
        }
        Ok(())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_ignored_any(IgnoredAny).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str, unknown: &[&str]) -> Vec<String> {
        let unknown: Vec<String> = unknown.iter().map(|path| (*path).to_owned()).collect();
        complaints(body.as_bytes(), &unknown)
    }

    #[test]
    fn duplicates_and_unknown_fields_are_told_in_the_order_of_the_body() {
        let body = r#"{"spec": {"strange": 1, "image": "a", "list": [{"x": 1, "x": 2}], "image": "b", "strange": {"y": 1, "y": 2}, "odd": 1}}"#;
        assert_eq!(
            told(body, &["spec.strange", "spec.odd"]),
            [
                r#"unknown field "spec.strange""#,
                r#"duplicate field "spec.list[0].x""#,
                r#"duplicate field "spec.image""#,
                r#"unknown field "spec.odd""#,
            ]
        );
        assert_eq!(told(r#"{"a": {"b": 1}, "c": {"b": 1}}"#, &[]), Vec::<String>::new());
        assert_eq!(
            told(r#"{"a": 1, "b": 1}"#, &["b", "a"]),
            [r#"unknown field "b""#, r#"unknown field "a""#]
        );
    }

    #[test]
    fn a_name_that_comes_twice_is_found_in_maps_of_any_size_and_however_it_is_written() {
        let body = |count: usize, again: &str| {
            let fields: Vec<String> = (0..count).map(|number| format!("\"f{number}\": {number}")).collect();
            format!("{{\"a\": [{{{}{again}}}]}}", fields.join(","))
        };
        for count in [1, FEW - 1, FEW, FEW + 1, 100] {
            assert_eq!(told(&body(count, ""), &[]), Vec::<String>::new(), "{count}");
            for name in [0, count / 2, count - 1] {
                let again = format!(", \"\\u0066{name}\": null");
                assert_eq!(
                    told(&body(count, &again), &[]),
                    [format!("duplicate field \"a[0].f{name}\"")],
                    "{count}"
                );
            }
        }
    }

    #[test]
    fn yaml_tells_the_line_and_keeps_the_last() {
        let body = "spec:\n  image: a\n  image: b\n";
        assert_eq!(
            told(body, &["spec.image"])[0],
            "yaml: unmarshal errors:\n  line 3: key \"image\" already set in map"
        );
        assert_eq!(parse_yaml(body).unwrap()["spec"]["image"], "b");
    }
}
