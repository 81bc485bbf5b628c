//! What a compiled ANTLR recognizer says in its class file: the serialized tables, the numbers of its rules and tokens, and its predicates and actions.
//!
//! Source: the class file format (JVM specification, chapter 4) and the shape of what ANTLR 4 generates: constants `_serializedATN…` and
//! `RULE_…`, and methods `<rule>_sempred` and `<rule>_action` that switch over the index of the predicate or action.

use std::collections::BTreeMap;

use noak::reader::attributes::{Code, RawInstruction};
use noak::reader::cpool::{self, ConstantPool, Item};
use noak::reader::{AttributeContent, Class, Method};

/// Steps a predicate's code may take; ANTLR's have fewer than twenty.
const MOST_STEPS: usize = 200;

/// A class file that is not what ANTLR generates.
#[derive(Debug, thiserror::Error)]
pub enum ClassError {
    /// It cannot be decoded.
    #[error("the class file cannot be read: {0}")]
    Decode(String),
    /// It has no tables.
    #[error("it has no serialized parser tables (`_serializedATN`)")]
    NoTables,
}

/// A condition in a grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// Always the same.
    Constant(bool),
    /// What the code asks: names of fields and methods in the order they are used, joined by a space, and whether the answer is turned round.
    Asks {
        /// For example `isHint`, or `getText tags peek equals`.
        what: String,
        /// Whether it holds when the answer is `false`.
        negated: bool,
    },
}

/// What a method looks for ahead: whether a token is one of some, where settings let it look at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Settings that must be on.
    pub settings: Vec<String>,
    /// How far ahead the token is; 1 is the next.
    pub distance: usize,
    /// Its types.
    pub tokens: Vec<i32>,
}

/// What a recognizer's class file says.
#[derive(Debug, Default)]
pub struct Recognizer {
    /// The tables as 16-bit words.
    pub tables: Vec<u16>,
    /// Numbers of rules by name.
    pub rules: BTreeMap<String, usize>,
    /// Numbers of tokens by name.
    pub tokens: BTreeMap<String, i32>,
    /// Conditions by number.
    pub predicates: BTreeMap<usize, Predicate>,
    /// Actions by number: what they use, as in [`Predicate::Asks`].
    pub actions: BTreeMap<usize, String>,
    /// Methods that look at a token ahead, by name.
    pub aheads: BTreeMap<String, Ahead>,
}

/// Reads a class file.
///
/// # Errors
/// When it is damaged, or not of a recognizer.
pub fn read(bytes: &[u8]) -> Result<Recognizer, ClassError> {
    let class = Class::new(bytes).map_err(decode)?;
    let pool = class.pool();
    let mut found = Recognizer::default();
    // One constant, or several where it is too long for one: `_serializedATNSegment0`, `…1`, in order.
    let mut segments: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
    for field in class.fields() {
        let field = field.map_err(decode)?;
        let name = text(pool, field.name())?;
        for attribute in field.attributes() {
            let attribute = attribute.map_err(decode)?;
            let Ok(AttributeContent::ConstantValue(constant)) = attribute.read_content(pool) else {
                continue;
            };
            match pool.get(constant.value()).map_err(decode)? {
                Item::Integer(number) => match name.strip_prefix("RULE_") {
                    Some(rule) => {
                        found
                            .rules
                            .insert(rule.to_owned(), usize::try_from(number.value).unwrap_or_default());
                    }
                    // The tables' own numbers, and modes.
                    None if name.starts_with('_') => {}
                    None => {
                        found.tokens.insert(name.clone(), number.value);
                    }
                },
                Item::String(constant) => {
                    if let Some(rest) = name.strip_prefix("_serializedATN") {
                        let number = rest.trim_start_matches("Segment").parse().unwrap_or(0);
                        segments.insert(
                            number,
                            words(pool.get(constant.string).map_err(decode)?.content.as_bytes()),
                        );
                    }
                }
                _ => {}
            }
        }
    }
    found.tables = segments.into_values().flatten().collect();
    if found.tables.is_empty() {
        return Err(ClassError::NoTables);
    }
    for method in class.methods() {
        let method = method.map_err(decode)?;
        let name = text(pool, method.name())?;
        if name.ends_with("_sempred") {
            for (number, ends) in branches(&method, pool)? {
                found.predicates.insert(number, ends);
            }
        } else if name.ends_with("_action") {
            for (number, ends) in branches(&method, pool)? {
                if let Predicate::Asks { what, .. } = ends {
                    found.actions.insert(number, what);
                }
            }
        } else if let Some(ahead) = ahead(&method, pool)? {
            found.aheads.insert(name, ahead);
        }
    }
    Ok(found)
}

fn decode(error: noak::error::DecodeError) -> ClassError {
    ClassError::Decode(error.to_string())
}

fn text(pool: &ConstantPool<'_>, at: cpool::Index<cpool::Utf8<'_>>) -> Result<String, ClassError> {
    // Names are ASCII here; what is not is not a name of ours.
    let bytes = pool.get(at).map_err(decode)?.content.as_bytes();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// The 16-bit words of a string constant: "modified UTF-8", in which surrogates stand alone and zero has two bytes. The format guarantees that it is whole.
fn words(bytes: &[u8]) -> Vec<u16> {
    let low = |byte: Option<&u8>| u16::from(byte.copied().unwrap_or_default() & 0x3f);
    let mut words = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        let first = *first;
        let (word, length) = match first {
            0..0x80 => (u16::from(first), 1),
            0x80..0xe0 => (u16::from(first & 0x1f) << 6 | low(bytes.get(at + 1)), 2),
            _ => (
                u16::from(first & 0x0f) << 12 | low(bytes.get(at + 1)) << 6 | low(bytes.get(at + 2)),
                3,
            ),
        };
        words.push(word);
        at += length;
    }
    words
}

