//! The fields of every message, read from `fields.txt` when the first protobuf body comes (1 to 2 ms, about 400 KiB for the process).

use std::collections::HashMap;
use std::sync::OnceLock;

const FIELDS: &str = include_str!("fields.txt");

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    /// Its own name, `Pod`.
    pub name: &'static str,
    /// The package it is in, `core/v1`.
    pub package: &'static str,
    /// Fields by ascending number.
    pub fields: Vec<Field>,
    /// Messages that stand for something else than an object of their fields.
    pub special: Option<Special>,
}

/// Messages whose JSON is not an object of their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// Text, `string = 1`.
    Quantity,
    /// A number or text.
    IntOrString,
    /// RFC 3339, whole seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// Any JSON, as bytes.
    Raw,
    /// A list of texts, `items = 1`.
    Texts,
    /// A truth or a schema.
    SchemaOrBool,
    /// A schema or a list of schemas.
    SchemaOrArray,
    /// A schema or a list of texts.
    SchemaOrTexts,
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    pub number: u32,
    /// Name in JSON.
    pub name: &'static str,
    pub kind: Kind,
    pub shape: Shape,
    /// JSON leaves out the zero value.
    pub omit_zero: bool,
    /// The fields of this message are fields of the outer one in JSON.
    pub inline: bool,
}

/// Type of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Truth,
    /// 32 bits.
    Whole,
    /// 64 bits.
    Long,
    Real,
    Bytes,
    Message(Id),
}

/// How many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
    Map,
}

/// Index of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(usize);

/// All messages.
pub(super) struct Table {
    messages: Vec<Message>,
    /// `core/v1.Pod`.
    names: HashMap<String, Id>,
}

impl Table {
    /// The one table.
    pub(super) fn get() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Table::parse(FIELDS))
    }

    fn parse(text: &'static str) -> Table {
        let mut names = HashMap::new();
        let mut package = "";
        // Names first: messages refer to later ones.
        for line in lines(text) {
            if let Some(name) = line.strip_prefix('@') {
                package = name;
            } else if !line.starts_with(|first: char| first.is_ascii_digit()) {
                let id = Id(names.len());
                names.insert(format!("{package}.{line}"), id);
            }
        }
        let mut messages: Vec<Message> = Vec::with_capacity(names.len());
        for line in lines(text) {
            if let Some(name) = line.strip_prefix('@') {
                package = name;
            } else if line.starts_with(|first: char| first.is_ascii_digit()) {
                let field = parse_field(line, package, &names);
                if let (Some(field), Some(message)) = (field, messages.last_mut()) {
                    message.fields.push(field);
                }
            } else {
                messages.push(Message {
                    name: line,
                    package,
                    fields: Vec::new(),
                    special: special(package, line),
                });
            }
        }
        for message in &mut messages {
            message.fields.sort_by_key(|field| field.number);
        }
        Table { messages, names }
    }

    /// A message a field refers to.
    pub(super) fn message(&self, id: Id) -> &Message {
        &self.messages[id.0]
    }

    /// A message of a package.
    pub(super) fn named(&self, package: &str, message: &str) -> Option<&Message> {
        self.names
            .get(&format!("{package}.{message}"))
            .map(|id| self.message(*id))
    }

    /// The message of a kind. Options and answers of every group are those of `meta/v1`.
    pub(super) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Message> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let package = match group.split('.').next().unwrap_or_default() {
            "" => "core",
            first => first,
        };
        let id = self
            .names
            .get(&format!("{package}/{version}.{kind}"))
            .or_else(|| self.names.get(&format!("meta/v1.{kind}")))?;
        Some(self.message(*id)).filter(|message| message.special.is_none())
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Message)> {
        self.names.iter().map(|(name, id)| (name.as_str(), self.message(*id)))
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn parse_field(line: &'static str, package: &str, names: &HashMap<String, Id>) -> Option<Field> {
    let mut words = line.split(' ');
    let (number, name, kind) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let flags = words.next().unwrap_or_default();
    let kind = match kind {
        "s" => Kind::Text,
        "b" => Kind::Truth,
        "i" => Kind::Whole,
        "l" => Kind::Long,
        "d" => Kind::Real,
        "y" => Kind::Bytes,
        message if message.contains('.') => Kind::Message(*names.get(message)?),
        message => Kind::Message(*names.get(&format!("{package}.{message}"))?),
    };
    let shape = if flags.contains('*') {
        Shape::List
    } else if flags.contains('%') {
        Shape::Map
    } else {
        Shape::One
    };
    Some(Field {
        number,
        name,
        kind,
        shape,
        omit_zero: flags.contains('?'),
        inline: flags.contains('='),
    })
}

fn special(package: &str, message: &str) -> Option<Special> {
    Some(match (package, message) {
        ("resource", "Quantity" | "QuantityValue") => Special::Quantity,
        ("intstr", "IntOrString") => Special::IntOrString,
        ("meta/v1", "Time") => Special::Time,
        ("meta/v1", "MicroTime") => Special::MicroTime,
        ("meta/v1", "FieldsV1") | ("runtime", "RawExtension") | ("apiextensions/v1", "JSON") => Special::Raw,
        ("meta/v1", "Verbs") | (_, "ExtraValue") => Special::Texts,
        ("apiextensions/v1", "JSONSchemaPropsOrBool") => Special::SchemaOrBool,
        ("apiextensions/v1", "JSONSchemaPropsOrArray") => Special::SchemaOrArray,
        ("apiextensions/v1", "JSONSchemaPropsOrStringArray") => Special::SchemaOrTexts,
        _ => return None,
    })
}
