//! A page as HTML: templates that only write.

use askama::Template;
use stoke_diagnostics::Severity;
use stoke_history::rest::Query;

use crate::live::changes::Subject;
use crate::page::{Cell, Input, Page, Section};
use crate::pages::Visit;
use crate::picture::{chart, histogram, timeline, treemap, waterfall};
use crate::words::Words;
use crate::words::platform::Phrases;
use crate::{address, assets};

#[derive(Template)]
#[template(path = "page.html")]
struct Html<'a> {
    w: &'static Words,
    p: &'static Phrases,
    page: &'a Page,
    base: &'a str,
    style: &'static str,
    script: &'static str,
    icon: &'static str,
    twin: String,
    other_language: String,
    other_name: &'static str,
    /// What tells that the page has changed.
    stream: Option<String>,
}

/// Writes a page.
///
/// # Errors
/// Never for what pages are made of; what templates say otherwise.
pub fn write(page: &Page, visit: &Visit) -> Result<String, askama::Error> {
    let (other, other_name) = match visit.w.lang {
        "ru" => ("en", "English"),
        _ => ("ru", "Русский"),
    };
    let html = Html {
        w: visit.w,
        p: visit.w.platform(),
        page,
        base: &visit.base,
        style: assets::style(),
        script: assets::script(),
        icon: assets::icon(),
        twin: visit.here.with(&[("output", "json")]),
        other_language: visit.here.with(&[("lang", other)]),
        other_name,
        stream: stream(page, visit),
    };
    html.render()
}

/// Where a page of something that goes on receives changes: for visitors with a session, and for everyone where there are no sessions. Pages
/// without a stream ask again at intervals.
fn stream(page: &Page, visit: &Visit) -> Option<String> {
    page.live?;
    let may_follow = page.frame.as_ref().is_none_or(|frame| !frame.csrf.is_empty());
    let here = visit.here.with(&[]);
    let of = here.strip_prefix(&visit.base).filter(|_| may_follow)?;
    let (path, query) = of.split_once('?').unwrap_or((of, ""));
    Subject::of(path, &Query::parse(query))?;
    Some(format!("{}/live?of={}", visit.base, address::part(of)))
}

impl Html<'_> {
    fn severity(&self, severity: &Severity) -> (&'static str, &'static str) {
        match severity {
            Severity::Error => ("error", self.w.error),
            Severity::Warning => ("warning", self.w.warning),
            Severity::Advice => ("advice", self.w.advice),
        }
    }

    /// A patch of a manifest, as people read it.
    fn patch(&self, patch: &serde_json::Value) -> String {
        format!("{patch:#}")
    }
}
