//! Keys, tokens and passwords in the files of a job.
//!
//! Two ways: texts of a form that only a credential has ([`FORMS`]), and a plain value behind a name that asks for a secret one ([`named`]). Values that stand for
//! another one (`${…}`, `<…>`, `changeme`) and references to Secrets are none. What is found is never shown: a finding tells the place, the kind and the length.

mod forms;

use std::io::{BufRead, Read};

use regex::Regex;
use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_model::manifest::{Document, Node};

use super::Looked;
use crate::Settings;
use crate::job::{File, Job, Kind};
use crate::text;
use forms::{ASSIGNMENT, EXPRESSIONS, FORMS, IN_NAMES, NAME, SETTING};

/// How much of a large file is looked at in one go, in bytes.
const PIECE: usize = 4 << 20;
/// Most of one file that is looked through, in bytes.
const MOST_STREAMED: u64 = 512 << 20;

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = Vec::new();
    let (mut count, mut left) = (0, 0);
    for file in job
        .files
        .iter()
        .filter(|file| !matches!(file.kind, Kind::Archive | Kind::Binary))
    {
        if settings.is_late() {
            left += 1;
            continue;
        }
        count += 1;
        match file.kind {
            Kind::Large => of_large(file, &mut findings),
            _ => of_file(file, &mut findings),
        }
    }
    findings.extend(Looked::late(left, "file"));
    Looked::at(count, "file", findings)
}

/// Looks through a file that is too large to be held, piece by piece, each of whole lines where they are of any usual length.
fn of_large(file: &File, findings: &mut Vec<Diagnostic>) {
    let unread = |cause: std::io::Error| {
        let finding = Diagnostic::cannot_tell("file-unread", &file.name, format!("it cannot be read: {cause}"));
        finding.with_fix("make it readable, or keep it apart from the job")
    };
    let mut reader = match std::fs::File::open(&file.path) {
        Ok(reader) => std::io::BufReader::new(reader),
        Err(cause) => return findings.push(unread(cause)),
    };
    let (mut line, mut read) = (0, 0);
    loop {
        let mut piece = Vec::with_capacity(PIECE + 4096);
        let taken = (&mut reader).take(PIECE as u64).read_to_end(&mut piece);
        let rest = taken.and_then(|_| (&mut reader).take(PIECE as u64).read_until(b'\n', &mut piece));
        if let Err(cause) = rest {
            return findings.push(unread(cause));
        }
        if piece.is_empty() {
            return;
        }
        read += piece.len() as u64;
        if read > MOST_STREAMED {
            let message = format!(
                "the first {} MiB were looked through, and not what follows",
                MOST_STREAMED >> 20
            );
            let finding = Diagnostic::cannot_tell("too-much", &file.name, message);
            return findings.push(finding.with_fix("keep data of that size apart from the job"));
        }
        // Read byte by byte, a text of two bytes a character hides everything.
        if text::decode(&piece).is_some_and(|found| found.encoding == text::UTF_16) {
            let message = "a file of this size is not read in UTF-16: nothing in it was looked at";
            let finding = Diagnostic::cannot_tell("file-unread", &file.name, message.to_owned());
            return findings.push(finding.with_fix("save it as UTF-8, or move it out of the job's directory"));
        }
        let text: String = match std::str::from_utf8(&piece) {
            Ok(text) => text.to_owned(),
            Err(_) => piece.iter().map(|byte| char::from(*byte)).collect(),
        };
        let mut part = file.clone();
        part.source = Source::new(&file.name, &text);
        part.kind = Kind::Text;
        let before = findings.len();
        of_file(&part, findings);
        for finding in &mut findings[before..] {
            finding.line += line;
        }
        line += text.bytes().filter(|byte| *byte == b'\n').count();
    }
}

