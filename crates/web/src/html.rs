//! A page as HTML: templates that only write.

use askama::Template;
use stoke_diagnostics::Severity;

use crate::assets;
use crate::page::{Cell, Input, Page, Section};
use crate::pages::Visit;
use crate::picture::{chart, histogram, timeline, treemap, waterfall};
use crate::words::Words;
use crate::words::platform::Phrases;

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
    };
    html.render()
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
