//! Reads JUnit's XML, as pytest, Surefire and sbt write it. There is no one schema; what all of them have is read: cases with a name, a class, a file, and at
//! most one of failure, error and skipped in each.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// One test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// Its class, or module.
    pub class: String,
    /// Its name.
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
    /// It passed.
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
    let mut reader = Reader::from_str(text);
    let mut cases: Vec<Case> = Vec::new();
    let mut inside = Vec::new();
    let wrong = |error: quick_xml::Error| error.to_string();
    loop {
        match reader.read_event().map_err(wrong)? {
            Event::Start(tag) => {
                begin(&tag, &mut cases, &inside)?;
                inside.push(tag.local_name().as_ref().to_vec());
            }
            Event::Empty(tag) => begin(&tag, &mut cases, &inside)?,
            Event::End(_) => {
                inside.pop();
            }
            Event::Text(part) => add(&mut cases, &inside, &part.decode().map_err(|error| error.to_string())?),
            Event::CData(part) => add(&mut cases, &inside, &part.decode().map_err(|error| error.to_string())?),
            Event::GeneralRef(name) => {
                let resolved = name.resolve_char_ref().map_err(wrong)?.map(String::from);
                let named = || {
                    let name = name.decode().ok()?;
                    quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned)
                };
                add(&mut cases, &inside, &resolved.or_else(named).unwrap_or_default());
            }
            Event::Eof if inside.is_empty() => return Ok(cases),
            Event::Eof => return Err("it ends in the middle".to_owned()),
            _ => {}
        }
    }
}

fn begin(tag: &BytesStart<'_>, cases: &mut Vec<Case>, inside: &[Vec<u8>]) -> Result<(), String> {
    let attribute = |name: &str| -> Result<String, String> {
        let found = tag.try_get_attribute(name).map_err(|error| error.to_string())?;
        let value = found.map(|found| {
            found
                .normalized_value(XmlVersion::Implicit1_0)
                .map(|value| value.into_owned())
        });
        value
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(|error| error.to_string())
    };
    let in_case = inside.last().is_some_and(|name| name == b"testcase");
    let outcome = match tag.local_name().as_ref() {
        b"testcase" => {
            cases.push(Case {
                class: attribute("classname")?,
                name: attribute("name")?,
                file: attribute("file")?,
                ..Case::default()
            });
            return Ok(());
        }
        b"failure" if in_case => Outcome::Failed,
        b"error" if in_case => Outcome::Broken,
        b"skipped" if in_case => Outcome::Skipped,
        _ => return Ok(()),
    };
    let Some(case) = cases.last_mut() else {
        return Ok(());
    };
    // A test that failed and whose end broke, too, failed.
    if case.outcome == Outcome::Passed || case.outcome == Outcome::Skipped {
        case.outcome = outcome;
        case.message = attribute("message")?;
        if case.message.is_empty() {
            case.message = attribute("type")?;
        }
    }
    Ok(())
}

fn add(cases: &mut [Case], inside: &[Vec<u8>], text: &str) {
    let said = inside
        .last()
        .is_some_and(|name| matches!(name.as_slice(), b"failure" | b"error" | b"skipped"));
    if let Some(case) = cases.last_mut().filter(|_| said) {
        case.text.push_str(text);
    }
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
    fn what_is_no_report_is_an_error_or_has_no_cases() {
        for text in ["<testsuite><testcase name='a'>", "<a></b>", "<testcase name=a/>"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read(""), Ok(Vec::new()));
    }
}
