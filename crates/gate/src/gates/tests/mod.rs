//! The job's own tests: what they said when they were run with the job's Spark. Each that failed stands where it broke, in the job's own files.

mod junit;

use stoke_diagnostics::{Diagnostic, Place, Severity};

use self::junit::{Case, Outcome};
use super::Looked;
use crate::Gate;
use crate::Settings;
use crate::job::{File, Job};
use crate::runs::tests::{End, Ran, suites};

/// Lines of output that are shown of a run that broke.
const SHOWN: usize = 12;

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let Some(ran) = &settings.runs.tests else {
        let suites = suites(job);
        let files: usize = suites.iter().map(|suite| suite.files).sum();
        return match files {
            0 => Looked::default(),
            _ => Looked::not_requested(Gate::Tests),
        };
    };
    let mut findings = Vec::new();
    let (mut count, mut skipped) = (0, 0);
    for ran in ran {
        let (cases, found) = judge(job, ran);
        findings.extend(found);
        count += cases.len().max(1);
        skipped += cases.iter().filter(|case| case.outcome == Outcome::Skipped).count();
    }
    let mut looked = Looked::at(count, "test", findings);
    if skipped > 0 {
        looked.what = format!("{}, {skipped} of them skipped by themselves", looked.what);
    }
    looked
}

/// The tests of a run, and what is to be said of it.
fn judge(job: &Job, ran: &Ran) -> (Vec<Case>, Vec<Diagnostic>) {
    let tool = ran.suite.tool.name();
    let directory = match ran.suite.directory.display().to_string() {
        here if here.is_empty() || here == "." => String::new(),
        named => format!("{named}: "),
    };
    let with = ran
        .spark
        .as_ref()
        .map_or(String::new(), |version| format!(" with Spark {version}"));
    let unknown = |code, message: String, fix: &str| vec![Diagnostic::cannot_tell(code, "", message).with_fix(fix)];
    let (code, reports, output) = match &ran.end {
        End::Ended { code, reports, output } => (*code, reports, output),
        End::NotRun { why, fix } => {
            let message = format!("{directory}the tests were not run by {tool}{with}: {why}");
            return (Vec::new(), unknown("tests-not-run", message, fix));
        }
    };
    let mut cases = Vec::new();
    for report in reports {
        match junit::read(report) {
            Ok(read) => cases.extend(read),
            Err(error) => {
                let message = format!("{directory}what {tool} reported cannot be read: {error}");
                return (
                    cases,
                    unknown("tests-not-run", message, "run the tests by hand to see what is wrong"),
                );
            }
        }
    }
    let failing = |case: &&Case| matches!(case.outcome, Outcome::Failed | Outcome::Broken);
    let findings: Vec<Diagnostic> = cases
        .iter()
        .filter(failing)
        .map(|case| of_case(job, ran, case, &with))
        .collect();
    if !findings.is_empty() {
        return (cases, findings);
    }
    // pytest ends with 5 when it found no test.
    let none = cases.iter().all(|case| case.outcome == Outcome::Skipped);
    let found = match code {
        Some(0 | 5) if none => {
            let message = format!(
                "{directory}{tool} ran no test{with}: {} were skipped, and nothing was tested",
                cases.len()
            );
            unknown(
                "tests-none",
                message,
                "see to it that tests are found, and that what they need is there",
            )
        }
        Some(0) => Vec::new(),
        code => {
            let how = code.map_or("was killed".to_owned(), |code| format!("ended with exit code {code}"));
            let message = format!(
                "{directory}{tool} {how}{with} and names no test that failed; it printed last: {}",
                tail(output)
            );
            unknown("tests-not-run", message, "run the tests by hand to see what is wrong")
        }
    };
    (cases, found)
}

/// The last lines of an output, in one, without stacks of the JVM: sbt and Maven print theirs behind what went wrong.
fn tail(output: &str) -> String {
    let is_frame = |line: &str| {
        let line = line.trim_start_matches("[error]").trim_start();
        line.strip_prefix("at ")
            .is_some_and(|call| call.ends_with(')') && call.contains('('))
    };
    let said = |line: &&str| !line.is_empty() && *line != "[error]" && !is_frame(line);
    let lines: Vec<&str> = output.lines().map(str::trim).filter(said).collect();
    lines[lines.len().saturating_sub(SHOWN)..].join(" | ")
}

