//! Text to trees: YAML (several documents) and JSON, with the place of every key and value.
//!
//! What Kubernetes clients do, we do: anchors, aliases and merge keys (`<<`) are followed, scalars mean what [`super::scalar`] says,
//! keys are texts. What they let pass by accident we refuse: a key given twice, a tag that is not YAML's own, a merge after a key it
//! also has (YAML keeps the key, kubectl takes the merged one). Depth, size and the size after aliases are expanded are limited, so that no text can exhaust
//! the machine; no text panics.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::node::{Content, Entry, Node, join, join_index};
use super::scalar;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_diagnostics::{Place, Source};

/// Most bytes of a text.
pub const MAX_BYTES: usize = 16 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 100;
/// Most values in a text, aliases expanded; long scalars count as several.
pub const MAX_NODES: usize = 500_000;
/// Most lines of quoted scalars that are moved to the right; each takes one more reading.
const MAX_MOVED: usize = 256;
/// By how many columns: more than any collection is indented.
const MOVED_BY: usize = 1024;

/// Reads a text into the trees of its documents; empty documents are left out.
///
/// Complaints are of severity error. After a syntax error the documents read until then are returned.
pub fn read(source: &Source) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut complaints = Vec::new();
    if source.text().len() > MAX_BYTES {
        let message = format!(
            "the text has {} bytes; at most {MAX_BYTES} are read",
            source.text().len()
        );
        complaints.push(Diagnostic::at(
            Severity::Error,
            "too-large",
            source,
            source.place_at(0),
            "",
            message,
        ));
        return (Vec::new(), complaints);
    }
    // A line that goes on with a quoted scalar may stand anywhere for Go and Python, whose readers leave its indentation out; this parser wants it
    // further right than the key. So it is read as if it stood there.
    let mut moved = Moved::default();
    loop {
        let mut reader = Reader {
            source,
            complaints: Vec::new(),
            documents: Vec::new(),
            stack: Vec::new(),
            anchors: HashMap::new(),
            total: 0,
            moved: &moved,
        };
        let Some(line) = reader.read() else {
            return (reader.documents, reader.complaints);
        };
        moved.add(line);
    }
}

/// Lines of a text that are read as if they stood further right: the offsets they begin at, ascending.
#[derive(Default)]
struct Moved(Vec<usize>);

impl Moved {
    fn add(&mut self, line: usize) {
        let at = self.0.partition_point(|known| *known < line);
        self.0.insert(at, line);
    }

    /// The text with these lines moved.
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.0.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut with = String::with_capacity(text.len() + self.0.len() * MOVED_BY);
        let mut from = 0;
        for line in &self.0 {
            with.push_str(text.get(from..*line).unwrap_or_default());
            with.extend(std::iter::repeat_n(' ', MOVED_BY));
            from = *line;
        }
        with.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(with)
    }

    /// Where an offset of the moved text is in the text, and whether its line was moved.
    fn back(&self, text: &str, offset: usize) -> (usize, bool) {
        let (mut offset, mut last) = (offset, None);
        for line in &self.0 {
            if offset <= *line {
                break;
            }
            offset = (*line).max(offset.saturating_sub(MOVED_BY));
            last = Some(*line);
        }
        let same_line = last.is_some_and(|line| !text.get(line..offset).unwrap_or_default().contains('\n'));
        (offset, same_line)
    }

    /// The place that one of the moved text has in the text.
    fn place(&self, text: &str, place: Place) -> Place {
        if self.0.is_empty() {
            return place;
        }
        let (start, same_line) = self.back(text, place.start);
        Place {
            start,
            end: self.back(text, place.end).0,
            column: match same_line {
                true => place.column.saturating_sub(MOVED_BY).max(1),
                false => place.column,
            },
            ..place
        }
    }
}

/// A complaint after which nothing more can be read.
type Stop = Box<Diagnostic>;

/// A complete value and what it weighs.
#[derive(Clone)]
struct Built {
    node: Node,
    size: usize,
    depth: usize,
}

/// A collection being read.
struct Frame {
    start: Place,
    anchor: usize,
    size: usize,
    depth: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, usize>,
        key: Option<Key>,
        merges: Vec<Merge>,
    },
}

