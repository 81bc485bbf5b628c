//! Java's packages: what a jar says it is and holds, and jars inside it.
//!
//! `META-INF/maven/GROUP/ARTIFACT/pom.properties` names an artifact with its group; a jar that holds its libraries has several. One without them is known by
//! its manifest and the name of its file, without a group: guessing one would name another artifact.

use std::io::{Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;
use zip::ZipArchive;

use super::inventory::{Content, Unread};
use super::package::{Kind, Package};

/// Most bytes of a text in an archive.
const MOST_TEXT: u64 = 1 << 20;
/// Archives up to this size stay in memory, in bytes; larger ones go into a temporary file, one for each depth.
const IN_MEMORY: usize = 8 << 20;
/// How deep jars are looked for in jars.
const DEEPEST: usize = 5;
/// Most bytes that jars inside one file may unpack to, together.
const MOST_BYTES: u64 = 4 << 30;
/// Most jars inside one file.
const MOST_JARS: u64 = 10_000;

/// What may still be unpacked.
struct Left {
    bytes: u64,
    jars: u64,
}

pub(super) fn is_archive(name: &str) -> bool {
    let end = name.rsplit('.').next().unwrap_or_default();
    name.contains('.')
        && ["jar", "war", "ear"]
            .iter()
            .any(|known| end.eq_ignore_ascii_case(known))
}

/// Looks into a jar; what cannot be read of it is said.
pub(super) fn read(content: &mut dyn Read, place: &str) -> Content {
    read_within(content, place, MOST_BYTES)
}

fn read_within(content: &mut dyn Read, place: &str, most: u64) -> Content {
    let mut found = Content::default();
    let mut left = Left {
        bytes: most,
        jars: MOST_JARS,
    };
    one(content, place, 0, &mut left, &mut found);
    found
}

fn too_large(place: &str, why: &str) -> Unread {
    Unread {
        too_large: true,
        ..Unread::new(place, why)
    }
}

/// Copies an archive to where it can be read at any position.
fn spooled(content: &mut dyn Read, left: &mut Left) -> std::io::Result<Option<SpooledTempFile>> {
    let mut file = SpooledTempFile::new(IN_MEMORY);
    let copied = std::io::copy(&mut content.take(left.bytes + 1), &mut file)?;
    if copied > left.bytes {
        return Ok(None);
    }
    left.bytes -= copied;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Some(file))
}

fn one(content: &mut dyn Read, place: &str, depth: usize, left: &mut Left, found: &mut Content) {
    let file = match spooled(content, left) {
        Ok(Some(file)) => file,
        Ok(None) => {
            return found
                .unread
                .push(too_large(place, "jars inside it unpack to more than 4 GiB"));
        }
        Err(error) => return found.unread.push(Unread::new(place, error.to_string())),
    };
    let mut archive = match ZipArchive::new(file) {
        Ok(archive) => archive,
        Err(error) => return found.unread.push(Unread::new(place, format!("not a jar: {error}"))),
    };
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let mut artifacts = Vec::new();
    let properties = |name: &&String| name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties");
    for name in names.iter().filter(properties) {
        match text(&mut archive, name) {
            Ok(text) => artifacts.extend(artifact(&text).map(|artifact| (name.clone(), artifact))),
            Err(why) => found.unread.push(Unread::new(&format!("{place}!{name}"), why)),
        }
    }
    artifacts.sort();
    let manifest = names
        .iter()
        .find(|name| name.eq_ignore_ascii_case("META-INF/MANIFEST.MF"));
    let manifest = manifest.and_then(|name| text(&mut archive, name).ok());
    let manifest = manifest.map(|text| attributes(&text)).unwrap_or_default();
    let stem = stem(place);
    let own = own_artifact(&artifacts, stem);
    if own.is_none() {
        found
            .packages
            .extend(by_manifest(&manifest, stem, place, artifacts.is_empty()));
    }
    for (index, (name, (group, artifact, version))) in artifacts.iter().enumerate() {
        let inside = format!("{place}!{name}");
        let where_it_is = if own == Some(index) { place } else { &inside };
        let mut package = Package::new(Kind::Maven, artifact, version, where_it_is);
        package.group.clone_from(group);
        let pom = name.replace("pom.properties", "pom.xml");
        package.licence = text(&mut archive, &pom).ok().and_then(|text| pom_licence(&text));
        if package.licence.is_none() && own == Some(index) {
            package.licence = licence_of(&manifest);
        }
        found.packages.push(package);
    }
    for name in names.iter().filter(|name| is_archive(name)) {
        let inside = format!("{place}!{name}");
        if depth + 1 >= DEEPEST || left.jars == 0 {
            found
                .unread
                .push(too_large(&inside, "it is a jar too deep, or one too many, inside jars"));
            continue;
        }
        left.jars -= 1;
        match archive.by_name(name) {
            Ok(mut entry) => one(&mut entry, &inside, depth + 1, left, found),
            Err(error) => found.unread.push(Unread::new(&inside, error.to_string())),
        }
    }
}

