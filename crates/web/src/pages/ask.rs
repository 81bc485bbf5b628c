//! The page that asks a Connect server in SQL: what is asked, what it answered, or why it did not.

use kube::ResourceExt;
use kube::api::DynamicObject;

use super::application::Seen;
use super::{Visit, note};
use crate::answer::Answer;
use crate::live::sql::{BYTES, ROWS, TIME};
use crate::page::{Entry, Note, Page, Section, Sheet};

/// The servers that can be asked, as the form names them.
pub fn names(servers: &[DynamicObject]) -> Vec<String> {
    let ready = servers
        .iter()
        .filter(|server| server.data["status"]["state"] == "Ready");
    let mut names: Vec<String> = ready
        .map(|server| format!("{}/{}", server.namespace().unwrap_or_default(), server.name_any()))
        .collect();
    names.sort();
    names
}

/// The page; `asked` is the server and the statement, `answer` what came of it.
pub fn page(
    visit: &Visit,
    csrf: &str,
    servers: &Seen<DynamicObject>,
    asked: (&str, &str),
    answer: Option<Result<Answer, String>>,
) -> Page {
    let p = visit.w.platform();
    let bad = |id, text| Section::Note(Note { id, text, bad: true });
    let limits = p
        .sql_limits
        .replace("{rows}", &ROWS.to_string())
        .replace("{seconds}", &TIME.as_secs().to_string())
        .replace("{mib}", &(BYTES >> 20).to_string());
    let mut sections = vec![Section::Note(Note {
        id: "limits",
        text: limits,
        bad: false,
    })];
    let choices = match servers {
        Ok(all) => names(all),
        Err(refusal) => {
            sections.push(bad("refused", format!("{} {refusal}", p.may_not)));
            Vec::new()
        }
    };
    if choices.is_empty() {
        sections.push(note("servers", p.sql_no_server));
    }
    let (server, statement) = asked;
    sections.push(Section::Sheet(Sheet {
        action: format!("{}/sql/", visit.base),
        about: "",
        hidden: vec![("csrf", csrf.to_owned())],
        fields: vec![
            Entry {
                name: "server",
                label: p.sql_server,
                kind: "choice",
                value: server.to_owned(),
                choices,
            },
            Entry {
                name: "statement",
                label: p.sql_statement,
                kind: "area",
                value: statement.to_owned(),
                choices: Vec::new(),
            },
        ],
        button: p.sql_button,
    }));
    match answer {
        None => {}
        Some(Err(why)) => sections.push(bad("error", why)),
        Some(Ok(answer)) => {
            match answer.stopped {
                Some("rows") => sections.push(note("more", p.sql_more_rows)),
                Some(_) => sections.push(note("more", p.sql_more_bytes)),
                None => {}
            }
            sections.extend(answer.chart(visit.w).map(Section::Chart));
            sections.push(Section::Answer(answer));
        }
    }
    Page {
        kind: "sql",
        title: p.sql.to_owned(),
        sections,
        ..Page::default()
    }
}
