//! JUnit's XML, which CI servers show as tests.

use std::fmt::Write;

use super::diagnostic::{Diagnostic, Severity};
use super::render::printable;

/// A suite of tests: one case per diagnostic, and one for the suite itself when there is none.
#[derive(Clone, Debug)]
pub struct Suite<'a> {
    pub name: &'a str,
    /// How long it took.
    pub time: std::time::Duration,
    /// Why it did not run, when it did not and found nothing.
    pub skipped: Option<&'a str>,
    /// What it found, each with why it is let pass, when it is.
    pub cases: Vec<(&'a Diagnostic, Option<String>)>,
}

/// The document. Errors are failures, what cannot be determined is an error, warnings pass with their text, what is let pass is skipped.
/// `whole` names what a diagnostic without a file is about.
#[must_use]
pub fn junit(title: &str, whole: &str, suites: &[Suite<'_>]) -> String {
    let mut text = String::new();
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for Suite {
        name,
        time,
        skipped,
        cases,
    } in suites
    {
        let mut written = String::new();
        let own = usize::from(cases.is_empty());
        if own == 1 {
            let skipped = skipped.map_or_else(String::new, |why| format!("<skipped message=\"{}\"/>", escaped(why)));
            let _ = writeln!(
                written,
                "    <testcase classname=\"stoke.{name}\" name=\"{name}\">{skipped}</testcase>"
            );
        }
        for (found, passes) in cases {
            written.push_str(&case(name, whole, found, passes.as_deref()));
        }
        let fails = cases
            .iter()
            .filter(|(found, passes)| passes.is_none() && found.is_error());
        let unknown = fails.clone().filter(|(found, _)| found.cannot_tell).count();
        let failed = fails.count() - unknown;
        let passing = cases.iter().filter(|(_, passes)| passes.is_some()).count();
        let passing = passing + usize::from(own == 1 && skipped.is_some());
        let count = cases.len() + own;
        let seconds = time.as_secs_f64();
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failed}\" errors=\"{unknown}\" skipped=\"{passing}\" time=\"{seconds:.3}\">\n{written}  </testsuite>"
        );
        (tests, failures, errors) = (tests + count, failures + failed, errors + unknown);
    }
    let title = escaped(title);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{title}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n{text}</testsuites>\n"
    )
}

fn case(suite: &str, whole: &str, found: &Diagnostic, passes: Option<&str>) -> String {
    let place = if found.file.is_empty() {
        whole.to_owned()
    } else {
        found.place()
    };
    let name = escaped(&format!("{} {place}", found.code));
    let mut attributes = String::new();
    if !found.file.is_empty() {
        let _ = write!(attributes, " file=\"{}\"", escaped(&found.file));
    }
    if found.line > 0 {
        let _ = write!(attributes, " line=\"{}\"", found.line);
    }
    let message = escaped(&found.message);
    let mut more = escaped(&place);
    for text in [found.path.as_str(), found.fix_text()] {
        if !text.is_empty() {
            more = format!("{more}\n{}", escaped(text));
        }
    }
    let code = escaped(&found.code);
    let body = match (passes, found.severity) {
        (Some(why), _) => format!("<skipped message=\"{}\"/>", escaped(why)),
        (None, _) if found.cannot_tell => format!("<error message=\"{message}\" type=\"{code}\">{more}</error>"),
        (None, Severity::Error) => format!("<failure message=\"{message}\" type=\"{code}\">{more}</failure>"),
        (None, severity) => format!("<system-out>{severity}: {message}\n{more}</system-out>"),
    };
    format!("    <testcase classname=\"stoke.{suite}\" name=\"{name}\"{attributes}>{body}</testcase>\n")
}

fn escaped(text: &str) -> String {
    printable(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
