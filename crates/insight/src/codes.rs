//! What the codes of this room mean. Failures stand in `docs/reference/doctor.md`, all others in `codes.txt`.

use stoke_diagnostics::codes::{Code, Table, lines};

/// The codes of this room.
pub const TABLE: Table = Table { room: "insight", read };

fn read() -> Vec<Code> {
    let mut codes = lines(include_str!("codes.txt"));
    let sections = include_str!("../../../docs/reference/doctor.md")
        .split("\n#### ")
        .skip(1);
    codes.extend(sections.filter_map(failure));
    codes
}

/// A section of the page: its first paragraph, what it is recognised by, and the fix.
fn failure(section: &'static str) -> Option<Code> {
    let (code, text) = section.split_once('\n')?;
    let text = text.split("\n#").next()?.trim();
    let (what, points) = text.split_once("\n\n- Recognised by: ")?;
    let (why, fix) = points.split_once("\n- To fix: ")?;
    let fix = fix.split("\n\n").next()?;
    let line = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").trim_end_matches('.').to_owned()
    };
    Some(Code {
        code: code.trim(),
        area: "doctor",
        what: line(what).into(),
        why: format!("Recognised by {}", line(why)).into(),
        fix: line(fix).into(),
        more: Some(format!("docs/reference/doctor.md#{}", code.trim())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_read_from_the_page() {
        let codes = read();
        for code in crate::doctor::failures::codes() {
            assert!(codes.iter().any(|known| known.code == code), "{code}");
        }
    }
}