fn of_case(job: &Job, ran: &Ran, case: &Case, with: &str) -> Diagnostic {
    let code = match case.outcome {
        Outcome::Broken => "test-broken",
        _ => "test-failed",
    };
    let name = match (case.class.as_str(), case.name.as_str()) {
        ("", name) | (name, "") => name.to_owned(),
        (class, name) => format!("{class}.{name}"),
    };
    let said = [&case.message, &case.text]
        .into_iter()
        .find_map(|text| text.lines().map(str::trim).find(|line| !line.is_empty()));
    // A collection that broke says nothing in its first line; the error itself is the last that begins with E.
    let raised = case.text.lines().rev().find_map(|line| line.strip_prefix("E  "));
    let said = match (case.outcome, raised) {
        (Outcome::Broken, Some(raised)) => raised.trim(),
        _ => said.unwrap_or("it says nothing"),
    };
    let message = format!("test `{name}` fails{with}: {said}");
    let fix = "run it by hand for the whole of what it prints";
    match place(job, ran, case) {
        Some((file, place)) => Diagnostic::at(Severity::Error, code, &file.source, place, "", message),
        None => {
            let file = if case.file.is_empty() {
                String::new()
            } else {
                ran.suite.directory.join(&case.file).display().to_string()
            };
            Diagnostic::of_file(Severity::Error, code, file.strip_prefix("./").unwrap_or(&file), message)
        }
    }
    .with_fix(fix)
}

/// Where a test broke: the innermost line of its stack that is in a file of the job.
fn place<'a>(job: &'a Job, ran: &Ran, case: &Case) -> Option<(&'a File, Place)> {
    let plain = |path: &std::path::Path| path.strip_prefix(".").unwrap_or(path).to_owned();
    let python = |name: &str| {
        let path = plain(&ran.suite.directory.join(name));
        job.files.iter().find(|file| plain(&file.path) == path)
    };
    let at = |file: &'a File, line: &str| Some((file, file.source.line_place(line.parse().ok()?)));
    // Python tells the innermost last: `tests/test_a.py:12: AssertionError`, or `File "…/a.py", line 3` of an import.
    let frames = case.text.lines().rev().filter_map(|line| {
        let line = line.trim_start_matches("E ").trim();
        if let Some((name, rest)) = line.split_once(".py:") {
            let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            return at(python(&format!("{name}.py"))?, number);
        }
        let (name, rest) = line.strip_prefix("File \"")?.split_once("\", line ")?;
        let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        // The tests ran in a copy; of its path the end is the suite's own.
        let below = |file: &File| {
            let path = plain(&file.path);
            let inside = path
                .strip_prefix(plain(&ran.suite.directory))
                .ok()?
                .to_string_lossy()
                .into_owned();
            name.strip_suffix(&inside)?.ends_with('/').then_some(inside.len())
        };
        let file = job.files.iter().filter_map(|file| Some((below(file)?, file)));
        at(file.max_by_key(|(length, _)| *length)?.1, number)
    });
    // The JVM tells it first: `at org.acme.ATest.adds(ATest.java:12)`, where the class has the directories of the file.
    let jvm = case.text.lines().filter_map(|line| {
        let (method, rest) = line.trim().strip_prefix("at ")?.split_once('(')?;
        let (name, number) = rest.trim_end_matches(')').split_once(':')?;
        let package = method
            .split('/')
            .next_back()?
            .rsplitn(3, '.')
            .nth(2)
            .unwrap_or_default();
        let end = if package.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", package.replace('.', "/"))
        };
        // Files of Scala need not be in directories of their package: there the name has to be the only one.
        let file = job.files.iter().find(|file| file.path.ends_with(&end)).or_else(|| {
            let mut named = job.files.iter().filter(|file| file.path.ends_with(name));
            let only = named.next()?;
            (name.ends_with(".scala") && named.next().is_none()).then_some(only)
        })?;
        at(file, number)
    });
    let mut all = frames.chain(jvm);
    all.next()
        .or_else(|| Some((python(&case.file)?, Place::default())).filter(|_| !case.file.is_empty()))
}

#[cfg(test)]
mod cases {
    use super::*;
    use crate::job::of_bytes;
    use crate::runs::Runs;
    use crate::runs::tests::{Suite, Tool};

    fn ran(tool: Tool, end: End) -> Ran {
        Ran {
            suite: Suite {
                tool,
                directory: "job".into(),
                files: 1,
                requirements: Vec::new(),
                others: Vec::new(),
            },
            spark: Some("4.1.4".to_owned()),
            end,
        }
    }

