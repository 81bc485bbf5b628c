//! Names of executors, hosts and localities, each kept once.

use std::collections::HashMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Names by place. A run has few of them, and every task has three.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Names {
    all: Vec<CompactString>,
    places: HashMap<CompactString, u32>,
}

impl Names {
    /// The place of a name, which is made where there is none.
    pub fn place(&mut self, name: &CompactString) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.all.len() as u32;
        self.all.push(name.clone());
        self.places.insert(name.clone(), place);
        place
    }

    /// The place of a name that most probably is the one at `before`.
    #[inline]
    pub fn again(&mut self, before: u32, name: &CompactString) -> u32 {
        match self.all.get(before as usize) == Some(name) {
            true => before,
            false => self.place(name),
        }
    }

    /// The place of a name that is known.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }

    /// The name at a place; empty where there is none.
    pub fn get(&self, place: u32) -> &str {
        self.all.get(place as usize).map_or("", CompactString::as_str)
    }
}