fn text(archive: &mut ZipArchive<SpooledTempFile>, name: &str) -> Result<String, String> {
    let entry = archive.by_name(name).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = entry.take(MOST_TEXT).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

type Artifact = (String, String, String);

fn artifact(properties: &str) -> Option<Artifact> {
    let value = |key: &str| {
        let mut lines = properties.lines();
        let value = lines.find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix(['=', ':']))?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty() && !value.contains("${"))
    };
    Some((value("groupId")?, value("artifactId")?, value("version")?))
}

/// The main attributes of a manifest, continued lines put together.
fn attributes(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.is_empty() {
            break;
        }
        if let Some(more) = line.strip_prefix(' ') {
            if let Some((_, value)) = all.last_mut() {
                value.push_str(more);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            all.push((key.to_owned(), value.trim_start().to_owned()));
        }
    }
    all
}

fn attribute<'a>(manifest: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = manifest.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

fn licence_of(manifest: &[(String, String)]) -> Option<String> {
    let written = attribute(manifest, "Bundle-License")?;
    // `name;link=...`, or addresses.
    let first = written
        .split([';', ','])
        .next()
        .unwrap_or(written)
        .trim()
        .trim_matches('"');
    Some(first.to_owned()).filter(|text| !text.is_empty() && text.len() < 200)
}

/// The licences a POM names, each by its name.
fn pom_licence(text: &str) -> Option<String> {
    let document = roxmltree::Document::parse(text).ok()?;
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.children()
            .find(|child| child.has_tag_name_ignoring(name))
            .map(|node| node.id())
    };
    let licences = child(document.root_element(), "licenses").and_then(|id| document.get_node(id))?;
    let names = licences
        .children()
        .filter(roxmltree::Node::is_element)
        .filter_map(|licence| {
            let name = child(licence, "name").and_then(|id| document.get_node(id))?;
            name.text().map(str::trim).filter(|text| !text.is_empty())
        });
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        several => Some(several.join(", ")),
    }
}

trait TagName {
    fn has_tag_name_ignoring(&self, name: &str) -> bool;
}

impl TagName for roxmltree::Node<'_, '_> {
    /// Whatever name space a POM declares, or none.
    fn has_tag_name_ignoring(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// The name of the file without directories and ending.
fn stem(place: &str) -> &str {
    let base = place.rsplit(['/', '!']).next().unwrap_or(place);
    base.rsplit_once('.').map_or(base, |(stem, _)| stem)
}

/// Which artifact the jar is itself: the one its file is named by, or the only one.
fn own_artifact(artifacts: &[(String, Artifact)], stem: &str) -> Option<usize> {
    let named = |artifact: &str| {
        stem.strip_prefix(artifact)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let all = artifacts.iter().enumerate();
    let fitting = all.filter(|(_, (_, (_, artifact, _)))| named(artifact));
    let longest = fitting.max_by_key(|(_, (_, (_, artifact, _)))| artifact.len());
    match (longest, artifacts.len()) {
        (Some((index, _)), _) => Some(index),
        (None, 1) => Some(0),
        (None, _) => None,
    }
}

/// A file name taken apart: `log4j-1.2-api-2.24.3` is `log4j-1.2-api` in version `2.24.3`.
fn by_name(stem: &str) -> (&str, &str) {
    let dashes = stem.match_indices('-').map(|(at, _)| at);
    let begins = |at: &usize| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    match dashes.rev().find(begins) {
        Some(at) => (&stem[..at], &stem[at + 1..]),
        None => (stem, ""),
    }
}

fn by_manifest(manifest: &[(String, String)], stem: &str, place: &str, alone: bool) -> Option<Package> {
    let (name, version) = by_name(stem);
    let said = ["Implementation-Version", "Bundle-Version", "Specification-Version"];
    let said = said.iter().find_map(|key| attribute(manifest, key));
    let version = if version.is_empty() {
        said.unwrap_or_default()
    } else {
        version
    };
    // A jar of many others that does not say what it is itself is known by these.
    if version.is_empty() && !alone {
        return None;
    }
    let mut package = Package::new(Kind::Maven, name, version, place);
    package.licence = licence_of(manifest);
    Some(package)
}

#[cfg(test)]
#[path = "java_tests.rs"]
mod tests;