fn of_file(file: &File, findings: &mut Vec<Diagnostic>) {
    let source = &file.source;
    let lower = lowered(source.text());
    let forms: Vec<usize> = (0..FORMS.len())
        .filter(|form| may_have(&lower, FORMS[*form].3))
        .collect();
    let mut lines: Vec<usize> = Vec::new();
    let sealed: Vec<usize> = file.documents().iter().flat_map(sealed).collect();
    let mut at = 0;
    for (number, line) in source.text().split_inclusive('\n').enumerate() {
        let text = line.trim_end_matches(['\n', '\r']);
        let named = || {
            (may_have(&lowered(text), &[&IN_NAMES]) && !sealed.contains(&(number + 1)))
                .then(|| setting(file, text))
                .flatten()
        };
        if let Some((code, what, range)) = form(&forms, text).or_else(named) {
            lines.push(number + 1);
            findings.push(finding(source, code, &what, at + range.start..at + range.end));
        }
        at += line.len();
    }
    if let Kind::Manifest { documents, .. } = &file.kind {
        for document in documents {
            of_document(document, &mut lines, findings);
        }
    }
}

/// Lines with values that are encrypted, to be committed.
fn sealed(document: &Document) -> impl Iterator<Item = usize> {
    let sealed = document.kind == "SealedSecret";
    let values = document.node.lookup("spec.encryptedData").filter(|_| sealed);
    let values = values.map_or(&[][..], Node::entries).iter();
    values.flat_map(|entry| [entry.key_place.line, entry.value.place.line])
}

/// A text for [`may_have`]: in lower case, where the only letters beyond ASCII that are those of ASCII in another case (the long s and the sign of Kelvin) are so too.
fn lowered(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if lower.is_ascii() {
        return lower;
    }
    lower.replace('\u{17f}', "s").replace('\u{212a}', "k")
}

/// Whether a text in lower case has one of each group.
fn may_have(lower: &str, needs: &[&[&str]]) -> bool {
    needs.iter().all(|group| group.iter().any(|need| lower.contains(need)))
}

/// A credential by its form, of those that the file may have.
fn form(forms: &[usize], line: &str) -> Option<(&'static str, String, std::ops::Range<usize>)> {
    forms.iter().find_map(|number| {
        let (code, what, form, _) = FORMS[*number];
        let expression = EXPRESSIONS[*number].get_or_init(|| Regex::new(form).ok());
        let found = expression.as_ref()?.captures(line)?;
        let range = found.get(1).or_else(|| found.get(0))?.range();
        (!stands_for_another(&line[range.clone()])).then(|| (code, what.to_owned(), range))
    })
}

/// A plain value behind a name that asks for a secret one.
fn setting(file: &File, line: &str) -> Option<(&'static str, String, std::ops::Range<usize>)> {
    let program = matches!(file.kind, Kind::Python | Kind::Sql) || is_program(&file.name);
    let expression = if program { ASSIGNMENT.as_ref() } else { SETTING.as_ref() };
    let found = expression?.captures(line)?;
    let group = |first, other| found.get(first).or_else(|| found.get(other));
    let (name, value) = (group(1, 3)?, group(2, 4)?);
    let written = value.as_str().trim().trim_matches(['"', '\'']);
    // A comment is not a value; prose has words behind it.
    let comment = line.trim_start().starts_with(['#', ';'])
        || line.trim_start().starts_with("//")
        || line.trim_start().starts_with("--");
    let prose = !program && !matches!(file.kind, Kind::Manifest { .. } | Kind::Properties) && written.contains(' ');
    if comment || prose || !is_plain(written) || is_reference(name.as_str()) {
        return None;
    }
    Some((
        "secret-plain-value",
        format!("a plain value for `{}`", name.as_str()),
        value.range(),
    ))
}

