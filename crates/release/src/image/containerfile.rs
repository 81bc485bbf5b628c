//! The part of a Containerfile that needs no container: `FROM`, `COPY`, `ENV`, `WORKDIR`, `USER`, `LABEL`, `ARG`, `ENTRYPOINT`, `CMD`. Everything else is
//! refused in words, with its line: half a Containerfile would be another image.

use std::collections::BTreeMap;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};

use super::spec::{Files, Spec};

/// Reads a Containerfile. `arguments` are those of `--build-arg`.
///
/// # Errors
/// Every instruction that cannot be done here, and every one that cannot be read, with its line.
pub fn parse(source: &Source, arguments: &BTreeMap<String, String>) -> Result<Spec, Vec<Diagnostic>> {
    let mut reader = Reader {
        source,
        complaints: Vec::new(),
        spec: None,
        variables: BTreeMap::new(),
        given: arguments,
        workdir: "/".to_owned(),
    };
    for (line, text) in instructions(source.text()) {
        reader.instruction(line, &text);
    }
    match reader.spec {
        Some(spec) if reader.complaints.is_empty() => Ok(spec),
        None if reader.complaints.is_empty() => {
            let message = format!("{} has no FROM", source.name());
            Err(vec![
                Diagnostic::of_file(Severity::Error, CODE, source.name(), message)
                    .with_fix("begin with FROM and a base image"),
            ])
        }
        _ => Err(reader.complaints),
    }
}

const CODE: &str = "stoke::build::containerfile";

/// Instructions with the line they begin at; lines that end with `\` go on, comments between them are left out.
fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && open.is_none()) {
            continue;
        }
        let (begun, mut whole) = open.take().unwrap_or((at + 1, String::new()));
        match line.trim_end().strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                whole.push(' ');
                open = Some((begun, whole));
            }
            None => {
                whole.push_str(line);
                all.push((begun, whole.trim().to_owned()));
            }
        }
    }
    all.extend(open.map(|(begun, whole)| (begun, whole.trim().to_owned())));
    all
}

struct Reader<'a> {
    source: &'a Source,
    complaints: Vec<Diagnostic>,
    spec: Option<Spec>,
    variables: BTreeMap<String, String>,
    given: &'a BTreeMap<String, String>,
    workdir: String,
}

