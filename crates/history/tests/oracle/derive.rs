//! Further logs, made from those a Spark wrote: what only another cluster manager, a crash or an older Spark leaves behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::shape;

/// Copies the logs and adds: an application of two attempts, the first without an end, with second copies of tasks; logs cut in the middle
/// of a line and still in progress; and logs that lack what Spark's reader takes for optional.
pub fn copy_and_derive(from: &[PathBuf], to: &Path) -> io::Result<()> {
    let mut plain = Vec::new();
    for directory in from {
        plain.extend(copy(directory, to)?);
    }
    // The longest logs have most to differ in.
    plain.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |meta| meta.len())));
    let texts = plain.iter().map(fs::read_to_string).collect::<io::Result<Vec<_>>>()?;
    let of = |name: &str| {
        let named = format!("\"App Name\":\"{name}");
        texts.iter().find(|text| text.contains(&named))
    };
    let cluster = of("executors come and go").unwrap_or(&texts[0]);
    attempts(cluster, to)?;
    let cut = ["SQL", "rdd", "failures"].map(of);
    for (number, (text, part)) in cut.into_iter().zip([0.4, 0.7, 0.55]).enumerate() {
        let Some(text) = text else { continue };
        let id = format!("cut-{number}");
        let text = text.replace(&app_id(text), &id);
        let mut end = (text.len() as f64 * part) as usize;
        while !text.is_char_boundary(end) {
            end += 1;
        }
        fs::write(to.join(format!("{id}.inprogress")), &text[..end])?;
    }
    if let Some(text) = of("SQL") {
        fs::write(to.join("ties"), ties(&text.replace(&app_id(text), "ties")))?;
    }
    for (id, name) in [("pushed-sql", "SQL"), ("pushed-rdd", "rdd")] {
        // The reader of Spark 3 looks for these figures under another name than its writer gives them, and shows zeros.
        if let Some(text) = of(name).filter(|text| !text.contains("\"Spark Version\":\"3.")) {
            fs::write(to.join(id), pushed(&text.replace(&app_id(text), id)))?;
        }
    }
    type Shape<'a> = (&'a str, &'a dyn Fn(&str, &str) -> String, Option<&'a String>);
    let shapes: [Shape<'_>; 5] = [
        ("old-cluster", &shape::old, Some(cluster)),
        ("old-sql", &shape::old, of("SQL")),
        ("bare-cluster", &shape::bare, Some(cluster)),
        ("bare-sql", &shape::bare, of("SQL")),
        ("null-cluster", &shape::null, Some(cluster)),
    ];
    for (id, shape, text) in shapes {
        if let Some(text) = text {
            fs::write(to.join(id), shape(&text.replace(&app_id(text), id), id))?;
        }
    }
    Ok(())
}

/// Copies a directory of logs: the plain files.
fn copy(from: &Path, to: &Path) -> io::Result<Vec<PathBuf>> {
    let mut plain = Vec::new();
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            for inner in fs::read_dir(file.path())? {
                let inner = inner?;
                if !inner.file_name().to_string_lossy().starts_with('.') {
                    fs::copy(inner.path(), target.join(inner.file_name()))?;
                }
            }
        } else {
            fs::copy(file.path(), &target)?;
            if !file.file_name().to_string_lossy().contains('.') {
                plain.push(target);
            }
        }
    }
    Ok(plain)
}

fn attempts(text: &str, to: &Path) -> io::Result<()> {
    let (old, id) = (app_id(text), "application_1700000000000_0001");
    let text: Vec<String> = text.replace(&old, id).lines().map(second_copies).collect();
    let text = text.join("\n") + "\n";
    for attempt in ["1", "2"] {
        let other = text.replace(
            &format!("\"App ID\":\"{id}\","),
            &format!("\"App ID\":\"{id}\",\"App Attempt ID\":\"{attempt}\","),
        );
        // The first attempt began before the second.
        let begin = other.find("{\"Event\":\"SparkListenerApplicationStart\"").unwrap_or(0);
        let (before, start) = other.split_at(begin);
        let earlier = if attempt == "1" {
            "\"Timestamp\":16"
        } else {
            "\"Timestamp\":17"
        };
        let other = format!("{before}{}", start.replacen("\"Timestamp\":17", earlier, 1));
        let last = other
            .rfind("{\"Event\":\"SparkListenerApplicationEnd\"")
            .unwrap_or(other.len());
        let end = if attempt == "1" { last } else { other.len() };
        fs::write(to.join(format!("{id}_{attempt}")), &other[..end])?;
    }
    Ok(())
}

/// Every task reports the same number of every SQL metric: whom Spark names for the greatest depends on its orders alone.
fn ties(text: &str) -> String {
    let of_sql = "\"Metadata\":\"sql\"";
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive("},{") {
        match part.split_once("\"Update\":\"") {
            Some((before, rest)) if part.contains(of_sql) => {
                let rest = rest.split_once('"').map_or("", |(_, rest)| rest);
                out.push_str(&format!("{before}\"Update\":\"700\"{rest}"));
            }
            _ => out.push_str(part),
        }
    }
    out
}

/// Shuffles were pushed and merged: every figure of it is another number.
fn pushed(text: &str) -> String {
    let key = "\"Push Based Shuffle\":{";
    let mut out = String::with_capacity(text.len());
    let mut number = 0u32;
    for (place, part) in text.split(key).enumerate() {
        if place == 0 {
            out.push_str(part);
            continue;
        }
        let (figures, rest) = part.split_at(part.find('}').unwrap_or(0));
        out.push_str(key);
        for (place, figure) in figures.split(":0").enumerate() {
            if place > 0 {
                number = number % 97 + 1;
                out.push_str(&format!(":{number}"));
            }
            out.push_str(figure);
        }
        out.push_str(rest);
    }
    out.replace(
        "\"Shuffle Push Enabled\":false,\"Shuffle Push Mergers Count\":0",
        "\"Shuffle Push Enabled\":true,\"Shuffle Push Mergers Count\":3",
    )
}

/// Every third task is a second copy of a slow one.
fn second_copies(line: &str) -> String {
    let third = |rest: &str| {
        rest.split(',')
            .next()
            .and_then(|id| id.parse::<u64>().ok())
            .is_some_and(|id| id % 3 == 1)
    };
    match line.split_once("\"Task ID\":") {
        Some((_, rest)) if third(rest) => line.replacen("\"Speculative\":false", "\"Speculative\":true", 1),
        _ => line.to_owned(),
    }
}

fn app_id(text: &str) -> String {
    let key = "\"App ID\":\"";
    let begin = text.find(key).map_or(0, |at| at + key.len());
    text[begin..].split('"').next().unwrap_or_default().to_owned()
}