/// A mapping merged by `<<`, and how many entries stood before.
struct Merge {
    source: Node,
    after: usize,
}

struct Key {
    text: String,
    place: Place,
    is_merge: bool,
}

struct Reader<'a> {
    source: &'a Source,
    complaints: Vec<Diagnostic>,
    documents: Vec<Node>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Built>,
    total: usize,
    moved: &'a Moved,
}

impl Reader<'_> {
    /// Reads the text; or says where a line begins that must be moved first.
    fn read(&mut self) -> Option<usize> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        let text = self.moved.text(self.source.text());
        for event in Parser::new_from_str_with_options(&text, options) {
            let step = match event {
                Ok((event, span)) => self.event(event, span),
                Err(error) => {
                    let line = (*error.kind() == ErrorKind::InvalidQuotedScalarIndent)
                        .then(|| self.line_to_move(self.at(error.marker()).start));
                    if let Some(line) = line.flatten() {
                        return Some(line);
                    }
                    Err(Box::new(self.syntax(&error)))
                }
            };
            if let Err(stop) = step {
                self.complaints.push(*stop);
                break;
            }
        }
        None
    }

    /// Where the line of an offset begins, if it may be moved: a mark between documents may not.
    fn line_to_move(&self, offset: usize) -> Option<usize> {
        let text = self.source.text();
        let line = text.get(..offset)?.rfind('\n')? + 1;
        let mark = |mark| {
            let rest = text.get(line..).and_then(|rest| rest.strip_prefix(mark));
            rest.is_some_and(|rest: &str| rest.is_empty() || rest.starts_with(char::is_whitespace))
        };
        let may = !self.moved.0.contains(&line) && self.moved.0.len() < MAX_MOVED;
        (may && !mark("---") && !mark("...")).then_some(line)
    }

    /// The place of a marker in the text as it is written.
    fn at(&self, marker: &Marker) -> Place {
        self.moved.place(self.source.text(), marker_place(marker))
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let place = self.moved.place(self.source.text(), place(&span));
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.stack.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_key = matches!(
                    self.stack.last(),
                    Some(Frame {
                        kind: Kind::Map { key: None, .. },
                        ..
                    })
                );
                if is_key && plain && text == "<<" {
                    self.set_key(Key {
                        text: text.into_owned(),
                        place,
                        is_merge: true,
                    });
                    return Ok(());
                }
                let content = self.scalar(&text, plain, tag.as_deref(), place)?;
                let size = 1 + text.len() / 64;
                self.complete(
                    Built {
                        node: Node { place, content },
                        size,
                        depth: 1,
                    },
                    anchor,
                    true,
                )
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", place)?;
                self.open(place, anchor, Kind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", place)?;
                let kind = Kind::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(place, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(built) => {
                    let built = built.clone();
                    self.complete(built, 0, true)
                }
                None => Err(self.error(
                    "alias-cycle",
                    place,
                    "an alias cannot stand inside the value its anchor names",
                )),
            },
            _ => Ok(()),
        }
    }

    fn scalar(&self, text: &str, plain: bool, tag: Option<&Tag>, place: Place) -> Result<Content, Stop> {
        let string = || Content::String(text.to_owned());
        let Some(tag) = tag else {
            return if plain {
                scalar::plain(text).map_err(|why| self.error("bad-number", place, why))
            } else {
                Ok(string())
            };
        };
        if tag.original() == "!" {
            return Ok(string());
        }
        let mismatch = |what: &str| self.error("bad-tag", place, format!("`{text}` is not {what}, as its tag says"));
        let read = scalar::plain(text).map_err(|why| self.error("bad-number", place, why));
        match tag.core_suffix() {
            Some("str") => Ok(string()),
            Some("int") => read.and_then(|content| match content {
                Content::Number(ref number) if !number.is_f64() => Ok(content),
                _ => Err(mismatch("a whole number")),
            }),
            Some("float") => read.and_then(|content| match content {
                Content::Number(_) => Ok(content),
                _ => Err(mismatch("a number")),
            }),
            Some("bool") => read.and_then(|content| match content {
                Content::Bool(_) => Ok(content),
                _ => Err(mismatch("a boolean")),
            }),
            Some("null") => Ok(Content::Null),
            _ => Err(self.unknown_tag(tag, place)),
        }
    }

    fn collection_tag(&self, tag: Option<&Tag>, expected: &str, place: Place) -> Result<(), Stop> {
        match tag {
            Some(tag) if tag.original() != "!" && tag.core_suffix() != Some(expected) => {
                Err(self.unknown_tag(tag, place))
            }
            _ => Ok(()),
        }
    }

    fn unknown_tag(&self, tag: &Tag, place: Place) -> Stop {
        let message = format!("the tag `{}` has no meaning in a Kubernetes manifest", tag.original());
        Box::new(self.complaint("unknown-tag", place, message).with_fix("remove the tag"))
    }

    fn open(&mut self, start: Place, anchor: usize, kind: Kind) -> Result<(), Stop> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(self.error(
                "too-deep",
                start,
                format!("values are nested more than {MAX_DEPTH} deep"),
            ));
        }
        if let Some(Frame {
            kind: Kind::Map { key: None, .. },
            ..
        }) = self.stack.last()
        {
            return Err(self.error(
                "bad-key",
                start,
                "a key is a text; nothing, a list or a mapping cannot be one",
            ));
        }
        self.stack.push(Frame {
            start,
            anchor,
            size: 1,
            depth: 0,
            kind,
        });
        Ok(())
    }

    fn close(&mut self, end: Place) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let place = Place {
            end: end.end.max(frame.start.end),
            ..frame.start
        };
        let mut ambiguous = Vec::new();
        let content = match frame.kind {
            Kind::List(items) => Content::List(items),
            Kind::Map {
                mut entries,
                mut seen,
                merges,
                ..
            } => {
                for merge in merges {
                    for entry in into_entries(merge.source) {
                        match seen.get(&entry.key) {
                            None => {
                                seen.insert(entry.key.clone(), entries.len());
                                entries.push(entry);
                            }
                            Some(at) if *at < merge.after => {
                                ambiguous.extend(entries.get(*at).map(|entry| entry.key_place))
                            }
                            Some(_) => {}
                        }
                    }
                }
                Content::Map(entries)
            }
        };
        for at in ambiguous {
            let message = "a later `<<` merges the same key; YAML keeps this one, kubectl takes the merged one";
            self.complaints.push(
                self.complaint("ambiguous-merge", at, message)
                    .with_fix("put `<<` first in the mapping"),
            );
        }
        self.complete(
            Built {
                node: Node { place, content },
                size: frame.size,
                depth: frame.depth + 1,
            },
            frame.anchor,
            false,
        )
    }

    /// Puts a complete value where it belongs. `fresh` says that its size was not counted yet.
    fn complete(&mut self, built: Built, anchor: usize, fresh: bool) -> Result<(), Stop> {
        self.total += if fresh { built.size } else { 1 };
        let place = built.node.place;
        if self.total > MAX_NODES {
            return Err(self.error(
                "too-large",
                place,
                format!("the text has more than {MAX_NODES} values, aliases expanded"),
            ));
        }
        if built.depth + self.stack.len() > MAX_DEPTH + 1 {
            return Err(self.error(
                "too-deep",
                place,
                format!("values are nested more than {MAX_DEPTH} deep, aliases expanded"),
            ));
        }
        if anchor != 0 {
            // The copy kept under the anchor is memory too.
            self.total += built.size;
            self.anchors.insert(anchor, built.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            if built.node.content != Content::Null {
                self.documents.push(built.node);
            }
            return Ok(());
        };
        frame.size += built.size;
        frame.depth = frame.depth.max(built.depth);
        match &mut frame.kind {
            Kind::List(items) => items.push(built.node),
            Kind::Map {
                entries,
                seen,
                key,
                merges,
            } => match key.take() {
                None => match scalar::key_text(&built.node.content) {
                    Some(text) => {
                        *key = Some(Key {
                            text,
                            place,
                            is_merge: false,
                        })
                    }
                    None => {
                        return Err(self.error(
                            "bad-key",
                            place,
                            "a key is a text; nothing, a list or a mapping cannot be one",
                        ));
                    }
                },
                Some(key) if key.is_merge => match merge_sources(built.node) {
                    Some(maps) => {
                        let after = entries.len();
                        merges.extend(maps.into_iter().map(|source| Merge { source, after }));
                    }
                    None => return Err(self.error("bad-merge", place, "`<<` merges a mapping or a list of mappings")),
                },
                Some(key) => match seen
                    .get(&key.text)
                    .and_then(|at| entries.get(*at))
                    .map(|first| first.key_place.line)
                {
                    Some(first) => self.duplicate(key, first),
                    None => {
                        seen.insert(key.text.clone(), entries.len());
                        entries.push(Entry {
                            key: key.text,
                            key_place: key.place,
                            value: built.node,
                        });
                    }
                },
            },
        }
        Ok(())
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Frame {
            kind: Kind::Map { key, .. },
            ..
        }) = self.stack.last_mut()
        {
            *key = Some(new);
        }
    }

    fn duplicate(&mut self, key: Key, first_line: usize) {
        let path = join(&self.path(), &key.text);
        let message = format!("`{}` is given twice; first on line {first_line}", key.text);
        self.complaints.push(
            Diagnostic::at(Severity::Error, "duplicate-key", self.source, key.place, &path, message)
                .with_fix("remove one of the two; Kubernetes clients disagree about which one counts"),
        );
    }

    /// The path of the collection being read.
    fn path(&self) -> String {
        let mut path = String::new();
        let inner = self.stack.len().saturating_sub(1);
        for frame in &self.stack[..inner] {
            path = match &frame.kind {
                Kind::List(items) => join_index(&path, items.len()),
                Kind::Map { key: Some(key), .. } => join(&path, &key.text),
                Kind::Map { .. } => path,
            };
        }
        path
    }

    fn error(&self, code: &'static str, place: Place, message: impl Into<String>) -> Stop {
        Box::new(self.complaint(code, place, message))
    }

    fn complaint(&self, code: &'static str, place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(Severity::Error, code, self.source, place, &self.path(), message)
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = self.at(error.marker());
        let complaint = Diagnostic::at(
            Severity::Error,
            "yaml-syntax",
            self.source,
            at,
            "",
            format!("this is not YAML: {}", error.info()),
        );
        match syntax_hint(self.source, at) {
            Some(hint) => complaint.with_fix(hint),
            None => complaint,
        }
    }
}

