//! `stoke release list`, `show`, `diff`, `explain`, `history`, `verify`.

use std::collections::BTreeSet;

use serde_json::json;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::units::people;
use stoke_release::bundle::{self, Change, Size};
use stoke_release::ledger::{Event, History};
use stoke_release::oci::Digest;

use super::{Kept, content, kept, show as show_all};
use crate::cli::Context;
use crate::failure::Outcome;
use crate::terminal::{Format, Terminal, table};

/// A release.
#[derive(clap::Args)]
pub struct One {
    /// Its digest, the beginning of it, or its name for the newest of that name
    release: String,
    #[command(flatten)]
    kept: Kept,
}

/// Two releases.
#[derive(clap::Args)]
pub struct Two {
    /// The old one: its digest, the beginning of it, or a name
    old: String,
    /// The new one
    new: String,
    #[command(flatten)]
    kept: Kept,
}

pub async fn list(place: &Kept, context: &mut Context) -> Outcome<u8> {
    let store = place.open(context)?;
    let history = History::of(&store.entries().await?);
    let at = |digest: &Digest| -> Vec<String> {
        let here = history
            .places
            .iter()
            .filter(|(_, place)| place.current() == Some(digest));
        here.map(|(name, _)| name.clone()).collect()
    };
    if let Some(there) = store.releases.listed().await.map_err(kept)? {
        compare(&there, &history, &mut context.terminal);
    }
    if context.terminal.format() == Format::Json {
        let all: Vec<_> = history
            .releases
            .iter()
            .map(|(digest, name)| json!({"digest": digest, "name": name, "current": at(digest)}))
            .collect();
        context.terminal.json(&all);
        return Ok(0);
    }
    let mut rows = vec![["RELEASE", "NAME", "CURRENT IN"].map(str::to_owned).to_vec()];
    for (digest, name) in history.releases.iter().rev() {
        rows.push(vec![digest.short().to_owned(), name.clone(), at(digest).join(", ")]);
    }
    for line in table(&rows) {
        context.terminal.out(line);
    }
    Ok(0)
}

/// Says where a registry and the ledger differ.
fn compare(there: &BTreeSet<Digest>, history: &History, terminal: &mut Terminal) {
    let mut complaints = Vec::new();
    for (digest, name) in history.releases.iter().filter(|(digest, _)| !there.contains(digest)) {
        let message = format!("the registry has no tag of {digest} ({name}), which is in the ledger");
        complaints.push(
            Diagnostic::new(Severity::Warning, "release-missing", message)
                .with_fix("`stoke release create` of the same job puts it back"),
        );
    }
    for digest in there.iter().filter(|digest| !history.knows(digest)) {
        let message = format!("the registry has {digest}, which is not in the ledger");
        complaints.push(
            Diagnostic::new(Severity::Warning, "release-unrecorded", message).with_fix(
                "name the ledger it was recorded in, or give the `stoke release create` again that was cut off",
            ),
        );
    }
    show_all(&complaints, terminal);
}

pub async fn show(one: &One, context: &mut Context) -> Outcome<u8> {
    let store = one.kept.open(context)?;
    let (digest, release) = store.find(&one.release).await?;
    let entries = store.entries().await?;
    // What gates said that compare it with another release.
    let compared = entries.iter().filter(
        |entry| matches!(&entry.event, Event::Verified { release, against: Some(_), .. } if *release == digest),
    );
    let terminal = &mut context.terminal;
    if terminal.format() == Format::Json {
        let compared: Vec<_> = compared.collect();
        terminal.json(&json!({"digest": digest, "release": release, "compared": compared}));
        return Ok(0);
    }
    terminal.out(format!("{digest}  {}", release.name));
    for (image, digest) in &release.images {
        terminal.out(format!("image  {image}  {digest}"));
    }
    for part in &release.parts {
        terminal.out(format!("{}  {}  {} bytes", word(&part.role), part.path, part.size));
    }
    for gate in &release.gates {
        let findings: Vec<String> = gate
            .findings
            .iter()
            .map(|(code, count)| format!("{code} ({count})"))
            .collect();
        terminal.out(format!("gate  {}  {}  {}", gate.gate, word(&gate.verdict), findings.join(", ")).trim_end());
    }
    for entry in compared {
        if let Event::Verified {
            gate,
            verdict,
            against: Some(against),
            evidence,
            ..
        } = &entry.event
        {
            let record = evidence
                .as_ref()
                .map(|digest| format!("  record {digest}"))
                .unwrap_or_default();
            let (verdict, against) = (word(verdict), against.short());
            terminal.out(format!(
                "gate  {gate}  {verdict}  against {against}, {}{record}",
                entry.time
            ));
        }
    }
    Ok(0)
}

pub async fn diff(two: &Two, context: &mut Context) -> Outcome<u8> {
    let store = two.kept.open(context)?;
    let (_, old) = store.find(&two.old).await?;
    let (_, new) = store.find(&two.new).await?;
    let mut parts = store.parts(&old).await?;
    parts.extend(store.parts(&new).await?);
    let found = bundle::diff(&old, &new, &content(&parts));
    let terminal = &mut context.terminal;
    if terminal.format() == Format::Json {
        terminal.json(&found);
        return Ok(0);
    }
    if found.is_empty() {
        terminal.out("nothing differs");
        return Ok(0);
    }
    let groups: [(&str, &[Change]); 5] = [
        ("specification", &found.spec),
        ("images", &found.images),
        ("files", &found.files),
        ("gates", &found.gates),
        ("findings", &found.findings),
    ];
    for (name, changes) in groups.into_iter().filter(|(_, changes)| !changes.is_empty()) {
        terminal.out(format!("{name}:"));
        for change in changes {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
            terminal.out(format!(
                "  {}: {} -> {}",
                change.what,
                side(&change.old),
                side(&change.new)
            ));
        }
    }
    if let Some((old, new)) = found.size {
        terminal.out(format!("asks for: {} -> {}", size(&old), size(&new)));
    }
    Ok(0)
}

