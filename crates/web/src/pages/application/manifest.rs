//! The manifest of an application.

use super::Application;
use crate::judge;
use crate::page::{Listing, Page, Section};
use crate::pages::Visit;

/// Its manifest, with what the check finds at its lines.
pub fn manifest(app: &Application, visit: &Visit) -> Page {
    let p = visit.w.platform();
    let mut page = app.page(visit, "manifest", "manifest/", p.manifest.to_owned());
    page.live = None;
    let object = serde_json::to_value(&app.object).unwrap_or_default();
    let text = judge::manifest(&object);
    page.sections.push(Section::Source(Listing {
        title: p.manifest_checked,
        findings: judge::findings(&text, &app.row.namespace),
        lines: text.lines().map(str::to_owned).collect(),
    }));
    page
}