/// The fix for the commonest slips, told from the line.
fn syntax_hint(source: &Source, at: Place) -> Option<String> {
    let excerpt = source.excerpt(at);
    let indent: String = excerpt.text.chars().take_while(|c| c.is_whitespace()).collect();
    if indent.contains('\t') {
        return Some("indent with spaces; YAML does not allow tabs".to_owned());
    }
    let line = excerpt.text.trim_start();
    if line.contains("{{") {
        return Some("this looks like a template; render it first (for example `helm template`)".to_owned());
    }
    let value = line.split_once(": ").map(|(_, value)| value.trim_start())?;
    if value.starts_with(['@', '`', '%', '*', '&', '!']) || (value.contains(": ") && !value.starts_with(['"', '\''])) {
        return Some("put the value in quotes".to_owned());
    }
    None
}

fn into_entries(node: Node) -> Vec<Entry> {
    match node.content {
        Content::Map(entries) => entries,
        _ => Vec::new(),
    }
}

fn merge_sources(node: Node) -> Option<Vec<Node>> {
    match node.content {
        Content::Map(_) => Some(vec![node]),
        Content::List(items) if items.iter().all(|item| matches!(item.content, Content::Map(_))) => Some(items),
        _ => None,
    }
}

fn marker_place(marker: &Marker) -> Place {
    let start = marker.byte_offset().unwrap_or(0);
    Place {
        start,
        end: start,
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

fn place(span: &Span) -> Place {
    let start = marker_place(&span.start);
    Place {
        end: span.end.byte_offset().unwrap_or(start.start),
        ..start
    }
}
