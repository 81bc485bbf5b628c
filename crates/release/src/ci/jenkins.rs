//! A declarative `Jenkinsfile`, for a multibranch pipeline.

use std::fmt::Write;

use super::Step;

const HEAD: &str = "\
// Written by `stoke ci init`. It needs agents with the label `stoke`, which have `stoke` and `git`, and STOKE_RELEASES, the place where releases are kept,
// as a global variable or one of the folder. Steps that make releases run on the primary branch of a multibranch pipeline.
";

pub fn file(steps: &[Step]) -> String {
    let mut text = format!(
        "{HEAD}pipeline {{\n    agent {{ label 'stoke' }}\n    options {{\n        disableConcurrentBuilds()\n        timeout(time: 60, unit: 'MINUTES')\n    }}\n    stages {{\n"
    );
    for step in steps {
        stage(&mut text, step);
    }
    text.push_str("    }\n}\n");
    text
}

fn stage(text: &mut String, step: &Step) {
    let mut line = |depth: usize, words: &str| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{:1$}{words}", "", depth * 4);
    };
    line(2, &format!("stage({}) {{", quoted(step.name)));
    if step.releases {
        line(3, "when { environment name: 'BRANCH_IS_PRIMARY', value: 'true' }");
    }
    if step.signs {
        line(3, "environment {");
        line(4, "STOKE_KEY = credentials('stoke-key')");
        line(4, "COSIGN_PASSWORD = credentials('stoke-key-password')");
        line(3, "}");
    }
    line(3, "steps {");
    for command in &step.lines {
        line(4, &format!("sh {}", quoted(command)));
    }
    line(3, "}");
    if let Some(report) = step.report {
        line(3, "post {");
        line(
            4,
            &format!(
                "always {{ junit allowEmptyResults: true, testResults: {} }}",
                quoted(report)
            ),
        );
        line(3, "}");
    }
    line(2, "}");
}

/// A string of Groovy in which nothing is replaced.
fn quoted(text: &str) -> String {
    format!(
        "'{}'",
        text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_string() {
        for (text, expected) in [
            ("a", "'a'"),
            ("it's", r"'it\'s'"),
            (r"a\b", r"'a\\b'"),
            ("$KEY ${x}", "'$KEY ${x}'"),
            ("a\nb", r"'a\nb'"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