fn size(size: &Size) -> String {
    let more = if size.dynamic { " to begin with" } else { "" };
    format!(
        "{} and {} of memory{more}",
        people::counted(size.cores, "core"),
        people::bytes(size.memory)
    )
}

pub async fn explain(one: &One, context: &mut Context) -> Outcome<u8> {
    let store = one.kept.open(context)?;
    let (digest, release) = store.find(&one.release).await?;
    let parts = store.parts(&release).await?;
    let entries = store.entries().await?;
    let created = entries
        .iter()
        .find(|entry| matches!(&entry.event, Event::Created { release, .. } if *release == digest));
    let terminal = &mut context.terminal;
    if terminal.format() == Format::Json {
        terminal.json(&json!({"digest": digest, "source": release.source, "parts": release.parts, "images": release.images, "created": created}));
        return Ok(0);
    }
    terminal.out(format!(
        "{digest}  the digest of {} bytes of canonical JSON, verified",
        release.text().len()
    ));
    match &release.source {
        Some(source) => {
            let repository = if source.repository.is_empty() {
                "a repository without a remote"
            } else {
                &source.repository
            };
            let changed = if source.changed {
                ", with files that differ from it"
            } else {
                ""
            };
            terminal.out(format!("source  commit {} of {repository}{changed}", source.commit));
        }
        None => terminal.out("source  not in a git repository: where the files come from is not known"),
    }
    for part in &release.parts {
        let bytes = parts.get(&part.digest).map_or(0, Vec::len);
        terminal.out(format!(
            "{}  {}  {bytes} bytes, {}, verified",
            word(&part.role),
            part.path,
            part.digest
        ));
    }
    for (image, digest) in &release.images {
        let how = if bundle::own_digest(image).is_some() {
            "as the manifest says"
        } else {
            "what the tag meant when the release was made"
        };
        terminal.out(format!("image  {image}  {digest}, {how}"));
    }
    if let Some(created) = created {
        terminal.out(format!(
            "created  {} by {}, entry {} of the ledger",
            created.time, created.by, created.sequence
        ));
    }
    Ok(0)
}

pub async fn history(place: &Kept, context: &mut Context) -> Outcome<u8> {
    let store = place.open(context)?;
    let entries = store.entries().await?;
    if context.terminal.format() == Format::Json {
        context.terminal.json(&entries);
        return Ok(0);
    }
    for entry in &entries {
        let what = match &entry.event {
            Event::Created { release, name } => format!("created {} {name}", release.short()),
            Event::Verified {
                release, gate, verdict, ..
            } => format!("{gate} of {}: {}", release.short(), word(verdict)),
            Event::Approved {
                release, environment, ..
            } => format!("approval of {} for {environment}", release.short()),
            Event::Intended {
                release,
                environment,
                step,
                ..
            } => format!("{} {} in {environment} begins", word(step), release.short()),
            Event::Deployed {
                release,
                environment,
                intent,
            } => format!("{} is in {environment} (entry {intent})", release.short()),
            Event::Abandoned {
                environment,
                intent,
                why,
            } => format!("given up in {environment} (entry {intent}): {why}"),
            Event::DataAudited {
                release,
                environment,
                data,
                version,
                verdict,
                ..
            } => format!(
                "{data} of {environment}, {version} by {}: audit {}",
                release.short(),
                word(verdict)
            ),
            Event::DataMoving {
                environment,
                data,
                step,
                from,
                to,
                ..
            } => format!(
                "{} of {data} in {environment} begins: {} to {to}",
                word(step),
                from.as_deref().unwrap_or("nothing")
            ),
            Event::DataMoved {
                environment,
                data,
                to,
                intent,
                ..
            } => format!("readers of {data} in {environment} see {to} (entry {intent})"),
            Event::DataAbandoned {
                environment,
                data,
                intent,
                why,
            } => format!("given up for {data} in {environment} (entry {intent}): {why}"),
        };
        context
            .terminal
            .out(format!("{:>5}  {}  {what}  {}", entry.sequence, entry.time, entry.by));
    }
    Ok(0)
}

pub async fn verify(place: &Kept, context: &mut Context) -> Outcome<u8> {
    let store = place.open(context)?;
    let entries = store.entries().await?;
    let history = History::of(&entries);
    let mut files = 0;
    for (digest, _) in &history.releases {
        let release = store.releases.get(digest).await.map_err(kept)?;
        files += store.releases.parts(&release).await.map_err(kept)?.len();
    }
    let head = stoke_release::ledger::entry::head(&entries);
    let terminal = &mut context.terminal;
    match terminal.format() {
        Format::Json => terminal
            .json(&json!({"entries": entries.len(), "releases": history.releases.len(), "files": files, "head": head})),
        Format::Text => {
            let releases = people::counted(history.releases.len(), "release");
            terminal.out(format!(
                "{} in one chain, {releases} with {} verified",
                people::counted(entries.len(), "entry").replace("entrys", "entries"),
                people::counted(files, "file")
            ));
            terminal.out(format!("the chain ends with {}", head.digest));
        }
    }
    Ok(0)
}

/// A word as it stands in JSON.
pub fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