impl Reader<'_> {
    fn place(&self, line: usize) -> Place {
        self.source.line_place(line)
    }

    fn refuse(&mut self, line: usize, message: impl Into<String>, fix: &str) {
        let diagnostic =
            Diagnostic::at(Severity::Error, CODE, self.source, self.place(line), "", message).with_fix(fix);
        self.complaints.push(diagnostic);
    }

    fn instruction(&mut self, line: usize, text: &str) {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let name = name.to_ascii_uppercase();
        let rest = rest.trim();
        if name == "ARG" {
            return self.arg(line, rest);
        }
        let expanded = match name.as_str() {
            // A shell of the container reads these.
            "RUN" | "CMD" | "ENTRYPOINT" => rest.to_owned(),
            _ => match self.expand(rest) {
                Ok(text) => text,
                Err(variable) => {
                    return self.refuse(
                        line,
                        format!("${variable} has no value"),
                        "give it one with ARG, ENV or --build-arg",
                    );
                }
            },
        };
        if name == "FROM" {
            return self.from(line, &expanded);
        }
        if self.spec.is_none() {
            return self.refuse(
                line,
                format!("{name} stands before FROM"),
                "begin with FROM and a base image",
            );
        }
        match name.as_str() {
            "COPY" => self.copy(line, &expanded),
            "ENV" => {
                let pairs = self.pairs(line, &expanded);
                self.variables.extend(pairs.iter().cloned());
                self.each(|spec| spec.env.extend(pairs));
            }
            "LABEL" => {
                let pairs = self.pairs(line, &expanded);
                self.each(|spec| spec.labels.extend(pairs));
            }
            "WORKDIR" => {
                let to = self.absolute(&expanded);
                self.workdir.clone_from(&to);
                self.each(|spec| spec.workdir = Some(to));
            }
            "USER" => self.each(|spec| spec.user = Some(expanded)),
            "ENTRYPOINT" => {
                let command = command(rest);
                // The base's arguments are for the base's entrypoint.
                self.each(|spec| {
                    spec.entrypoint = Some(command);
                    spec.cmd.get_or_insert_with(Vec::new);
                });
            }
            "CMD" => {
                let command = command(rest);
                self.each(|spec| spec.cmd = Some(command));
            }
            "RUN" if rest.contains("pip install") || rest.contains("pip3 install") => self.refuse(
                line,
                "RUN needs a container: pip is not run inside of the image",
                "write `requirements: FILE` into stoke-image.yaml: the packages become a layer of their own",
            ),
            "RUN" => self.refuse(
                line,
                "RUN needs a container, which this build does without",
                "make what it makes first and COPY it, or build a base with it once and name that as FROM",
            ),
            "ADD" => self.refuse(
                line,
                "ADD unpacks archives and fetches addresses, which changes what the same file gives",
                "write COPY",
            ),
            "EXPOSE" | "STOPSIGNAL" | "VOLUME" | "HEALTHCHECK" | "SHELL" | "ONBUILD" | "MAINTAINER" => {
                self.refuse(
                    line,
                    format!("{name} has no effect on a pod of Spark, and is not written"),
                    "leave it out",
                );
            }
            other => self.refuse(
                line,
                format!("{other} is not an instruction"),
                "write FROM, COPY, ENV, WORKDIR, USER, LABEL, ARG, ENTRYPOINT or CMD",
            ),
        }
    }

    fn each(&mut self, change: impl FnOnce(&mut Spec)) {
        if let Some(spec) = &mut self.spec {
            change(spec);
        }
    }

    fn from(&mut self, line: usize, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let fix = "build one stage by itself, and name its image as FROM of the other";
        match words[..] {
            _ if self.spec.is_some() => self.refuse(line, "a second FROM: stages are built in containers", fix),
            [base] | [base, _, _]
                if !base.starts_with("--") && words.get(1).is_none_or(|word| word.eq_ignore_ascii_case("as")) =>
            {
                let mut spec = Spec::on(base);
                spec.app = "/".to_owned();
                self.spec = Some(spec);
            }
            [flag, ..] if flag.starts_with("--") => self.refuse(
                line,
                format!("FROM with {flag}"),
                "give the platform with --platform of the command",
            ),
            _ => self.refuse(line, "FROM without a base image", "write FROM and a base image"),
        }
    }

    fn arg(&mut self, line: usize, text: &str) {
        let (name, default) = match text.split_once('=') {
            Some((name, default)) => (name.trim(), Some(unquoted(default.trim()))),
            None => (text, None),
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return self.refuse(
                line,
                format!("`{name}` is not a name"),
                "write ARG NAME or ARG NAME=default",
            );
        }
        if let Some(value) = self.given.get(name).cloned().or(default) {
            self.variables.insert(name.to_owned(), value);
        }
    }

    fn copy(&mut self, line: usize, text: &str) {
        let mut rest = text;
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
            match flag.split_once('=') {
                Some(("chown", "185" | "185:0" | "185:185" | "spark" | "spark:spark")) => {}
                Some(("from", stage)) => {
                    let message = format!("COPY --from={stage} takes files of another image");
                    return self.refuse(line, message, "copy them out once, and COPY them from the directory");
                }
                _ => {
                    let message =
                        format!("COPY --{flag}: files belong to user 185, and keep whether they are executable");
                    return self.refuse(line, message, "leave it out");
                }
            }
            rest = after.trim_start();
        }
        let words: Vec<String> = match rest.starts_with('[') {
            true => serde_json::from_str(rest).unwrap_or_default(),
            false => words(rest),
        };
        let [from @ .., to] = &words[..] else {
            return self.refuse(line, "COPY without a source and a target", "write COPY SOURCE TARGET");
        };
        if from.is_empty() {
            return self.refuse(line, "COPY without a target", "write COPY SOURCE TARGET");
        }
        if from.len() > 1 && !to.ends_with('/') {
            return self.refuse(
                line,
                "COPY of several sources into one file",
                "write the target with a `/` at its end",
            );
        }
        let absolute = self.absolute(to);
        let to = match to.ends_with('/') || to == "." {
            true => format!("{}/", absolute.trim_end_matches('/')),
            false => absolute,
        };
        let files: Vec<Files> = from
            .iter()
            .map(|from| Files {
                from: from.trim_start_matches('/').to_owned(),
                to: to.clone(),
            })
            .collect();
        let files: Vec<Files> = files
            .into_iter()
            .map(|file| Files {
                from: if file.from.is_empty() {
                    ".".to_owned()
                } else {
                    file.from
                },
                ..file
            })
            .collect();
        self.each(|spec| spec.files.extend(files));
    }

    fn absolute(&self, path: &str) -> String {
        match path.starts_with('/') {
            true => path.to_owned(),
            false => format!(
                "{}/{}",
                self.workdir.trim_end_matches('/'),
                path.trim_start_matches("./").trim_start_matches('.')
            ),
        }
    }

    /// `A=1 B="x y"`, or `A 1`.
    fn pairs(&mut self, line: usize, text: &str) -> Vec<(String, String)> {
        let words = words(text);
        let first = words.first().map(String::as_str).unwrap_or_default();
        if !first.contains('=') {
            return match text.split_once(char::is_whitespace) {
                Some((name, value)) => vec![(name.to_owned(), unquoted(value.trim()))],
                None => {
                    self.refuse(line, "a name without a value", "write NAME=VALUE");
                    Vec::new()
                }
            };
        }
        let mut pairs = Vec::new();
        for word in &words {
            match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => pairs.push((name.to_owned(), value.to_owned())),
                _ => self.refuse(
                    line,
                    format!("`{word}` is not NAME=VALUE"),
                    "put values with blanks in quotes",
                ),
            }
        }
        pairs
    }

    /// `$NAME`, `${NAME}`, `${NAME:-default}`; `\$` is a `$`. Fails with the name of one without a value.
    fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '\\']) {
            expanded.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if rest[at..].starts_with('\\') {
                match after.strip_prefix('$') {
                    Some(left) => {
                        expanded.push('$');
                        rest = left;
                    }
                    None => {
                        expanded.push('\\');
                        rest = after;
                    }
                }
                continue;
            }
            let (name, default, left) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some((inner, left)) => match inner.split_once(":-") {
                    Some((name, default)) => (name, Some(default), left),
                    None => (inner, None, left),
                },
                None => {
                    let end = after
                        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .unwrap_or(after.len());
                    (&after[..end], None, &after[end..])
                }
            };
            if name.is_empty() {
                expanded.push('$');
                rest = after;
                continue;
            }
            match self.variables.get(name).map(String::as_str).or(default) {
                Some(value) => expanded.push_str(value),
                None => return Err(name.to_owned()),
            }
            rest = left;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// `["a", "b"]`, or a line for a shell.
