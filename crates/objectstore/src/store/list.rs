//! Listings: keys in the order of their UTF-8 bytes, keys that share a prefix up to a delimiter rolled into one entry.
//!
//! A page costs one step down the index per entry, whatever lies beneath a rolled-up prefix: the next step begins behind it.

use rusqlite::Connection;

use super::error::StoreError;

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only keys that begin so.
    pub prefix: String,
    /// Roll up what follows this, after the prefix.
    pub delimiter: Option<String>,
    /// Where to begin.
    pub after: After,
    /// Entries at most.
    pub limit: usize,
}

/// Where a listing begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// At the first key.
    #[default]
    Nothing,
    /// Behind this key.
    Key(String),
    /// Behind all keys that begin so.
    Prefix(String),
}

impl After {
    /// Behind a marker a client gave: behind the key, or behind the rolled-up prefix when it is one under this query's delimiter.
    pub fn marker(marker: &str, prefix: &str, delimiter: Option<&str>) -> After {
        let rolled = delimiter.and_then(|delimiter| rolled_up(marker, prefix, delimiter));
        match rolled {
            _ if marker.is_empty() => After::Nothing,
            Some(rolled) if rolled == marker => After::Prefix(marker.to_string()),
            _ => After::Key(marker.to_string()),
        }
    }

    /// As an opaque word for the client to send back.
    pub fn token(&self) -> Option<String> {
        use base64::Engine;
        let text = match self {
            After::Nothing => return None,
            After::Key(key) => format!("k{key}"),
            After::Prefix(prefix) => format!("p{prefix}"),
        };
        Some(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text))
    }

    /// Reads such a word.
    pub fn from_token(token: &str) -> Option<After> {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        match text.split_at_checked(1)? {
            ("k", key) => Some(After::Key(key.to_string())),
            ("p", prefix) => Some(After::Prefix(prefix.to_string())),
            _ => None,
        }
    }

    /// The last key or prefix itself, for clients that page by it.
    pub fn text(&self) -> Option<&str> {
        match self {
            After::Nothing => None,
            After::Key(text) | After::Prefix(text) => Some(text),
        }
    }
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Last written, milliseconds since 1970.
    pub modified: i64,
    /// ETag without quotes.
    pub etag: String,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects, in order.
    pub objects: Vec<Summary>,
    /// Rolled-up prefixes, in order.
    pub prefixes: Vec<String>,
    /// Where the next page begins; none when this is the last.
    pub next: Option<After>,
}

/// The prefix under which a key is rolled up: through the first delimiter behind `prefix`.
pub fn rolled_up<'k>(key: &'k str, prefix: &str, delimiter: &str) -> Option<&'k str> {
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

