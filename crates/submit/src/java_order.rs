//! The order in which the JVM iterates its hash tables.
//!
//! Spark keeps its configuration in a `ConcurrentHashMap` and turns parts of it into immutable Scala maps; the order of environment variables,
//! secret volumes and lines of `spark.properties` is the iteration order of these. Kubernetes expands `$(NAME)` only from variables
//! listed earlier, so that order is part of the result.

/// `String.hashCode`: over UTF-16 code units.
pub(crate) fn string_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Sorts `keys` as a `ConcurrentHashMap` iterates them after they were put into it in this order.
pub(crate) fn sort_as_concurrent_map<T>(keys: &mut [T], key: impl Fn(&T) -> &str) {
    let mut table = Table::default();
    for (at, item) in keys.iter().enumerate() {
        let hash = string_hash(key(item)) as u32;
        table.insert(hash ^ (hash >> 16), at);
    }
    let mut rank = vec![0; keys.len()];
    for (position, (_, at)) in table.bins.iter().flatten().enumerate() {
        rank[*at] = position;
    }
    permute(keys, rank);
}

/// A `ConcurrentHashMap` as far as order goes: bins of (spread hash, what was put), which starts with 16 bins and doubles at three quarters.
struct Table {
    bins: Vec<Vec<(u32, usize)>>,
    count: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            bins: vec![Vec::new(); 16],
            count: 0,
        }
    }
}

impl Table {
    fn insert(&mut self, hash: u32, item: usize) {
        let bin = hash as usize & (self.bins.len() - 1);
        self.bins[bin].push((hash, item));
        self.count += 1;
        while self.count >= self.bins.len() - self.bins.len() / 4 {
            self.double();
        }
    }

    /// Splits every bin in two. The last run of entries that go to one side keeps its order; those before it are put in front one by one.
    fn double(&mut self) {
        let bit = self.bins.len() as u32;
        let high = |entry: &(u32, usize)| entry.0 & bit != 0;
        let mut bins = vec![Vec::new(); self.bins.len() * 2];
        for (at, bin) in std::mem::take(&mut self.bins).into_iter().enumerate() {
            let Some(last) = bin.last().map(high) else { continue };
            let run = bin
                .iter()
                .rposition(|entry| high(entry) != last)
                .map_or(0, |before| before + 1);
            let mut sides = [Vec::new(), Vec::new()];
            sides[0].extend(bin[..run].iter().rev().filter(|entry| !high(entry)));
            sides[1].extend(bin[..run].iter().rev().filter(|entry| high(entry)));
            sides[usize::from(last)].extend_from_slice(&bin[run..]);
            let [low, high] = sides;
            bins[at] = low;
            bins[at + bit as usize] = high;
        }
        self.bins = bins;
    }
}

/// Sorts the entries of a configuration as `SparkConf.getAll` lists them: they pass through a mutable Scala set of pairs.
pub(crate) fn sort_as_conf_entries(entries: &mut [(&str, &str)], scala_2_12: bool) {
    sort_as_concurrent_map(entries, |entry| entry.0);
    if scala_2_12 {
        sort_as_flat_set(entries);
        return;
    }
    // Buckets hold their entries by ascending hash, so the order does not depend on the order of insertion.
    let mut buckets = 16_u32;
    while entries.len() as u32 >= buckets - buckets / 4 {
        buckets *= 2;
    }
    entries.sort_by_key(|entry| {
        let hash = product_hash(Some("Tuple2"), &[string_hash(entry.0), string_hash(entry.1)]) as u32;
        let hash = hash ^ (hash >> 16);
        (hash & (buckets - 1), hash as i32)
    });
}

/// The open-addressing set of Scala 2.12, filled in the order of `entries`: 32 slots that double when 45 percent are taken.
fn sort_as_flat_set(entries: &mut [(&str, &str)]) {
    let hashes: Vec<i32> = entries
        .iter()
        .map(|entry| product_hash(None, &[string_hash(entry.0), string_hash(entry.1)]))
        .collect();
    let mut slots: Vec<Option<usize>> = vec![None; 32];
    let mut taken = 0;
    let put = |slots: &mut Vec<Option<usize>>, item: usize| {
        let mask = slots.len() - 1;
        let mut slot = flat_slot(hashes[item], slots.len());
        while slots[slot].is_some() {
            slot = (slot + 1) & mask;
        }
        slots[slot] = Some(item);
    };
    for item in 0..entries.len() {
        put(&mut slots, item);
        taken += 1;
        if taken >= slots.len() * 450 / 1000 {
            let old = std::mem::take(&mut slots);
            slots = vec![None; old.len() * 2];
            old.into_iter().flatten().for_each(|item| put(&mut slots, item));
        }
    }
    let mut rank = vec![0; entries.len()];
    for (position, item) in slots.into_iter().flatten().enumerate() {
        rank[item] = position;
    }
    permute(entries, rank);
}

fn flat_slot(hash: i32, slots: usize) -> usize {
    const MULTIPLIER: u32 = 0x9e37_75cd;
    let bits = slots.trailing_zeros();
    let spread = (hash as u32)
        .wrapping_mul(MULTIPLIER)
        .swap_bytes()
        .wrapping_mul(MULTIPLIER)
        .rotate_right(bits);
    (spread >> (32 - bits)) as usize & (slots - 1)
}

/// The hash code of a case class: its name (from Scala 2.13 on) and its fields' hash codes, mixed by MurmurHash3.
pub(crate) fn product_hash(name: Option<&str>, fields: &[i32]) -> i32 {
    let mix = |hash: u32, data: i32| {
        let data = (data as u32)
            .wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593);
        (hash ^ data).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    };
    let start = name.map_or(0xcafe_babe, |name| mix(0xcafe_babe, string_hash(name)));
    let mut hash = fields.iter().fold(start, |hash, field| mix(hash, *field)) ^ fields.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)) as i32
}