fn is_program(name: &str) -> bool {
    [
        ".scala", ".java", ".sh", ".r", ".R", ".ipynb", ".js", ".ts", ".go", ".rs", ".md", ".rst",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

/// Environment variables and Secrets of a manifest, which are spread over lines.
fn of_document(document: &Document, lines: &mut Vec<usize>, findings: &mut Vec<Diagnostic>) {
    let source = &document.source;
    let mut found = |place: Place, code, what: &str| {
        if !lines.contains(&place.line) {
            lines.push(place.line);
            findings.push(finding(source, code, what, place.start..place.end));
        }
    };
    if document.kind == "Secret" && document.api_version == "v1" {
        for field in ["data", "stringData"] {
            for entry in document.node.get(field).map_or(&[][..], Node::entries) {
                if entry.value.as_str().is_some_and(is_plain) {
                    let what = format!("`{}` of a Secret", entry.key);
                    found(entry.value.place, "secret-in-manifest", &what);
                }
            }
        }
        return;
    }
    let mut nodes = vec![&document.node];
    while let Some(node) = nodes.pop() {
        nodes.extend(node.entries().iter().map(|entry| &entry.value));
        nodes.extend(node.items());
        let text = |key: &str| node.get(key).and_then(Node::as_str);
        if let (Some(name), Some(value), Some(at)) = (text("name"), text("value"), node.get("value"))
            && named(name)
            && !is_reference(name)
            && is_plain(value)
        {
            found(at.place, "secret-plain-value", &format!("a plain value for `{name}`"));
        }
    }
}

/// Whether a value behind this name is a secret.
fn named(name: &str) -> bool {
    NAME.as_ref().is_some_and(|expression| expression.is_match(name))
}

/// Names that end like a secret's and hold the name of one.
fn is_reference(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Of charts: `existingSecret: name`, `auth.existing_secret`, `imagePullSecret`, `tls-secret`, which are names of objects.
    let compact = name.replace(['-', '_', '.'], "");
    let names_one = ["existingsecret", "pullsecret", "tlssecret"]
        .iter()
        .any(|end| compact.ends_with(end));
    names_one || name.contains("secretkeyref") || name.contains(".secrets.") || name.contains("secretname")
}

/// A value that is used as it stands.
fn is_plain(value: &str) -> bool {
    value.trim().len() >= 4 && !stands_for_another(value.trim())
}

/// A value that stands for another one, or shows where one goes.
fn stands_for_another(value: &str) -> bool {
    /// Somewhere in what shows where a value goes.
    const WORDS: [&str; 10] = [
        "example",
        "changeme",
        "change-me",
        "change_me",
        "replace",
        "placeholder",
        "redacted",
        "dummy",
        "your-",
        "your_",
    ];
    /// The whole of what is not a value.
    const WHOLE: [&str; 6] = ["none", "null", "true", "false", "todo", "secret"];
    /// Beginnings of references, places and YAML that is not text.
    const BEGINNINGS: [&str; 22] = [
        "${", "$(", "{{", "<", "%(", "ref+", "vault:", "enc[", "arn:", "env(", "secret:", "!vault", "!env", "!secret",
        "&", "*", "|", ">", "[", "{", "/", "local://",
    ];
    let lower = value.to_ascii_lowercase();
    let first = lower.chars().next();
    let same = first.is_some_and(|first| lower.chars().all(|c| c == first || c == '-'));
    // `VALUE2` of an example, `$NAME` of a shell, `get_token()` of a program.
    let numbered = lower
        .strip_prefix("value")
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
    let variable = lower
        .strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
    let call = lower.contains('(') && lower.ends_with(')') && !lower.contains(' ');
    let address = lower.split_once("://").is_some_and(|(_, rest)| !rest.contains('@'));
    same || numbered
        || variable
        || call
        || address
        || WHOLE.contains(&lower.as_str())
        || BEGINNINGS.iter().any(|begin| lower.starts_with(begin))
        || WORDS.iter().any(|word| lower.contains(word))
}

fn finding(source: &Source, code: &'static str, what: &str, range: std::ops::Range<usize>) -> Diagnostic {
    let mut place = source.place_at(range.start);
    place.end = range.end;
    let length = source.written(place).chars().count();
    let message = format!("{what} stands in the file ({length} characters, not shown)");
    let mut finding = Diagnostic::at(Severity::Error, code, source, place, "", message);
    // The line would show it.
    finding.excerpt = Default::default();
    finding.with_fix("take it out, have it replaced where it is used (it is in the history), and refer to a Secret: `secretKeyRef`, or spark.kubernetes.driver.secretKeyRef.NAME")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::of_bytes;

    #[test]
    fn what_every_name_has() {
        for name in forms::NAMES.split('|') {
            assert!(IN_NAMES.iter().any(|part| name.contains(part)), "{name}");
        }
        assert_eq!(lowered("PA\u{17f}\u{17f}WORD \u{212a}EY é"), "password key é");
    }

    fn found(name: &str, text: &str) -> Vec<(String, usize)> {
        let job = Job {
            files: vec![of_bytes(name, text.as_bytes())],
            ..Job::default()
        };
        look(&job, &Settings::default())
            .findings
            .into_iter()
            .map(|finding| (finding.code.to_string(), finding.line))
            .collect()
    }

    /// A text that is not a credential of anybody, put together so that this file holds none.
    fn made(parts: &[&str]) -> String {
        parts.concat()
    }

    #[test]
    fn forms_of_credentials() {
        let x = |n: usize| "aB3dE5gH7jK9".repeat(10)[..n].to_owned();
        let hex = |n: usize| "0a1b2c3d4e5f".repeat(10)[..n].to_owned();
        let cases = [
            ("secret-private-key", made(&["-----BEGIN RSA ", "PRIVATE KEY-----"])),
            ("secret-aws-key", made(&["key AKIA", "QWERTYUIOPASDFGH"])),
            ("secret-aws-key", made(&["aws_secret_access_key = ", &x(40)])),
            ("secret-azure-key", made(&["AccountKey=", &x(86), "=="])),
            ("secret-google-key", made(&["AIza", &x(35)])),
            ("secret-github-token", made(&["ghp_", &x(36)])),
            ("secret-gitlab-token", made(&["glpat-", &x(20)])),
            ("secret-slack-token", made(&["xoxb-", "1234567890-abcdef"])),
            ("secret-databricks-token", made(&["dapi", &hex(32)])),
            ("secret-hugging-face-token", made(&["hf_", &x(34)])),
            ("secret-npm-token", made(&["npm_", &x(36)])),
            ("secret-stripe-key", made(&["sk_live_", &x(24)])),
            ("secret-jwt", made(&["eyJ", &x(20), ".eyJ", &x(20), ".", &x(30)])),
            ("secret-in-url", made(&["postgresql://app:", "hunter22@db/x"])),
            (
                "secret-in-url",
                made(&["jdbc:mysql://db/x?user=a&password=", "hunter22"]),
            ),
        ];
        for (code, text) in cases {
            assert_eq!(found("a.txt", &text), [(code.to_owned(), 1)], "{text}");
        }
    }

    #[test]
    fn plain_values_behind_telling_names() {
        for (name, text) in [
            ("spark-defaults.conf", "spark.hadoop.fs.s3a.secret.key  hunter2hunter2"),
            ("a.properties", "db.password=hunter22"),
            ("a.py", "df.write.option('password', 'hunter22')"),
            ("a.py", "PASSWORD = \"hunter22\""),
            ("a.py", "conf = {'fs.s3a.secret.key': 'hunter22'}"),
            ("values.yaml", "  dbPassword: hunter22"),
            (".env", "export API_KEY=hunter22"),
            ("a.conf", "password=s3cretive"),
            ("a.conf", "password=truelove"),
            (
                "a.yaml",
                "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, env: [{name: DB_PASSWORD, value: hunter22}]}]}",
            ),
        ] {
            let codes: Vec<String> = found(name, text).into_iter().map(|(code, _)| code).collect();
            assert_eq!(codes, ["secret-plain-value"], "{name}: {text}");
        }
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  user: somebody\n";
        assert_eq!(found("a.yaml", secret), [("secret-in-manifest".to_owned(), 5)]);
    }

    #[test]
    fn what_is_sealed_is_meant_to_be_committed() {
        let text = |kind: &str| {
            format!(
                "apiVersion: bitnami.com/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  encryptedData:\n    password: AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq\n"
            )
        };
        assert_eq!(found("a.yaml", &text("SealedSecret")), []);
        assert_eq!(found("a.yaml", &text("Other")).len(), 1);
    }

    #[test]
    fn what_is_no_secret() {
        for (name, text) in [
            ("a.conf", "password=${DB_PASSWORD}"),
            ("a.conf", "password=<your password>"),
            ("a.conf", "# password=hunter22"),
            ("a.conf", "password="),
            ("a.conf", "spark.kubernetes.driver.secrets.db-secret=/etc/secrets"),
            ("a.conf", "spark.kubernetes.driver.secretKeyRef.PASSWORD=db:password"),
            ("a.py", "password = os.environ['PASSWORD']"),
            ("a.py", "token = get_token('databricks')"),
            ("a.py", "tokens = 'a b c'"),
            ("a.py", "password = 'changeme'"),
            ("a.py", "password = 'VALUE2'"),
            ("a.conf", "password=s3a://secrets/password"),
            ("a.conf", "password=$PASSWORD"),
            ("notes.txt", "The password is kept in the vault, see the runbook"),
            ("a.md", "Set `password: \"<secret>\"`"),
            (
                "a.yaml",
                "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {automountServiceAccountToken: false, imagePullSecrets: [{name: x}]}",
            ),
            (
                "a.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: ${PASSWORD}}",
            ),
            ("values.yaml", "auth:\n  existingSecret: spark-credentials-of-sales\n"),
            (
                "values.yaml",
                "auth:\n  existing_secret: pg-main\nimagePullSecret: registry-key",
            ),
            ("a.txt", "https://example.com:8080/a@b"),
        ] {
            assert_eq!(found(name, text), [], "{name}: {text}");
        }
    }

    #[test]
    fn a_secret_is_found_anywhere_in_a_large_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dump.csv");
        let line = "a,b,c,d,e,f,g,h,i,j\n";
        let lines = (9 << 20) / line.len();
        let mut text = line.repeat(lines);
        text.push_str(&made(&["caf\u{e9},AKIA", "QWERTYUIOPASDFGH\n"]));
        // Latin-1.
        std::fs::write(&path, text.chars().map(|c| c as u8).collect::<Vec<u8>>()).unwrap();
        let job = crate::job::read(&[path]).unwrap();
        let found = look(&job, &Settings::default()).findings;
        let places: Vec<_> = found
            .iter()
            .map(|one| (one.code.as_ref(), one.line, one.column))
            .collect();
        assert_eq!(places, [("secret-aws-key", lines + 1, 6)]);
    }

    #[test]
    fn a_large_file_in_utf_16_does_not_pass() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dump.csv");
        let text = "a,b,c,d,e,f,g,h,i,j\n".repeat((5 << 20) / 20);
        std::fs::write(
            &path,
            text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        )
        .unwrap();
        let job = crate::job::read(&[path]).unwrap();
        let found = look(&job, &Settings::default()).findings;
        let codes: Vec<_> = found.iter().map(|one| (one.code.as_ref(), one.cannot_tell)).collect();
        assert_eq!(codes, [("file-unread", true)]);
    }

    #[test]
    fn what_the_time_does_not_reach_is_told() {
        let job = Job {
            files: vec![of_bytes("a.conf", b"x"), of_bytes("b.conf", b"y")],
            ..Job::default()
        };
        let settings = Settings {
            until: Some(std::time::Instant::now()),
            ..Settings::default()
        };
        let looked = look(&job, &settings);
        assert_eq!(looked.findings.len(), 1);
        assert!(looked.findings[0].cannot_tell && looked.findings[0].message.contains("2 files"));
    }

    #[test]
    fn what_is_found_is_not_shown() {
        let job = Job {
            files: vec![of_bytes("a.conf", b"spark.x.password hunter22")],
            ..Job::default()
        };
        let shown = format!("{:?}", look(&job, &Settings::default()).findings);
        assert!(!shown.contains("hunter22"), "{shown}");
    }
}
