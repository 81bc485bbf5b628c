//! Every page that can be reached, without scripts: it is there, it is whole, and it keeps to the policy.

use std::collections::{BTreeSet, HashSet, VecDeque};

use http::StatusCode;

use crate::data::{checked, ledger};
use crate::site::{Answer, Site, all};

/// Addresses in a page.
fn links(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(" href=\"").skip(1).map(|rest| {
        let link = rest.split('"').next().unwrap_or_default();
        link.replace("&amp;", "&")
    })
}

/// Nothing inline, nothing from elsewhere, landmarks and a heading.
pub fn is_proper(path: &str, page: &Answer, language: &str) {
    assert_eq!(page.status, StatusCode::OK, "{path}");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(page.header("content-security-policy").contains(part), "{path}");
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let text = page.text();
    for wanted in [
        &format!("<html lang=\"{language}\">"),
        "<main id=\"content\"",
        "<h1>",
        "class=\"skip\"",
        "<footer>",
    ] {
        assert!(text.contains(wanted), "{path} has no {wanted}");
    }
    for unwanted in [
        " style=",
        " onload=",
        " onclick=",
        "javascript:",
        "<style",
        "://fonts",
        "srcset",
    ] {
        assert!(!text.contains(unwanted), "{path} has {unwanted}");
    }
    assert_eq!(text.matches("<script").count(), 1, "{path}");
    assert_eq!(text.matches("<h1>").count(), 1, "{path}");
    assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count(), "{path}");
    let anchors: HashSet<&str> = text
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for link in links(&text).filter(|link| link.starts_with('#')) {
        assert!(anchors.contains(&link[1..]), "{path}: {link} leads nowhere");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_to_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let contract = "name: orders\nrows: {min: 1}\ncolumns:\n  id: {unique: true}\n";
    for data in ["id\n1\n", "id\n1\n1\n"] {
        checked(directory.path(), "shop", contract, data, jiff::Timestamp::now());
    }
    let settings = stoke_web::Settings {
        quality: Some(ledger(directory.path())),
        watched: crate::watched::board("x"),
        ..stoke_web::Settings::default()
    };
    let site = Site::on(all(), settings);
    let mut known: BTreeSet<String> = BTreeSet::from(["/".to_owned()]);
    let mut waiting = VecDeque::from(["/".to_owned()]);
    let mut kinds = BTreeSet::new();
    while let Some(path) = waiting.pop_front() {
        if path.starts_with("/api/") || path.starts_with("/assets/") || path.contains("output=json") {
            assert_eq!(site.get(&path).await.status, StatusCode::OK, "{path}");
            continue;
        }
        let page = site.get(&path).await;
        is_proper(&path, &page, "en");
        let text = page.text();
        kinds.insert(
            text.split("<body class=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned(),
        );
        for link in links(&text).filter(|link| link.starts_with('/')) {
            // Of each table one way to sort, and one language: the others are the same page.
            let again = link.contains("desc=0")
                || link.contains("lang=")
                || path.contains("sort=")
                || path.contains("executors=") && link.contains("executors=");
            if !again && known.insert(link.clone()) {
                waiting.push_back(link);
            }
        }
    }
    let wanted = [
        "alerts",
        "compare",
        "connect",
        "contract",
        "cost",
        "costs",
        "data",
        "dstreams",
        "environment",
        "execution",
        "executors",
        "findings",
        "home",
        "incident",
        "incidents",
        "job",
        "jobs",
        "objective",
        "objectives",
        "overview",
        "record",
        "runbook",
        "runbooks",
        "session",
        "sql",
        "stage",
        "stages",
        "storage",
        "stream",
        "streams",
        "whatif",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), wanted);
    println!("{} addresses", known.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_sparks_own_ui_lead_here() {
    let site = Site::new();
    let id = &site.ids().await[0];
    for page in [
        "",
        "/",
        "/jobs",
        "/jobs/",
        "/jobs/job/?id=0",
        "/jobs/job?id=0",
        "/stages/",
        "/stages/stage/?id=0&attempt=0",
        "/storage/",
        "/environment/",
        "/executors/",
        "/SQL/",
    ] {
        assert_eq!(
            site.get(&format!("/history/{id}{page}")).await.status,
            StatusCode::OK,
            "{page}"
        );
    }
    for page in [
        "/job/",
        "/jobs/job/",
        "/jobs/job/?id=x",
        "/stages/stage/?id=99999&attempt=0",
        "/SQL/execution/?id=-1",
        "/x/jobs/",
    ] {
        let answer = site.get(&format!("/history/{id}{page}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{page}");
        assert!(answer.text().contains("There is no such page"), "{page}");
    }
}