    fn said(ran: Ran) -> Vec<(String, String, bool)> {
        let files = [
            ("job/tests/test_a.py", "def test_x():\n    assert add(1) == 3\n"),
            ("job/etl.py", "def add(x):\n    return x / 0\n"),
            (
                "job/src/test/java/org/acme/ATest.java",
                "class ATest {\n  void a() {}\n}\n",
            ),
            (
                "job/src/test/scala/TotalsSuite.scala",
                "class TotalsSuite {\n  test(\"a\") {}\n}\n",
            ),
        ];
        let job = Job {
            files: files
                .iter()
                .map(|(name, text)| of_bytes(name, text.as_bytes()))
                .collect(),
            ..Job::default()
        };
        let settings = Settings {
            runs: Runs {
                tests: Some(vec![ran]),
                ..Runs::default()
            },
            ..Settings::default()
        };
        let findings = look(&job, &settings).findings.into_iter();
        findings
            .map(|finding| (finding.code.to_string(), finding.place(), finding.cannot_tell))
            .collect()
    }

    fn ended(code: i32, report: &str) -> End {
        End::Ended {
            code: Some(code),
            reports: vec![format!("<testsuites>{report}</testsuites>")],
            output: "last words".to_owned(),
        }
    }

    #[test]
    fn a_test_that_fails_stands_where_it_broke() {
        let case = |inside: &str| {
            format!(
                "<testcase classname='tests.test_a' name='test_x' file='tests/test_a.py' line='0'>{inside}</testcase>"
            )
        };
        let rows = [
            (
                "<failure message='assert 2 == 3'>&gt; x\nE  y\n\ntests/test_a.py:2: AssertionError</failure>",
                "test-failed",
                "job/tests/test_a.py:2:5",
            ),
            (
                "<failure message='z'>tests/test_a.py:2: \n_ _ _\netl.py:2: ZeroDivisionError</failure>",
                "test-failed",
                "job/etl.py:2:5",
            ),
            (
                "<error message='collection failure'>E   File \"/tmp/x/copy/etl.py\", line 1\nE   SyntaxError: bad</error>",
                "test-broken",
                "job/etl.py:1:1",
            ),
            (
                "<failure message='z'>elsewhere</failure>",
                "test-failed",
                "job/tests/test_a.py",
            ),
        ];
        for (inside, code, at) in rows {
            assert_eq!(
                said(ran(Tool::Pytest, ended(1, &case(inside)))),
                [(code.to_owned(), at.to_owned(), false)],
                "{inside}"
            );
        }
        let java = "<testcase classname='org.acme.ATest' name='a'><failure message='no'>x\n at org.junit.Assert.fail(Assert.java:3)\n at org.acme.ATest.a(ATest.java:2)</failure></testcase>";
        let at = "job/src/test/java/org/acme/ATest.java:2:3";
        assert_eq!(
            said(ran(Tool::Maven, ended(1, java))),
            [("test-failed".to_owned(), at.to_owned(), false)]
        );
        let scala = "<testcase classname='team.TotalsSuite' name='a'><failure message='no'>x\n at org.scalatest.Assertions.fail(Assertions.scala:3)\n at team.TotalsSuite.$anonfun$new$2(TotalsSuite.scala:2)</failure></testcase>";
        let at = "job/src/test/scala/TotalsSuite.scala:2:3";
        assert_eq!(
            said(ran(Tool::Sbt, ended(1, scala))),
            [("test-failed".to_owned(), at.to_owned(), false)]
        );
    }

    #[test]
    fn stacks_are_no_last_words() {
        let output = "[error] (update) not found: a\n[error] \tat a.b.C.d(C.scala:3)\n[error]\n\tat java.base/x.Y.z(Y.java)\ndone\n";
        assert_eq!(tail(output), "[error] (update) not found: a | done");
    }

    #[test]
    fn what_was_not_tested_cannot_be_told() {
        let passed = "<testcase classname='a' name='b'/>";
        let skipped = "<testcase classname='a' name='b'><skipped/></testcase>";
        let not_run = End::NotRun {
            why: "there is no mvn".to_owned(),
            fix: "install Maven".to_owned(),
        };
        let broken = End::Ended {
            code: Some(0),
            reports: vec!["<testsuite>".to_owned()],
            output: String::new(),
        };
        let rows = [
            (ended(0, passed), ""),
            (ended(0, &format!("{passed}{skipped}")), ""),
            (ended(0, skipped), "tests-none"),
            (ended(5, ""), "tests-none"),
            (ended(0, ""), "tests-none"),
            (ended(3, passed), "tests-not-run"),
            (not_run, "tests-not-run"),
            (broken, "tests-not-run"),
        ];
        for (end, code) in rows {
            let shown = format!("{end:?}");
            let expected: Vec<_> = [code]
                .into_iter()
                .filter(|code| !code.is_empty())
                .map(|code| (code.to_owned(), String::new(), true))
                .collect();
            assert_eq!(said(ran(Tool::Maven, end)), expected, "{shown}");
        }
    }
}
