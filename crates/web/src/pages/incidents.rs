//! Incidents: which there are, and one with its time line, its times and the draft of its review.

use stoke_observe::incident::timeline::{Item, Source};
use stoke_observe::incident::{Incident, Line, Opening};

use super::objectives::reading;
use super::{Missing, Visit, is_chosen, note, plain};
use crate::address;
use crate::observed::{Reading, Story};
use crate::page::{Cell, Facts, Note, Page, Row, Section, State, Table, Text};

/// How often the pages are looked at again, in milliseconds.
const AGAIN: u32 = 5000;

type Stories = Reading<Vec<Story>>;

fn state_of(incident: &Incident) -> State {
    match incident.closing() {
        Some(_) => State::Ended,
        None => State::Open,
    }
}

/// Seconds, as pages have durations.
fn lasted(seconds: i64) -> Cell {
    Cell::Millis(seconds.saturating_mul(1000))
}

/// The list.
pub fn page(visit: &Visit, incidents: Option<&Stories>) -> Page {
    let (w, o) = (visit.w, visit.w.observe());
    let mut page = Page {
        kind: "incidents",
        title: o.incidents.to_owned(),
        crumbs: vec![(w.applications.to_owned(), format!("{}/", visit.base))],
        ..Page::default()
    };
    let Some(incidents) = incidents else {
        page.sections.push(note("none", o.incidents_elsewhere));
        return page;
    };
    page.live = Some(AGAIN);
    let Some(all) = reading(visit, incidents, &mut page.sections) else {
        return page;
    };
    let text = visit.searched();
    let has = |shown: &str, text: &str| shown.to_lowercase().contains(text);
    let known = all.iter().filter_map(|story| Some((story, story.incident.opening()?)));
    let found: Vec<(&Story, Opening<'_>)> = known
        .filter(|(_, opening)| {
            text.as_deref().is_none_or(|text| {
                has(opening.title, text) || has(opening.namespace, text) || has(opening.incident, text)
            })
        })
        .collect();
    let states: Vec<State> = found.iter().map(|(story, _)| state_of(&story.incident)).collect();
    let mut shown: Vec<&(&Story, Opening<'_>)> = found
        .iter()
        .filter(|(story, _)| is_chosen(visit, state_of(&story.incident)))
        .collect();
    // What is open comes first, and of the same the newest.
    shown.sort_by_key(|(story, opening)| (story.incident.closing().is_some(), std::cmp::Reverse(opening.time)));
    let (paging, range) = visit.page(shown.len());
    let row = |(story, opening): &&(&Story, Opening<'_>)| -> Row {
        let times = story.incident.times(&story.items);
        vec![
            Cell::Link(
                opening.title.to_owned(),
                address::incident(&visit.base, opening.incident),
            ),
            Cell::State(state_of(&story.incident)),
            Cell::Code(opening.severity.word().to_owned()),
            times.map_or(Cell::Nothing, |times| Cell::Moment(times.began.as_millisecond())),
            times.map_or(Cell::Nothing, |times| lasted(times.to_detect)),
            times.and_then(|times| times.to_repair).map_or(Cell::Nothing, lasted),
            Cell::text(opening.namespace),
            Cell::text(opening.who),
            Cell::Code(opening.incident.to_owned()),
        ]
        .into()
    };
    let table = Table {
        id: "incidents",
        title: "",
        empty: if all.is_empty() { o.no_incidents } else { w.no_match },
        columns: plain(&[
            ("title", o.incident, false),
            ("state", w.state, false),
            ("severity", o.severity, false),
            ("began", o.began, true),
            ("toDetect", o.detected_after, true),
            ("toRepair", o.repaired_after, true),
            ("namespace", w.platform().namespace, false),
            ("who", o.who, false),
            ("id", w.id, false),
        ]),
        rows: shown[range].iter().map(row).collect(),
        paging: Some(paging),
    };
    let filter = visit.filter(o.search_incidents, &[State::Open, State::Ended], &states);
    page.sections.extend([Section::Filter(filter), Section::Table(table)]);
    page
}

/// One incident.
///
/// # Errors
/// There is none of that id.
pub fn one(visit: &Visit, incidents: Option<&Stories>) -> Result<Page, Missing> {
    let (w, o) = (visit.w, visit.w.observe());
    let id = visit.query.first("id").unwrap_or_default();
    let all = incidents.and_then(Reading::value).ok_or(Missing::NotFound)?;
    let mut known = all.iter().filter_map(|story| Some((story, story.incident.opening()?)));
    let (story, opening) = known
        .find(|(_, opening)| opening.incident == id)
        .ok_or(Missing::NotFound)?;
    let incident = &story.incident;
    let times = incident.times(&story.items);
    let mut page = Page {
        kind: "incident",
        title: opening.title.to_owned(),
        subtitle: opening.incident.to_owned(),
        state: Some(state_of(incident)),
        crumbs: vec![
            (w.applications.to_owned(), format!("{}/", visit.base)),
            (o.incidents.to_owned(), format!("{}/incidents/", visit.base)),
        ],
        live: Some(AGAIN),
        ..Page::default()
    };
    for text in &story.notes {
        page.sections.push(Section::Note(Note {
            id: "unread",
            text: text.clone(),
            bad: true,
        }));
    }
    let closing = incident.closing();
    page.sections.push(Section::Facts(Facts {
        id: "incident",
        title: "",
        items: vec![
            ("severity", o.severity, Cell::Code(opening.severity.word().to_owned())),
            (
                "began",
                o.began,
                times.map_or(Cell::Nothing, |times| Cell::Moment(times.began.as_millisecond())),
            ),
            (
                "toDetect",
                o.detected_after,
                times.map_or(Cell::Nothing, |times| lasted(times.to_detect)),
            ),
            (
                "toRepair",
                o.repaired_after,
                times.and_then(|times| times.to_repair).map_or(Cell::Nothing, lasted),
            ),
            ("opened", o.opened, Cell::Moment(opening.time.as_millisecond())),
            (
                "closed",
                o.closed,
                Cell::moment(closing.map(|(time, _)| time.as_millisecond())),
            ),
            (
                "says",
                o.says,
                Cell::text(closing.map(|(_, says)| says).unwrap_or_default()),
            ),
            ("who", o.who, Cell::text(opening.who)),
            ("cluster", o.cluster_of, Cell::text(opening.cluster)),
            ("namespace", w.platform().namespace, Cell::text(opening.namespace)),
            (
                "command",
                o.command,
                Cell::Code(match closing {
                    Some(_) => format!("stoke incident review {id}"),
                    None => format!("stoke incident note {id} TEXT"),
                }),
            ),
        ],
    }));
    page.sections.push(time_line(visit, story));
    page.sections.push(Section::Text(Text {
        id: "review",
        title: o.review,
        text: story.review.clone(),
        open: false,
    }));
    // As `stoke incident show` prints it.
    let lines: Vec<&Line> = incident
        .lines
        .iter()
        .filter(|line| !matches!(line, Line::Collected { .. }))
        .collect();
    page.sections.push(Section::whole("lines", &lines));
    page.sections.push(Section::whole("times", &times));
    Ok(page)
}

fn time_line(visit: &Visit, story: &Story) -> Section {
    let o = visit.w.observe();
    let row = |item: &Item| -> Row {
        // An alert and a runbook have pages.
        let about = match item.source {
            Source::Alert => Cell::Link(item.about.clone(), format!("{}/alerts/", visit.base)),
            Source::Runbook if stoke_observe::runbook::find(&item.about).is_some() => {
                Cell::Link(item.about.clone(), address::runbook(&visit.base, &item.about))
            }
            _ => Cell::text(&item.about),
        };
        vec![
            Cell::Moment(item.time.as_millisecond()),
            Cell::Code(item.source.word().to_owned()),
            about,
            Cell::text(&item.text),
            if item.is_bad {
                Cell::text(o.symptom)
            } else {
                Cell::Nothing
            },
        ]
        .into()
    };
    let (paging, range) = visit.page(story.items.len());
    Section::Table(Table {
        id: "items",
        title: o.time_line,
        empty: o.nothing_happened,
        columns: plain(&[
            ("time", o.time, true),
            ("source", o.from_where, false),
            ("about", o.about, false),
            ("text", o.what, false),
            ("symptom", o.symptom, false),
        ]),
        rows: story.items[range].iter().map(row).collect(),
        paging: Some(paging),
    })
}
