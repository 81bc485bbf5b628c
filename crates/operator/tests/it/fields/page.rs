//! `docs/reference/fields.md`.

use std::fmt::Write as _;

use super::Seen;
use super::cases::REFUSALS;

const HEAD: &str = "# What every field does

Every leaf of the published `SparkApplication` v1beta2 and `SparkConnect` v1alpha1 is flipped between two values by a test, and what changed is written here: in the pods,
in `spark.properties`, in the objects beside them, or in what the operator decides. The page is made by that test
(`scripts/generate`); a field without an effect and without a refusal fails it, and so does a page
that is not this one. Fields that hold a Kubernetes structure (a container, an affinity, a volume) are one row: each of their leaves was flipped.

`(Spark's)` is Spark's own container. The operator of the test makes ingresses of the form `{{$appName}}.example.com`.
";

/// Structures of ours, whose fields get a row each; what is below other fields is Kubernetes'.
const OURS: &[&str] = &[
    "deps",
    "restartPolicy",
    "monitoring",
    "monitoring.prometheus",
    "batchSchedulerOptions",
    "sparkUIOptions",
    "driverIngressOptions",
    "driverIngressOptions.0",
    "dynamicAllocation",
    "driver",
    "driver.gpu",
    "executor",
    "executor.gpu",
    "server",
    "server.gpu",
    "server.service",
];

/// The whole page.
pub fn render(applications: &[Seen], servers: &[Seen]) -> String {
    let mut page = HEAD.to_owned();
    let _ = write!(page, "\n## SparkApplication ({} leaves)\n\n", applications.len());
    page += &rows(applications);
    let _ = write!(page, "\n## SparkConnect ({} leaves)\n\n", servers.len());
    page += &rows(servers);
    page += "\n## What is refused\n\nA combination in which a field could have no effect is refused, not stored and forgotten.\n\n";
    page += "| what | what is said |\n|---|---|\n";
    for refusal in REFUSALS {
        let _ = writeln!(page, "| {} | {} |", refusal.what, escaped(&refusal.said()));
    }
    page
}

fn rows(all: &[Seen]) -> String {
    let mut rows = "| field | set to | what changes |\n|---|---|---|\n".to_owned();
    let mut begin = 0;
    while begin < all.len() {
        let group = group(&all[begin].leaf.path);
        let length = all[begin..]
            .iter()
            .take_while(|seen| self::group(&seen.leaf.path) == group)
            .count();
        let seen = &all[begin..begin + length];
        let _ = writeln!(
            rows,
            "| `{}` | {} | {} |",
            group.replace(".0", "[]").replace(".*", ".…"),
            set_to(seen),
            effect(seen)
        );
        begin += length;
    }
    rows
}

/// The field a leaf is told under.
fn group(path: &str) -> &str {
    let mut end = 0;
    for part in path.split('.') {
        let next = end + usize::from(end > 0) + part.len();
        if end > 0 && !OURS.contains(&&path[..end]) && !["0", "*"].contains(&part) {
            break;
        }
        end = next;
    }
    &path[..end]
}

fn set_to(seen: &[Seen]) -> String {
    match seen {
        [only] => format!("`{}`", escaped(&only.to.to_string())),
        several => format!("{} leaves, each", several.len()),
    }
}

fn effect(seen: &[Seen]) -> String {
    let refused: Vec<&String> = seen.iter().filter_map(|seen| seen.effect.as_ref().err()).collect();
    if let Some(said) = refused.first() {
        let said = escaped(said);
        return match (seen.len(), seen.len() - refused.len()) {
            (_, 0) => format!("refused: {said}"),
            _ => format!("{}; {} leaves are refused: {said}", places(seen), refused.len()),
        };
    }
    places(seen)
}

fn places(seen: &[Seen]) -> String {
    if let [Seen { effect: Ok(places), .. }] = seen {
        // Driver, executor, object, property: one of each says it.
        let mut told: Vec<&String> = Vec::new();
        for place in places {
            let part = |place: &String| place.split(':').next().unwrap_or_default().to_owned();
            if told.len() < 3 && !told.iter().any(|other| part(other) == part(place)) {
                told.push(place);
            }
        }
        let told = told.iter().map(|place| format!("`{}`", shortened(&escaped(place))));
        return told.collect::<Vec<_>>().join("<br>");
    }
    let first: Vec<&str> = seen
        .iter()
        .filter_map(|seen| seen.effect.as_ref().ok()?.first().map(String::as_str))
        .collect();
    format!("`{}…`", escaped(common(&first)))
}

/// What all places begin with, cut at a whole name.
fn common<'a>(places: &[&'a str]) -> &'a str {
    let first = places[0];
    let length = places.iter().fold(first.len(), |length, place| {
        let same = first.bytes().zip(place.bytes()).take_while(|(a, b)| a == b).count();
        length.min(same)
    });
    let cut = first[..length].rfind(['.', ' ']).unwrap_or(length);
    first[..cut].trim_end_matches([':', '=', ' '])
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 140 {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(139).collect::<String>())
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
