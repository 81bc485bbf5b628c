//! A change of an application that the doctor proposes: what it would change, and the button that does it.

use stoke_diagnostics::Diagnostic;

use super::Visit;
use super::application::Application;
use crate::access::session::digest;
use crate::judge;
use crate::live::Refusal;
use crate::page::{Note, Page, Section, Sheet, Text};

/// Lines around a change that are shown.
const AROUND: usize = 3;
/// Lines that are compared one by one; what is longer is shown whole.
const MOST: usize = 2000;

/// The name of a change in addresses: the same change has the same name.
pub fn name_of(finding: &Diagnostic) -> Option<String> {
    let patch = finding.patch()?;
    let sum = digest(&patch.to_string());
    Some(sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The finding whose change has this name.
pub fn named<'a>(findings: &'a [Diagnostic], name: &str) -> Option<&'a Diagnostic> {
    findings.iter().find(|one| name_of(one).as_deref() == Some(name))
}

/// The page that shows a change before it is made; `tried` is what the API server makes of it without keeping it.
pub fn page(
    app: &Application,
    visit: &Visit,
    csrf: &str,
    finding: &Diagnostic,
    tried: &Result<serde_json::Value, Refusal>,
) -> Page {
    let p = visit.w.platform();
    let mut page = app.page(visit, "change", "", p.change.to_owned());
    page.live = None;
    page.sections.push(Section::Findings(vec![finding.clone()]));
    match tried {
        Ok(after) => {
            let before = serde_json::to_value(&app.object).unwrap_or_default();
            page.sections.push(Section::Text(Text {
                id: "difference",
                title: p.difference,
                text: difference(&judge::manifest(&before), &judge::manifest(after)),
                open: true,
            }));
            page.sections.push(Section::Sheet(Sheet {
                action: app.to(visit, "change/"),
                about: p.change_about,
                hidden: vec![
                    ("csrf", csrf.to_owned()),
                    ("change", name_of(finding).unwrap_or_default()),
                    (
                        "version",
                        app.object.metadata.resource_version.clone().unwrap_or_default(),
                    ),
                ],
                fields: Vec::new(),
                button: p.change_button,
            }));
        }
        Err(refusal) => page.sections.push(Section::Note(Note {
            id: "refused",
            text: format!("{} {refusal}", p.change_refused),
            bad: true,
        })),
    }
    page
}

/// Two texts as a difference: lines that go with `-`, lines that come with `+`, a few around them.
fn difference(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if old.len().max(new.len()) > MOST {
        return after.to_owned();
    }
    // Lengths of what the rests have in common.
    let wide = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * wide];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * wide + j] = match old[i] == new[j] {
                true => common[(i + 1) * wide + j + 1] + 1,
                false => common[(i + 1) * wide + j].max(common[i * wide + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[(i + 1) * wide + j] >= common[i * wide + j + 1] {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let is_near = |place: usize| {
        let from = place.saturating_sub(AROUND);
        let until = (place + AROUND + 1).min(lines.len());
        lines[from..until].iter().any(|(sign, _)| *sign != ' ')
    };
    let near = lines.iter().enumerate().filter(|(place, _)| is_near(*place));
    near.map(|(_, (sign, line))| format!("{sign} {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\n";
        assert_eq!(difference(before, before), "");
        assert_eq!(
            difference(before, "a\nb\nc\nd\nE\nf\ng\nh\ni\n"),
            "  b\n  c\n  d\n- e\n+ E\n  f\n  g\n  h\n+ i\n"
        );
        assert_eq!(difference("", "x\n"), "+ x\n");
        assert_eq!(difference("x\n", ""), "- x\n");
    }
}