fn command(text: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => words,
        Err(_) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()],
    }
}

fn unquoted(text: &str) -> String {
    words(text).join(" ")
}

/// Words with quotes and escaped blanks.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, _) if character.is_whitespace() => all.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    all.extend(word);
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(text: &str) -> Result<Spec, Vec<String>> {
        let given = BTreeMap::from([("VERSION".to_owned(), "4.1.4".to_owned())]);
        parse(&Source::new("Containerfile", text), &given).map_err(|found| {
            found
                .iter()
                .map(|found| format!("{}: {}", found.line, found.message))
                .collect()
        })
    }

    #[test]
    fn the_part_without_a_container() {
        let spec = parsed(
            "# a comment\nARG VERSION=3.5.9\nFROM apache/spark:${VERSION}\nENV A=1 B=\"x y\" \\\n    C=3\nENV D one two\nENV E=$A\nLABEL org.x=\"y z\"\nWORKDIR /opt/app\nCOPY --chown=185 src conf/x.yaml ./\nCOPY main.py job.py\nCOPY [\"a b\", \"/c/\"]\nUSER 185\nENTRYPOINT [\"/x\", \"$HOME\"]\nCMD run it\n",
        )
        .unwrap();
        assert_eq!(spec.base, "apache/spark:4.1.4");
        let env: Vec<String> = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["A=1", "B=x y", "C=3", "D=one two", "E=1"]);
        let files: Vec<String> = spec
            .files
            .iter()
            .map(|file| format!("{} {}", file.from, file.to))
            .collect();
        assert_eq!(
            files,
            [
                "src /opt/app/",
                "conf/x.yaml /opt/app/",
                "main.py /opt/app/job.py",
                "a b /c/"
            ]
        );
        assert_eq!(spec.entrypoint.unwrap(), ["/x", "$HOME"]);
        assert_eq!(spec.cmd.unwrap(), ["/bin/sh", "-c", "run it"]);
    }

    #[test]
    fn the_rest_is_refused_with_its_line() {
        for (text, wanted) in [
            (
                "FROM x\nRUN apt-get update && \\\n  apt-get install y\n",
                "2: RUN needs a container, which this build does without",
            ),
            (
                "FROM x\nRUN pip install -r requirements.txt\n",
                "2: RUN needs a container: pip is not run inside of the image",
            ),
            ("FROM x AS y\nFROM z\n", "2: a second FROM"),
            ("FROM x\nCOPY --from=y /a /b\n", "2: COPY --from=y"),
            ("FROM x\nCOPY --chmod=777 a b\n", "2: COPY --chmod=777"),
            ("FROM x\nADD https://x/y /z\n", "2: ADD unpacks"),
            ("FROM x:$NONE\n", "1: $NONE has no value"),
            ("COPY a b\n", "1: COPY stands before FROM"),
            ("FROM x\nCOPY a b c\n", "2: COPY of several"),
            ("FROM x\nCOPY a\n", "2: COPY without a target"),
            ("FROM x\nEXPOSE 80\n", "2: EXPOSE has no effect"),
            ("FROM x\nCOPPY a b\n", "2: COPPY is not an instruction"),
            ("FROM --platform=linux/arm64 x\n", "1: FROM with --platform"),
            ("", "0: Containerfile has no FROM"),
        ] {
            let found = parsed(text).unwrap_err();
            assert!(found.iter().any(|found| found.starts_with(wanted)), "{text}: {found:?}");
        }
    }
}
