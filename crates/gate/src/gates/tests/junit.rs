//! Reads JUnit's XML, as pytest, Surefire and sbt write it. There is no one schema; what all of them have is read: cases with a name, a class, a file, and at
//! most one of failure, error and skipped in each.

use roxmltree::{Document, Node};

/// One test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// Its class, or module.
    pub class: String,
    pub name: String,
    /// The file it is in, where that is told.
    pub file: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was said of it: a message, or what was thrown.
    pub message: String,
    /// The rest of what was said, with a stack.
    pub text: String,
}

/// What came of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    #[default]
    Passed,
    /// What it expects does not hold.
    Failed,
    /// It, or what it needs, broke.
    Broken,
    /// It was not run.
    Skipped,
}

/// The tests in a report.
///
/// # Errors
/// What is wrong with the text.
pub fn read(text: &str) -> Result<Vec<Case>, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    Ok(cases.map(case).collect())
}

fn case(node: Node<'_, '_>) -> Case {
    let text = |name: &str| node.attribute(name).unwrap_or_default().to_owned();
    let mut case = Case {
        class: text("classname"),
        name: text("name"),
        file: text("file"),
        ..Case::default()
    };
    let outcomes = [
        ("failure", Outcome::Failed),
        ("error", Outcome::Broken),
        ("skipped", Outcome::Skipped),
    ];
    for said in node.children().filter(Node::is_element) {
        let Some((_, outcome)) = outcomes.iter().find(|(name, _)| said.has_tag_name(*name)) else {
            continue;
        };
        // A test that failed and whose end broke, too, failed.
        if matches!(case.outcome, Outcome::Passed | Outcome::Skipped) {
            case.outcome = *outcome;
            let message = ["message", "type"].iter().filter_map(|name| said.attribute(*name));
            case.message = message
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .next()
                .unwrap_or_default();
        }
        let parts = said.descendants().filter(Node::is_text).filter_map(|part| part.text());
        parts.for_each(|part| case.text.push_str(part));
    }
    case
}

#[cfg(test)]
mod cases {
    use super::*;

    #[test]
    fn cases_are_read_with_what_was_said_of_them() {
        let text = r#"<?xml version="1.0"?><testsuites><testsuite name="pytest" tests="4">
<testcase classname="tests.test_a" name="test_one[a&quot;b]" file="tests/test_a.py" line="3" time="0.1" />
<testcase classname="tests.test_a" name="test_two"><failure message="assert 1 == 2&#10;more">def x():
&gt;   assert 1 == 2</failure><error message="teardown">y</error><system-out>noise</system-out></testcase>
<testcase classname="A" name="b"><error type="java.lang.NoClassDefFoundError"><![CDATA[at A.b(A.java:7)]]></error></testcase>
<testcase classname="A" name="c"><skipped/></testcase></testsuite></testsuites>"#;
        let cases = read(text).unwrap();
        let outcomes: Vec<Outcome> = cases.iter().map(|case| case.outcome).collect();
        assert_eq!(
            outcomes,
            [Outcome::Passed, Outcome::Failed, Outcome::Broken, Outcome::Skipped]
        );
        assert_eq!(
            (cases[0].name.as_str(), cases[0].file.as_str()),
            ("test_one[a\"b]", "tests/test_a.py")
        );
        assert_eq!(cases[1].message, "assert 1 == 2\nmore");
        assert!(
            cases[1].text.starts_with("def x():\n>   assert 1 == 2"),
            "{}",
            cases[1].text
        );
        assert_eq!(
            (cases[2].message.as_str(), cases[2].text.as_str()),
            ("java.lang.NoClassDefFoundError", "at A.b(A.java:7)")
        );
    }

    #[test]
    fn what_is_no_report_is_an_error() {
        for text in ["", "<testsuite><testcase name='a'>", "<a></b>", "<testcase name=a/>"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("<testsuites/>"), Ok(Vec::new()));
    }
}
