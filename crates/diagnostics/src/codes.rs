//! What every code means. Each room has a table; all tables make the one name space.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// What a code means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// Its name. One with a star at its end stands for a family.
    pub code: &'static str,
    /// What it belongs to: a gate, the doctor, a command.
    pub area: &'static str,
    pub what: Cow<'static, str>,
    /// Why it matters, or what shows it.
    pub why: Cow<'static, str>,
    /// How it is fixed.
    pub fix: Cow<'static, str>,
    /// A page with more of it, beside the entry of `docs/reference/codes.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// The codes of a room.
#[derive(Clone, Copy)]
pub struct Table {
    pub room: &'static str,
    /// Reads them; a function, since a room may take them from where they are written for people.
    pub read: fn() -> Vec<Code>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.room)
    }
}

/// Codes out of a text with `code | area | what | why | fix` on each line; `#` begins a comment. A line that is not whole is left out.
#[must_use]
pub fn lines(text: &'static str) -> Vec<Code> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let code = |line: &'static str| {
        let mut columns = line.splitn(5, " | ");
        Some(Code {
            code: columns.next()?,
            area: columns.next()?,
            what: columns.next()?.into(),
            why: columns.next()?.into(),
            fix: columns.next()?.into(),
            more: None,
        })
    };
    lines.filter_map(code).collect()
}

/// The codes of several rooms.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    codes: Vec<(&'static str, Code)>,
}

impl Registry {
    /// Of these tables, in their order.
    #[must_use]
    pub fn of(tables: &[Table]) -> Registry {
        let codes = tables
            .iter()
            .flat_map(|table| (table.read)().into_iter().map(|code| (table.room, code)));
        Registry { codes: codes.collect() }
    }

    /// All, each with its room.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Code)> {
        self.codes.iter().map(|(room, code)| (*room, code))
    }

    /// What a code means. Codes of which there are many stand once, with a star for what differs.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<&Code> {
        let is = |known: &Code| match known.code.strip_suffix('*') {
            Some(family) => code.len() > family.len() && code.starts_with(family),
            None => known.code == code,
        };
        self.codes.iter().map(|(_, known)| known).find(|known| is(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Code> {
        lines(
            "# code | area | what | why | fix\nbad-value | manifest | A value | It is refused | Write another | one\npolicy/* | policy | a | b | c\nhalf | a\n",
        )
    }

    #[test]
    fn codes_are_found_by_name_and_by_family() {
        let registry = Registry::of(&[Table {
            room: "model",
            read: table,
        }]);
        assert_eq!(registry.all().count(), 2);
        assert_eq!(registry.find("bad-value").unwrap().fix, "Write another | one");
        assert_eq!(registry.find("policy/team.deny").unwrap().area, "policy");
        assert!(registry.find("policy/").is_none() && registry.find("nothing").is_none());
    }
}