/// A method that compares `LA(n)` with constants.
fn ahead(method: &Method<'_>, pool: &ConstantPool<'_>) -> Result<Option<Ahead>, ClassError> {
    let mut found = Ahead::default();
    let mut constant = None;
    let Some(code) = code(method, pool)? else {
        return Ok(None);
    };
    // Read no further than it may be such a method: rules have methods, too, of thousands of instructions.
    for instruction in code.raw_instructions() {
        let (_, instruction) = instruction.map_err(decode)?;
        let pushed = match instruction {
            RawInstruction::BIPush { value } => Some(i32::from(value)),
            RawInstruction::SIPush { value } => Some(i32::from(value)),
            RawInstruction::IConst0 => Some(0),
            RawInstruction::IConst1 => Some(1),
            RawInstruction::IConst2 => Some(2),
            RawInstruction::IConst3 => Some(3),
            RawInstruction::IConst4 => Some(4),
            RawInstruction::IConst5 => Some(5),
            _ => None,
        };
        match instruction {
            RawInstruction::GetField { index } => {
                let name = named(pool, pool.get(index).map_err(decode)?.name_and_type)?;
                if name != "_input" {
                    found.settings.push(name);
                }
            }
            RawInstruction::InvokeInterface { index, .. } => {
                match (
                    named(pool, pool.get(index).map_err(decode)?.name_and_type)?.as_str(),
                    constant,
                ) {
                    ("LA", Some(distance)) => found.distance = usize::try_from(distance).unwrap_or_default(),
                    _ => return Ok(None),
                }
            }
            RawInstruction::InvokeVirtual { .. } | RawInstruction::InvokeSpecial { .. } => return Ok(None),
            // The last comparison may be turned round.
            RawInstruction::IfICmpEq { .. } | RawInstruction::IfICmpNe { .. } => found.tokens.extend(constant),
            _ => {}
        }
        constant = pushed;
    }
    Ok((found.distance > 0 && !found.tokens.is_empty()).then_some(found))
}

fn named(pool: &ConstantPool<'_>, at: cpool::Index<cpool::NameAndType<'_>>) -> Result<String, ClassError> {
    text(pool, pool.get(at).map_err(decode)?.name)
}

fn code<'a>(method: &Method<'a>, pool: &ConstantPool<'a>) -> Result<Option<Code<'a>>, ClassError> {
    for attribute in method.attributes() {
        if let Ok(AttributeContent::Code(code)) = attribute.map_err(decode)?.read_content(pool) {
            return Ok(Some(code));
        }
    }
    Ok(None)
}

/// The branches of a method's switch, each with what it asks or does.
fn branches(method: &Method<'_>, pool: &ConstantPool<'_>) -> Result<Vec<(usize, Predicate)>, ClassError> {
    if let Some(code) = code(method, pool)? {
        for instruction in code.raw_instructions() {
            let (at, instruction) = instruction.map_err(decode)?;
            let pairs: Vec<(i32, i32)> = match instruction {
                RawInstruction::TableSwitch(switch) => switch.pairs().map(|pair| (pair.key(), pair.offset())).collect(),
                RawInstruction::LookupSwitch(switch) => {
                    switch.pairs().map(|pair| (pair.key(), pair.offset())).collect()
                }
                _ => continue,
            };
            let at = i64::from(at.as_u32());
            return pairs
                .into_iter()
                .map(|(key, offset)| {
                    Ok((
                        usize::try_from(key).unwrap_or_default(),
                        branch(&code, pool, at + i64::from(offset))?,
                    ))
                })
                .collect();
        }
    }
    Ok(Vec::new())
}

/// Follows the code of one branch to its end.
fn branch(code: &Code<'_>, pool: &ConstantPool<'_>, start: i64) -> Result<Predicate, ClassError> {
    let mut names: Vec<String> = Vec::new();
    let (mut constant, mut negated, mut at) = (None, false, start);
    for _ in 0..MOST_STEPS {
        let mut following = code.raw_instructions();
        let Some(instruction) = following.find_map(|each| match each {
            Ok((index, instruction)) if i64::from(index.as_u32()) == at => Some(instruction),
            _ => None,
        }) else {
            break;
        };
        let next = following
            .next()
            .and_then(Result::ok)
            .map_or(i64::MAX, |(index, _)| i64::from(index.as_u32()));
        let mut used = |name_and_type| -> Result<(), ClassError> {
            names.push(named(pool, name_and_type)?);
            Ok(())
        };
        at = match instruction {
            RawInstruction::GetField { index } => {
                used(pool.get(index).map_err(decode)?.name_and_type)?;
                next
            }
            RawInstruction::InvokeVirtual { index } => {
                used(pool.get(index).map_err(decode)?.name_and_type)?;
                next
            }
            RawInstruction::InvokeInterface { index, .. } => {
                used(pool.get(index).map_err(decode)?.name_and_type)?;
                next
            }
            // `ifne`, then 1, else 0: the answer turned round. `ifeq`, then 1, else 0: the answer itself.
            RawInstruction::IfNe { .. } => {
                negated = true;
                next
            }
            RawInstruction::IConst0 => {
                constant = Some(false);
                next
            }
            RawInstruction::IConst1 => {
                constant = Some(true);
                next
            }
            RawInstruction::Goto { offset } => at + i64::from(offset),
            RawInstruction::IReturn | RawInstruction::Return => break,
            _ => next,
        };
    }
    Ok(match (names.is_empty(), constant) {
        (true, Some(constant)) => Predicate::Constant(constant),
        _ => Predicate::Asks {
            what: names.join(" "),
            negated,
        },
    })
}
