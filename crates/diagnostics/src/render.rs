//! For people: a diagnostic as a compiler writes it.

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Severity};

/// With colours or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For files, pipes and logs.
    Plain,
    /// With escape sequences of a terminal.
    Coloured,
}

/// Excerpts are cut to fit before; the renderer must not cut them again.
const WIDTH: usize = 10_000;

/// The text, without a line end:
///
/// ```text
/// error[conf-unknown-key]: `spark.executor.memry`: Spark 4.1.4 does not know this key
///   --> bad.yaml:11:5
///    |
/// 11 |     spark.executor.memry: 2g
///    |     ^^^^^^^^^^^^^^^^^^^^
///    |
///    = field: spec.sparkConf.spark.executor.memry
///    = help: write spark.executor.memory
/// ```
#[must_use]
pub fn text(diagnostic: &Diagnostic, style: Style) -> String {
    let level = match diagnostic.severity {
        Severity::Error if diagnostic.cannot_tell => Level::ERROR.with_name("cannot tell"),
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Advice => Level::NOTE.with_name("advice"),
    };
    let message = printable(&diagnostic.message);
    let title = level.primary_title(message).id(printable(&diagnostic.code));
    let group = title.elements(origin(diagnostic)).elements(notes(diagnostic));
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let text = renderer.term_width(WIDTH).render(&[group]);
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The place, with its line where there is one.
fn origin(diagnostic: &Diagnostic) -> Vec<Element<'_>> {
    if diagnostic.file.is_empty() {
        return Vec::new();
    }
    let (file, excerpt) = (printable(&diagnostic.file), &diagnostic.excerpt);
    let origin = Origin::path(file.clone());
    if diagnostic.line == 0 {
        return vec![origin.into()];
    }
    if excerpt.text.is_empty() {
        return vec![origin.line(diagnostic.line).char_column(diagnostic.column).into()];
    }
    let byte = |character: usize| {
        let mut places = excerpt.text.char_indices().map(|(at, _)| at);
        places.nth(character).unwrap_or(excerpt.text.len())
    };
    let span = byte(excerpt.before)..byte(excerpt.before + excerpt.width.max(1));
    let snippet = Snippet::source(excerpt.text.as_str())
        .line_start(diagnostic.line)
        .annotation(AnnotationKind::Primary.span(span));
    // The column of a line that is cut is not that of the excerpt.
    if excerpt.before + 1 == diagnostic.column {
        return vec![snippet.path(file).into()];
    }
    vec![
        origin.line(diagnostic.line).char_column(diagnostic.column).into(),
        snippet.into(),
    ]
}

fn notes(diagnostic: &Diagnostic) -> Vec<Element<'_>> {
    let mut notes: Vec<Element<'_>> = Vec::new();
    let mut note = |name: &'static str, text: String| notes.push(Level::NOTE.with_name(name).message(text).into());
    if !diagnostic.path.is_empty() {
        note("field", printable(&diagnostic.path));
    }
    if let Some(cause) = &diagnostic.cause {
        note("cause", printable(cause));
    }
    for evidence in &diagnostic.evidence {
        note("seen", printable(&format!("{}: {}", evidence.place, evidence.seen)));
    }
    if let Some(rule) = &diagnostic.rule {
        note("rule", format!("{} ({})", rule.text, rule.source));
    }
    if let Some(fix) = &diagnostic.fix {
        notes.push(Level::HELP.message(printable(&fix.text)).into());
        if let Some(patch) = &fix.patch {
            let yaml = serde_saphyr::to_string(patch).unwrap_or_else(|_| patch.to_string());
            let yaml = printable(yaml.trim_end());
            notes.push(Level::NOTE.with_name("patch").message(yaml).into());
        }
    }
    if let Some(gain) = &diagnostic.gain {
        notes.push(Level::NOTE.with_name("gain").message(printable(&gain.text)).into());
    }
    notes
}

/// A text without characters that command a terminal or break a document; tabs and line ends stay.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evidence, Fix, Gain, Place, Rule, Source};

    #[test]
    fn every_part_is_there() {
        let mut found = Diagnostic::new(Severity::Advice, "data-skew", "one task took 5.9 times the median");
        found.evidence = vec![
            Evidence::new("stage 4", "25.4 s longer"),
            Evidence::new("task 13", "two\nlines"),
        ];
        found.rule = Some(Rule {
            text: "3 times the median",
            source: "spark.sql.adaptive",
        });
        found.fix = Some(Fix {
            text: "salt the key".to_owned(),
            patch: Some(serde_json::json!({"spec": {"sparkConf": {"spark.sql.shuffle.partitions": "400"}}})),
        });
        found.cause = Some("one key is null".to_owned());
        found.gain = Some(Gain {
            text: "25.4 s".to_owned(),
            milliseconds: Some(25_400),
        });
        insta::assert_snapshot!(found.render(), @r#"
        advice[data-skew]: one task took 5.9 times the median
         |
         = cause: one key is null
         = seen: stage 4: 25.4 s longer
         = seen: task 13: two
                 lines
         = rule: 3 times the median (spark.sql.adaptive)
         = help: salt the key
         = patch: spec:
                    sparkConf:
                      spark.sql.shuffle.partitions: "400"
         = gain: 25.4 s
        "#);
    }

    #[test]
    fn what_could_not_be_determined_says_so_and_a_file_is_named_without_a_line() {
        let found = Diagnostic::cannot_tell("no-grammar", "a.sql", "there is no Spark 4.1").with_fix("install it");
        insta::assert_snapshot!(found.render(), @r"
        cannot tell[no-grammar]: there is no Spark 4.1
        --> a.sql
         = help: install it
        ");
    }

    #[test]
    fn a_long_line_keeps_its_column() {
        let source = Source::new("a.json", &format!("{}WRONG{}", "x".repeat(1_000), "y".repeat(1_000)));
        let place = Place {
            start: 1_000,
            end: 1_005,
            line: 1,
            column: 1_001,
        };
        let text = Diagnostic::at(Severity::Error, "bad-value", &source, place, "", "no").render();
        assert!(text.contains("--> a.json:1:1001\n"), "{text}");
        let (line, mark) = (
            text.lines().find(|line| line.contains("WRONG")).unwrap(),
            text.lines().find(|line| line.contains("^^^^^")).unwrap(),
        );
        let column = |line: &str, what: &str| line[..line.find(what).unwrap()].chars().count();
        assert_eq!(column(line, "WRONG"), column(mark, "^^^^^"), "{text}");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let source = Source::new("a\x1b[31m.yaml", "k: \x1b[2Jv\n");
        let place = Place {
            start: 0,
            end: 1,
            line: 1,
            column: 1,
        };
        let found =
            Diagnostic::at(Severity::Warning, "x\x07", &source, place, "p\x1b", "m\x1b[0m\nrest").with_fix("f\r\x1b");
        let text = found.render();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(super::text(&found, Style::Coloured).contains("\x1b["));
    }
}