/// The first byte string behind all that begin with `prefix`. UTF-8 has no byte 0xff, so it is enough to raise the last byte.
fn behind(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

/// The first object of a bucket at or behind a key, of those that begin with `prefix`.
pub fn first(index: &Connection, bucket: i64, from: &[u8], prefix: &str) -> Result<Option<Summary>, StoreError> {
    let mut select = index.prepare_cached(
        "SELECT key, size, modified, etag FROM objects WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT 1",
    )?;
    let mut rows = select.query((bucket, from, behind(prefix)))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let key = String::from_utf8(row.get(0)?).map_err(|error| StoreError::Internal(error.to_string()))?;
    Ok(Some(Summary {
        key,
        size: row.get::<_, i64>(1)? as u64,
        modified: row.get(2)?,
        etag: row.get(3)?,
    }))
}

/// A page of keys that come from elsewhere than one bucket: `next` gives the first object at or behind a key.
pub fn walk(
    query: &Query,
    mut next: impl FnMut(&[u8]) -> Result<Option<Summary>, StoreError>,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut from = query.start();
    let mut last = After::Nothing;
    while let Some(found) = next(&from)?.filter(|found| found.key.starts_with(&query.prefix)) {
        if page.objects.len() + page.prefixes.len() == query.limit {
            page.next = Some(last);
            break;
        }
        let delimiter = query.delimiter.as_deref();
        match delimiter.and_then(|delimiter| rolled_up(&found.key, &query.prefix, delimiter)) {
            Some(prefix) => {
                from = behind(prefix);
                last = After::Prefix(prefix.to_string());
                page.prefixes.push(prefix.to_string());
            }
            None => {
                from = [found.key.as_bytes(), &[0]].concat();
                last = After::Key(found.key.clone());
                page.objects.push(found);
            }
        }
    }
    Ok(page)
}

impl Query {
    /// The first bytes that an answer may begin with.
    fn start(&self) -> Vec<u8> {
        let start = match &self.after {
            After::Nothing => Vec::new(),
            After::Key(key) => [key.as_bytes(), &[0]].concat(),
            After::Prefix(prefix) => behind(prefix),
        };
        start.max(self.prefix.as_bytes().to_vec())
    }
}

/// Lists objects of a bucket.
pub fn list(index: &Connection, bucket: i64, query: &Query) -> Result<Page, StoreError> {
    let mut page = Page::default();
    if query.limit == 0 {
        return Ok(page);
    }
    let mut select = index.prepare_cached(
        "SELECT key, size, modified, etag FROM objects WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key",
    )?;
    let end = if query.prefix.is_empty() {
        vec![0xff]
    } else {
        behind(&query.prefix)
    };
    let mut from = query.start();
    let mut last = After::Nothing;
    'seek: loop {
        let mut rows = select.query((bucket, &from, &end))?;
        while let Some(row) = rows.next()? {
            if page.objects.len() + page.prefixes.len() == query.limit {
                page.next = Some(last);
                return Ok(page);
            }
            let key = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let key = std::str::from_utf8(key).map_err(|error| StoreError::Internal(error.to_string()))?;
            let rolled = query
                .delimiter
                .as_deref()
                .and_then(|delimiter| rolled_up(key, &query.prefix, delimiter));
            if let Some(prefix) = rolled {
                from = behind(prefix);
                last = After::Prefix(prefix.to_string());
                page.prefixes.push(prefix.to_string());
                continue 'seek;
            }
            last = After::Key(key.to_string());
            page.objects.push(Summary {
                key: key.to_string(),
                size: row.get::<_, i64>(1)? as u64,
                modified: row.get(2)?,
                etag: row.get(3)?,
            });
        }
        return Ok(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn index_of(keys: &[&str]) -> Connection {
        let index = Connection::open_in_memory().unwrap();
        index
            .execute_batch(
                "CREATE TABLE objects (bucket INTEGER, key BLOB, size INTEGER, modified INTEGER, etag TEXT,
                 PRIMARY KEY (bucket, key)) WITHOUT ROWID",
            )
            .unwrap();
        for key in keys {
            index
                .execute(
                    "INSERT OR IGNORE INTO objects VALUES (1, ?1, 0, 0, 'e')",
                    [key.as_bytes()],
                )
                .unwrap();
        }
        index
    }

    fn pages(index: &Connection, query: &Query) -> (Vec<String>, Vec<String>, usize) {
        let (mut keys, mut prefixes, mut pages) = (Vec::new(), Vec::new(), 0);
        let mut query = query.clone();
        loop {
            let page = list(index, 1, &query).unwrap();
            pages += 1;
            assert!(page.objects.len() + page.prefixes.len() <= query.limit);
            keys.extend(page.objects.into_iter().map(|object| object.key));
            prefixes.extend(page.prefixes);
            match page.next {
                Some(next) => query.after = After::from_token(&next.token().unwrap()).unwrap(),
                None => return (keys, prefixes, pages),
            }
        }
    }

    #[test]
    fn directories_are_rolled_up_and_order_is_that_of_bytes() {
        let index = index_of(&["a", "a/", "a/b", "a/b/c", "b/1", "ä", "Z", "a0", "\u{10ffff}"]);
        let query = |prefix: &str, delimiter: Option<&str>| Query {
            prefix: prefix.into(),
            delimiter: delimiter.map(Into::into),
            limit: 1000,
            ..Query::default()
        };
        let (keys, prefixes, _) = pages(&index, &query("", Some("/")));
        assert_eq!(keys, ["Z", "a", "a0", "ä", "\u{10ffff}"]);
        assert_eq!(prefixes, ["a/", "b/"]);
        let (keys, prefixes, _) = pages(&index, &query("a/", Some("/")));
        assert_eq!(
            (keys, prefixes),
            (vec!["a/".to_string(), "a/b".into()], vec!["a/b/".to_string()])
        );
        let (keys, _, _) = pages(&index, &query("", None));
        assert_eq!(keys, ["Z", "a", "a/", "a/b", "a/b/c", "a0", "b/1", "ä", "\u{10ffff}"]);
    }

    #[test]
    fn a_marker_is_behind_a_key_or_behind_a_rolled_up_prefix() {
        let table = [
            ("", "", Some("/"), After::Nothing),
            ("a", "", Some("/"), After::Key("a".into())),
            ("a/", "", Some("/"), After::Prefix("a/".into())),
            ("a/", "", None, After::Key("a/".into())),
            ("a/b", "", Some("/"), After::Key("a/b".into())),
            ("a/", "a/", Some("/"), After::Key("a/".into())),
        ];
        for (marker, prefix, delimiter, expected) in table {
            assert_eq!(After::marker(marker, prefix, delimiter), expected, "{marker} {prefix}");
        }
    }

    #[test]
    fn no_entries_asked_for_are_no_entries_and_the_end() {
        assert_eq!(list(&index_of(&["a"]), 1, &Query::default()).unwrap(), Page::default());
    }

    proptest! {
        /// However it is cut into pages, a listing is what a plain filter over all keys gives.
        #[test]
        fn pages_together_are_the_whole(
            keys in prop::collection::btree_set("[ab/]{1,5}", 0..40),
            prefix in "[ab/]{0,2}", delimited in any::<bool>(), limit in 1usize..7,
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let delimiter = delimited.then(|| "/".to_string());
            let query = Query { prefix: prefix.clone(), delimiter: delimiter.clone(), after: After::Nothing, limit };
            let mut plain = Vec::new();
            let mut rolled = BTreeSet::new();
            for key in keys.iter().filter(|key| key.starts_with(&prefix)) {
                match delimiter.as_deref().and_then(|delimiter| rolled_up(key, &prefix, delimiter)) {
                    Some(prefix) => { rolled.insert(prefix.to_string()); }
                    None => plain.push(key.to_string()),
                }
            }
            let (found, prefixes, _) = pages(&index_of(&keys), &query);
            prop_assert_eq!(found, plain);
            prop_assert_eq!(prefixes, rolled.into_iter().collect::<Vec<_>>());
        }
    }
}