/// Sorts `keys` as an immutable Scala map built from them in this order iterates them: up to four entries keep the order of insertion.
pub(crate) fn sort_as_scala_map<T>(keys: &mut [T], scala_2_12: bool, key: impl Fn(&T) -> &str) {
    if keys.len() <= 4 {
        return;
    }
    if scala_2_12 {
        keys.sort_by_key(|item| trie_path(improve(string_hash(key(item)))));
        return;
    }
    let mut all: Vec<(u32, usize)> = keys
        .iter()
        .enumerate()
        .map(|(at, item)| (improve(string_hash(key(item))), at))
        .collect();
    let mut order = Vec::with_capacity(keys.len());
    champ_order(&mut all, 0, &mut order);
    let mut rank = vec![0; order.len()];
    for (position, at) in order.into_iter().enumerate() {
        rank[at] = position;
    }
    permute(keys, rank);
}

/// Moves every item to its rank.
fn permute<T>(items: &mut [T], mut rank: Vec<usize>) {
    for at in 0..items.len() {
        while rank[at] != at {
            let target = rank[at];
            items.swap(at, target);
            rank.swap(at, target);
        }
    }
}

/// How Scala spreads a hash code before it is used in a trie.
fn improve(hash: i32) -> u32 {
    let mut h = hash.wrapping_add(!(hash.wrapping_shl(9))) as u32;
    h ^= h >> 14;
    h = h.wrapping_add(h << 4);
    h ^ (h >> 10)
}

/// The five-bit digits of a hash, lowest first: position in a trie that keeps entries and subtries in one sequence (Scala 2.12).
fn trie_path(hash: u32) -> [u8; 7] {
    std::array::from_fn(|level| ((hash >> (5 * level)) & 31) as u8)
}

/// Order of a trie that keeps all entries of a node before its subtries (Scala 2.13).
fn champ_order(entries: &mut [(u32, usize)], level: u32, order: &mut Vec<usize>) {
    if entries.len() <= 1 || level > 6 {
        order.extend(entries.iter().map(|entry| entry.1));
        return;
    }
    let digit = |hash: u32| (hash >> (5 * level)) & 31;
    entries.sort_by_key(|entry| digit(entry.0));
    let mut groups: Vec<&mut [(u32, usize)]> = entries.chunk_by_mut(|a, b| digit(a.0) == digit(b.0)).collect();
    for group in groups.iter().filter(|group| group.len() == 1) {
        order.push(group[0].1);
    }
    for group in groups.iter_mut().filter(|group| group.len() > 1) {
        champ_order(group, level + 1, order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_codes_are_javas() {
        assert_eq!(string_hash(""), 0);
        assert_eq!(string_hash("Ab"), 2113);
        assert_eq!(string_hash("é中"), 233 * 31 + 20013);
    }

    /// What `SparkConf.getAll` of 3.5.9 and of 4.3.0 answered for these entries.
    #[test]
    fn configurations_are_listed_as_spark_lists_them() {
        let listed = |count: usize, scala_2_12: bool| {
            let owned: Vec<(String, String)> = (0..count)
                .map(|at| (format!("spark.k{at}"), format!("v{at}")))
                .collect();
            let mut entries: Vec<(&str, &str)> = owned
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            sort_as_conf_entries(&mut entries, scala_2_12);
            entries.iter().map(|entry| &entry.0[7..]).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(listed(5, true), "3 2 4 1 0");
        assert_eq!(
            listed(30, true),
            "27 10 17 5 13 3 29 19 23 16 2 4 22 21 15 7 24 25 9 20 6 8 26 0 28 18 14 11 1 12"
        );
        assert_eq!(listed(5, false), "4 2 0 1 3");
        assert_eq!(listed(11, false), "5 6 8 4 7 2 0 10 9 1 3");
        assert_eq!(listed(12, false), "5 6 8 2 0 10 1 11 4 7 9 3");
    }

    #[test]
    fn tables_double_at_three_quarters() {
        let mut table = Table::default();
        let mut sizes = Vec::new();
        for item in 0..48 {
            table.insert(item * 7, item as usize);
            sizes.push(table.bins.len());
        }
        assert_eq!(
            [sizes[10], sizes[11], sizes[22], sizes[23], sizes[46], sizes[47]],
            [16, 32, 32, 64, 64, 128]
        );
    }

    #[test]
    fn a_split_bin_keeps_its_last_run_and_turns_the_rest() {
        let mut table = Table {
            bins: vec![Vec::new(); 16],
            count: 0,
        };
        table.bins[1] = vec![(1, 0), (17, 1), (33, 2), (1, 3), (33, 4)];
        table.double();
        assert_eq!(
            table.bins[1].iter().map(|entry| entry.1).collect::<Vec<_>>(),
            [0, 2, 3, 4]
        );
        assert_eq!(table.bins[17].iter().map(|entry| entry.1).collect::<Vec<_>>(), [1]);
        table.bins[1] = vec![(1, 0), (1, 1), (33, 2), (1, 3), (33, 4)];
        table.double();
        assert_eq!(table.bins[1].iter().map(|entry| entry.1).collect::<Vec<_>>(), [3, 1, 0]);
        assert_eq!(table.bins[33].iter().map(|entry| entry.1).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn permutations_reach_every_rank() {
        let mut items = ['a', 'b', 'c', 'd'];
        permute(&mut items, vec![2, 0, 3, 1]);
        assert_eq!(items, ['b', 'd', 'a', 'c']);
    }
}
