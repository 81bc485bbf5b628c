//! Pages that ask for something: a manifest to check, a way in; and the list of Connect servers.

use kube::ResourceExt;
use kube::api::DynamicObject;
use stoke_model::crd::{ConnectState, SparkConnectStatus};

use super::application::Seen;
use super::{Visit, note, now, plain};
use crate::address;
use crate::judge;
use crate::live::row::millis;
use crate::page::{Cell, Entry, Listing, Note, Page, Row, Section, Sheet, State, Table};

/// The page that checks a manifest; `text` is what was sent.
pub fn check(visit: &Visit, csrf: &str, text: Option<&str>) -> Page {
    let p = visit.w.platform();
    let mut sections = Vec::new();
    if let Some(text) = text {
        sections.push(Section::Source(Listing {
            title: p.manifest_checked,
            findings: judge::findings(text, "default"),
            lines: text.lines().map(str::to_owned).collect(),
        }));
    }
    sections.push(Section::Sheet(Sheet {
        action: format!("{}/check/", visit.base),
        about: p.check_about,
        hidden: vec![("csrf", csrf.to_owned())],
        fields: vec![Entry {
            name: "manifest",
            label: p.manifest,
            kind: "area",
            value: text.unwrap_or_default().to_owned(),
            choices: Vec::new(),
        }],
        button: p.check_button,
    }));
    Page {
        kind: "check",
        title: p.check.to_owned(),
        sections,
        ..Page::default()
    }
}

/// How visitors are let in.
#[derive(Debug)]
pub enum Way<'a> {
    Link,
    Token,
    /// By an identity provider of this name, or a token.
    Provider(&'a str),
}

/// A form that chooses namespaces, for who has a session.
pub fn namespaces(visit: &Visit, csrf: &str, chosen: &[String]) -> Option<Section> {
    let p = visit.w.platform();
    (!csrf.is_empty()).then(|| {
        Section::Sheet(Sheet {
            action: format!("{}/namespaces", visit.base),
            about: "",
            hidden: vec![("csrf", csrf.to_owned())],
            fields: vec![Entry {
                name: "namespaces",
                label: p.namespaces,
                kind: "text",
                value: chosen.join(", "),
                choices: Vec::new(),
            }],
            button: p.show_namespaces,
        })
    })
}

/// The page that lets visitors in; `next` is where they were going, `why` what went wrong.
pub fn sign_in(visit: &Visit, way: &Way<'_>, next: &str, why: Option<String>) -> Page {
    let p = visit.w.platform();
    let mut sections = Vec::new();
    sections.extend(why.map(|text| {
        Section::Note(Note {
            id: "why",
            text,
            bad: true,
        })
    }));
    if let Way::Provider(name) = way {
        sections.push(note("provider", p.oidc_about));
        let to = format!("{}/sign-in/oidc?next={}", visit.base, address::part(next));
        sections.push(Section::Entrance(format!("{} {name}", p.oidc_sign_in), to));
    }
    sections.push(match way {
        Way::Link => note("about", p.link_about),
        Way::Token | Way::Provider(_) => Section::Sheet(Sheet {
            action: format!("{}/sign-in", visit.base),
            about: p.sign_in_about,
            hidden: vec![("next", next.to_owned())],
            fields: vec![
                Entry {
                    name: "token",
                    label: p.token,
                    kind: "password",
                    value: String::new(),
                    choices: Vec::new(),
                },
                Entry {
                    name: "namespaces",
                    label: p.namespaces,
                    kind: "text",
                    value: String::new(),
                    choices: Vec::new(),
                },
            ],
            button: p.sign_in,
        }),
    });
    Page {
        kind: "sign-in",
        title: p.sign_in.to_owned(),
        sections,
        ..Page::default()
    }
}

/// What a visitor sees who is signed out here, and may be at a provider: `to` leads there.
pub fn signed_out(visit: &Visit, provider: &str, to: String) -> Page {
    let p = visit.w.platform();
    Page {
        kind: "signed-out",
        title: p.sign_out.to_owned(),
        sections: vec![
            note("about", p.oidc_signed_out),
            Section::Entrance(format!("{} {provider}", p.oidc_sign_out), to),
            Section::Actions(vec![(p.sign_in, format!("{}/sign-in", visit.base))]),
        ],
        ..Page::default()
    }
}

/// The Connect servers.
pub fn connect(visit: &Visit, servers: &Seen<DynamicObject>) -> Page {
    let (w, p) = (visit.w, visit.w.platform());
    let mut sections = vec![note("about", p.servers_about)];
    let all = match servers {
        Ok(all) => all.as_slice(),
        Err(refusal) => {
            let text = format!("{} {refusal}", p.may_not);
            sections.push(Section::Note(Note {
                id: "refused",
                text,
                bad: true,
            }));
            &[]
        }
    };
    let row = |server: &DynamicObject| -> Row {
        let status: SparkConnectStatus = serde_json::from_value(server.data["status"].clone()).unwrap_or_default();
        let state = match status.state {
            ConnectState::Ready => State::Running,
            ConnectState::New | ConnectState::Provisioning => State::Pending,
            ConnectState::NotReady => State::Gone,
            ConnectState::Failed => State::Failed,
        };
        let why = status.conditions.iter().find(|one| one.status != "True");
        let why = why
            .map(|one| format!("{} {}", one.reason, one.message))
            .unwrap_or_default();
        vec![
            Cell::Text(server.name_any()),
            Cell::Text(server.namespace().unwrap_or_default()),
            Cell::State(state),
            status.server.url.map_or(Cell::Nothing, Cell::Code),
            Cell::text(server.data["spec"]["sparkVersion"].as_str().unwrap_or_default()),
            Cell::Count(status.executors.get("running").copied().unwrap_or_default().into()),
            Cell::moment(status.start_time.as_ref().map(millis)),
            Cell::text(why.trim()),
        ]
        .into()
    };
    sections.push(Section::Table(Table {
        id: "servers",
        title: p.connect_servers,
        empty: p.no_servers,
        columns: plain(&[
            ("name", w.name, false),
            ("namespace", p.namespace, false),
            ("state", w.state, false),
            ("url", p.address, false),
            ("version", w.version, false),
            ("executors", p.executors_now, true),
            ("started", w.started, true),
            ("why", p.why, false),
        ]),
        rows: all.iter().map(row).collect(),
        paging: None,
    }));
    Page {
        kind: "connect",
        title: p.connect.to_owned(),
        sections,
        live: Some(now::AGAIN),
        ..Page::default()
    }
}
