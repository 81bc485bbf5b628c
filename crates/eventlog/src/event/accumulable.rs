//! Accumulators' updates and values (`AccumulableInfo`).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a task did to accumulators. Spark's internal metrics are left out: the task's metrics carry them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accumulables {
    /// Updates of whole numbers, as SQL metrics are: accumulator id and update.
    pub sql: Vec<(i64, i64)>,
    /// Accumulators of the user's.
    pub named: Vec<NamedAccumulable>,
}

/// An accumulator of the user's.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NamedAccumulable {
    /// Accumulator id.
    pub id: i64,
    /// Its name; it may have none.
    pub name: Option<String>,
    /// What this task or attempt added.
    pub update: Option<String>,
    /// Its value afterwards.
    pub value: Option<String>,
}

/// An accumulator of a stage. Internal and SQL ones carry no more than their id, which decides the order Spark lists the others in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageAccumulable {
    /// Accumulator id.
    pub id: i64,
    /// Filled when the accumulator is the user's.
    pub named: Option<Box<NamedAccumulable>>,
}

/// `AccumulatorContext.SQL_ACCUM_IDENTIFIER`.
const SQL: &str = "sql";

/// One entry as written.
#[derive(Default)]
struct Raw<'de> {
    id: i64,
    name: Option<Text<'de>>,
    update: Option<Scalar<'de>>,
    value: Option<Scalar<'de>>,
    internal: bool,
    sql: bool,
}

impl Raw<'_> {
    /// One of Spark's internal metrics. Logs before 2.0 do not say which are internal: Spark takes them for the user's then.
    fn is_metric(&self) -> bool {
        self.internal
            && self
                .name
                .as_ref()
                .is_some_and(|name| name.0.starts_with("internal.metrics."))
    }

    fn named(self) -> NamedAccumulable {
        NamedAccumulable {
            id: self.id,
            name: self.name.map(|name| name.0.into_owned()),
            update: self.update.map(Scalar::text),
            value: self.value.map(Scalar::text),
        }
    }
}

/// A text, where it is in the line when it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Any)
    }
}

/// A value that is a number or a text.
enum Scalar<'de> {
    Number(i64),
    Text(Cow<'de, str>),
}

impl Scalar<'_> {
    fn text(self) -> String {
        match self {
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text.into_owned(),
        }
    }

    /// As SQL metrics read it: `String.toLong`.
    fn number(&self) -> Option<i64> {
        match self {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => text.parse().ok(),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Scalar<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number, a text or a list")
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number.cast_signed()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(number.to_string().into()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(value.to_string().into()))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Text(Cow::Borrowed("")))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Text(Cow::Borrowed("")))
            }
        }
        from.deserialize_any(Either)
    }
}

/// The keys of an entry.
enum Key {
    Id,
    Name,
    Update,
    Value,
    Internal,
    Metadata,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys;
        impl Visitor<'_> for Keys {
            type Value = Key;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a field of an accumulable")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "ID" => Key::Id,
                    "Name" => Key::Name,
                    "Update" => Key::Update,
                    "Value" => Key::Value,
                    "Internal" => Key::Internal,
                    "Metadata" => Key::Metadata,
                    _ => Key::Other,
                })
            }
        }
        from.deserialize_identifier(Keys)
    }
}

struct Entry;

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Entry)
    }
}

impl<'de> Visitor<'de> for Entry {
    type Value = Raw<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an accumulable")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
        let mut raw = Raw::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Id => raw.id = map.next_value()?,
                Key::Name => raw.name = map.next_value()?,
                Key::Update => raw.update = map.next_value()?,
                Key::Value => raw.value = map.next_value()?,
                Key::Internal => raw.internal = map.next_value()?,
                Key::Metadata => {
                    raw.sql = map.next_value::<Option<Text<'_>>>()?.is_some_and(|text| text.0 == SQL);
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(raw)
    }
}

impl<'de> Deserialize<'de> for Accumulables {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Accumulables;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of accumulables")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Accumulables, A::Error> {
                let mut all = Accumulables::default();
                while let Some(raw) = list.next_element::<Raw<'_>>()? {
                    if let Some(update) = raw.update.as_ref().and_then(Scalar::number)
                        && !raw.is_metric()
                    {
                        all.sql.push((raw.id, update));
                    }
                    if !raw.internal && !raw.sql {
                        all.named.push(raw.named());
                    }
                }
                Ok(all)
            }
            fn visit_unit<E>(self) -> Result<Accumulables, E> {
                Ok(Accumulables::default())
            }
        }
        from.deserialize_any(List)
    }
}

impl<'de> Deserialize<'de> for StageAccumulable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(from)?;
        let wanted = !raw.internal && !raw.sql;
        Ok(StageAccumulable {
            id: raw.id,
            named: wanted.then(|| Box::new(raw.named())),
        })
    }
}
