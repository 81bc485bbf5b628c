//! One set of watched objects, by application and then by object name.

use std::collections::{HashMap, HashSet};

use crate::controller::Key;

/// A name, its version, what is known of it. Sorted by name: few names cost little, and thousands are found quickly.
type Row<T> = Vec<(Box<str>, u64, T)>;

pub(super) struct Table<T> {
    rows: HashMap<Key, Row<T>>,
    /// Newest version the watch has told, per watched scope: what is older and not here is gone.
    told: HashMap<String, u64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            told: HashMap::new(),
        }
    }
}

fn find<T>(row: &Row<T>, name: &str) -> Result<usize, usize> {
    row.binary_search_by(|(known, ..)| (**known).cmp(name))
}

impl<T> Table<T> {
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.rows.contains_key(key)
    }

    pub(super) fn get(&self, key: &Key, name: &str) -> Option<&T> {
        let row = self.rows.get(key)?;
        find(row, name).ok().map(|at| &row[at].2)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.rows.keys()
    }

    /// Everything of one application.
    pub(super) fn of(&self, key: &Key) -> impl Iterator<Item = (&str, &T)> {
        let row = self.rows.get(key);
        row.into_iter().flatten().map(|(name, _, value)| (&**name, value))
    }

    /// Keeps the newer of what is known and what is told; a list (`certain`) is newer than anything. Returns whether it was kept.
    pub(super) fn put(&mut self, key: &Key, name: &str, version: u64, certain: bool, value: T) -> bool {
        let row = self.rows.entry(key.clone()).or_default();
        match find(row, name) {
            Ok(at) if row[at].1 > version && !certain => return false,
            Ok(at) => (row[at].1, row[at].2) = (version, value),
            Err(at) => {
                row.reserve_exact(1);
                row.insert(at, (name.into(), version, value));
            }
        }
        true
    }

    pub(super) fn remove(&mut self, key: &Key, name: &str) {
        if let Some(row) = self.rows.get_mut(key) {
            if let Ok(at) = find(row, name) {
                row.remove(at);
            }
            if row.is_empty() {
                self.rows.remove(key);
            }
        }
    }

    pub(super) fn hear(&mut self, scope: &str, version: u64) {
        match self.told.get_mut(scope) {
            Some(told) => *told = (*told).max(version),
            None => drop(self.told.insert(scope.to_owned(), version)),
        }
    }

    pub(super) fn outdated(&self, scope: &str, version: u64) -> bool {
        self.told.get(scope).is_some_and(|told| version <= *told)
    }

    /// Drops what a new list of `scope` did not name; returns the keys that lost something.
    pub(super) fn keep_only(&mut self, scope: &str, listed: &HashSet<(Key, String)>) -> Vec<Key> {
        let mut lost = Vec::new();
        for (key, row) in &mut self.rows {
            if !scope.is_empty() && key.namespace != scope {
                continue;
            }
            let before = row.len();
            row.retain(|(name, ..)| listed.contains(&(key.clone(), name.to_string())));
            if row.len() < before {
                lost.push(key.clone());
            }
        }
        self.rows.retain(|_, row| !row.is_empty());
        lost
    }
}
