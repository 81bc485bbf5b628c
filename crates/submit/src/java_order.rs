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

/// Buckets of a `ConcurrentHashMap` created with room for 16 that has grown to hold `count` entries.
fn buckets(count: usize) -> u32 {
    let mut buckets = 16_u32;
    while count >= (buckets - buckets / 4) as usize && buckets < 1 << 30 {
        buckets *= 2;
    }
    buckets
}

/// Sorts `keys` as a `ConcurrentHashMap` holding `count` entries iterates them. Keys of one bucket keep their order.
pub(crate) fn sort_as_concurrent_map<T>(keys: &mut [T], count: usize, key: impl Fn(&T) -> &str) {
    let mask = buckets(count) - 1;
    keys.sort_by_key(|item| {
        let hash = string_hash(key(item)) as u32;
        (hash ^ (hash >> 16)) & mask
    });
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
        assert_eq!(string_hash("Ab"), 2081);
        assert_eq!(string_hash("é中"), 233 * 31 + 20013);
    }

    #[test]
    fn tables_grow_at_three_quarters() {
        assert_eq!([0, 11, 12, 23, 24, 48].map(buckets), [16, 16, 32, 32, 64, 128]);
    }

    #[test]
    fn permutations_reach_every_rank() {
        let mut items = ['a', 'b', 'c', 'd'];
        permute(&mut items, vec![2, 0, 3, 1]);
        assert_eq!(items, ['b', 'd', 'a', 'c']);
    }
}
