//! Reports in files, for those who read them later: `--report FORM=FILE`.

use std::path::PathBuf;

use crate::failure::{Failure, Outcome};

/// Form of a report in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// What `--output json` prints.
    Json,
    /// For code hosts.
    Sarif,
    /// For CI servers.
    Junit,
}

/// `FORM=FILE`.
pub fn parse(text: &str) -> Result<(Form, PathBuf), String> {
    let (form, file) = text
        .split_once('=')
        .filter(|(_, file)| !file.is_empty())
        .ok_or("write FORM=FILE, for example sarif=report.sarif")?;
    let form = match form {
        "text" => Form::Text,
        "json" => Form::Json,
        "sarif" => Form::Sarif,
        "junit" => Form::Junit,
        _ => {
            return Err(format!(
                "there is no form `{form}`; there are text, json, sarif and junit"
            ));
        }
    };
    Ok((form, file.into()))
}

/// Writes each report that is wanted.
pub fn write(wanted: &[(Form, PathBuf)], text: impl Fn(Form) -> String) -> Outcome<()> {
    for (form, file) in wanted {
        std::fs::write(file, text(*form)).map_err(|error| {
            Failure::environment("stoke::report::write", format!("{}: {error}", file.display()))
                .fix("name a file that can be written")
        })?;
    }
    Ok(())
}

/// JSON with a line end.
pub fn pretty(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
