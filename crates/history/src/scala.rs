//! The order in which Scala's hash maps list what they hold. Some lists of Spark's status API are the values of such a map, so their
//! order is that of the hash table of the Scala version a Spark is built with.

/// The Scala a Spark is built with, as far as order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scala {
    /// Spark up to 3.5 from PyPI.
    V2_12,
    /// Spark 4.
    V2_13,
}

impl Scala {
    /// The Scala of a Spark version. Spark 3 was published for both; PyPI has 2.12.
    pub fn of_spark(version: &str) -> Scala {
        let major: u32 = version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            .unwrap_or(4);
        match major {
            ..4 => Scala::V2_12,
            _ => Scala::V2_13,
        }
    }

    /// As the environment of the log says it, `version 2.13.17`.
    pub fn of_name(name: &str) -> Option<Scala> {
        let version = name.strip_prefix("version ").unwrap_or(name);
        match version.split('.').take(2).collect::<Vec<_>>()[..] {
            ["2", "12" | "11"] => Some(Scala::V2_12),
            ["2", "13"] | ["3", _] => Some(Scala::V2_13),
            _ => None,
        }
    }

    /// Puts `items`, which were added to a `mutable.HashMap` in this order under keys of these hash codes, into the order the map lists
    /// them in.
    pub fn mutable_order<T>(self, items: Vec<(i32, T)>) -> Vec<T> {
        match self {
            Scala::V2_12 => mutable_2_12(items),
            Scala::V2_13 => mutable_2_13(items),
        }
    }

    /// The same for an immutable `Map`, which keeps up to four entries in the order they were added.
    pub fn immutable_order<T>(self, items: Vec<(i32, T)>) -> Vec<T> {
        if items.len() <= 4 {
            return items.into_iter().map(|(_, item)| item).collect();
        }
        let mut out = Vec::with_capacity(items.len());
        let items = items
            .into_iter()
            .map(|(hash, item)| (improve_immutable(hash.cast_unsigned()), item));
        trie(self, items.collect(), 0, &mut out);
        out
    }
}

/// Java's `String.hashCode`.
pub fn hash_of_text(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Scala's hash of a `Long`: that of an `Int` when it is one.
pub fn hash_of_long(number: i64) -> i32 {
    match i32::try_from(number) {
        Ok(small) => small,
        Err(_) => (number ^ (number >> 32)) as i32,
    }
}

/// `mutable.HashMap.improveHash` of 2.13.
fn improve_mutable(hash: u32) -> u32 {
    hash ^ (hash >> 16)
}

/// `scala.util.hashing`'s mixing for immutable maps, the same in both.
fn improve_immutable(hash: u32) -> u32 {
    let mut hash = hash.wrapping_add(!(hash << 9));
    hash ^= hash >> 14;
    hash = hash.wrapping_add(hash << 4);
    hash ^ (hash >> 10)
}

/// Entries of one node of a hash trie (5 bits of the hash per level). 2.13 lists a node's own entries before those further down, 2.12 by
/// place.
fn trie<T>(scala: Scala, items: Vec<(u32, T)>, shift: u32, out: &mut Vec<T>) {
    if shift >= 32 {
        out.extend(items.into_iter().map(|(_, item)| item));
        return;
    }
    let mut slots: Vec<Vec<(u32, T)>> = Vec::new();
    slots.resize_with(32, Vec::new);
    for (hash, item) in items {
        slots[((hash >> shift) & 31) as usize].push((hash, item));
    }
    match scala {
        Scala::V2_12 => {
            for slot in slots {
                match slot.len() {
                    0 => {}
                    1 => out.extend(slot.into_iter().map(|(_, item)| item)),
                    _ => trie(scala, slot, shift + 5, out),
                }
            }
        }
        Scala::V2_13 => {
            let mut deeper = Vec::new();
            for slot in slots {
                match slot.len() {
                    0 => {}
                    1 => out.extend(slot.into_iter().map(|(_, item)| item)),
                    _ => deeper.push(slot),
                }
            }
            for slot in deeper {
                trie(scala, slot, shift + 5, out);
            }
        }
    }
}

/// `mutable.HashMap` of 2.13: 16 buckets, doubled by the entry that makes it three quarters full; a bucket is ordered by the improved hash.
fn mutable_2_13<T>(items: Vec<(i32, T)>) -> Vec<T> {
    let mut buckets = 16usize;
    while items.len() >= buckets * 3 / 4 {
        buckets *= 2;
    }
    let mut keyed: Vec<(usize, u32, usize, T)> = items
        .into_iter()
        .enumerate()
        .map(|(order, (hash, item))| {
            let hash = improve_mutable(hash.cast_unsigned());
            (hash as usize & (buckets - 1), hash, order, item)
        })
        .collect();
    keyed.sort_by_key(|(bucket, hash, order, _)| (*bucket, hash.cast_signed(), *order));
    keyed.into_iter().map(|(.., item)| item).collect()
}

/// `mutable.HashMap` of 2.12: 16 buckets, doubled when more than three quarters full; listed from the last bucket to the first, the
/// newest entry of a bucket first. Growing turns the order of what shares a bucket around.
fn mutable_2_12<T>(items: Vec<(i32, T)>) -> Vec<T> {
    let mut table: Vec<Vec<(u32, T)>> = Vec::new();
    table.resize_with(16, Vec::new);
    let mut count = 0usize;
    for (hash, item) in items {
        let hash = hash.cast_unsigned();
        let at = index_2_12(hash, table.len());
        table[at].push((hash, item));
        count += 1;
        if count > table.len() * 3 / 4 {
            let mut wider: Vec<Vec<(u32, T)>> = Vec::new();
            wider.resize_with(table.len() * 2, Vec::new);
            let size = wider.len();
            for bucket in table.into_iter().rev() {
                // A bucket is a chain whose head is the newest.
                for (hash, item) in bucket.into_iter().rev() {
                    wider[index_2_12(hash, size)].push((hash, item));
                }
            }
            table = wider;
        }
    }
    table
        .into_iter()
        .rev()
        .flat_map(|bucket| bucket.into_iter().rev().map(|(_, item)| item))
        .collect()
}

fn index_2_12(hash: u32, size: usize) -> usize {
    let ones = (size - 1) as u32;
    let mixed = hash.wrapping_mul(0x9e37_75cd).swap_bytes().wrapping_mul(0x9e37_75cd);
    // Growing does not change the seed: it stays that of the first 16 buckets.
    let improved = mixed.rotate_right(4);
    ((improved >> ones.leading_zeros()) & ones) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_hash_as_in_java() {
        assert_eq!(hash_of_text(""), 0);
        assert_eq!(hash_of_text("driver"), -1_323_526_104);
        assert_eq!(hash_of_text("ab"), 97 * 31 + 98);
    }

    #[test]
    fn small_maps_keep_their_order() {
        for scala in [Scala::V2_12, Scala::V2_13] {
            assert_eq!(
                scala.immutable_order(vec![(9, 'a'), (1, 'b'), (5, 'c')]),
                ['a', 'b', 'c']
            );
        }
    }

    #[test]
    fn maps_of_2_12_list_as_they_were_seen_to() {
        // Printed by Scala 2.12.18 of a map that has grown twice.
        let seen = [
            14, 5, 8, 31, 34, 25, 28, 37, 19, 4, 22, 13, 7, 16, 10, 33, 1, 27, 36, 39, 30, 21, 15, 24, 9, 18, 0, 3, 12,
            6, 29, 38, 32, 23, 26, 35, 17, 2, 20, 11,
        ];
        let items = (0..40).map(|number| (3000 + number * 7, number)).collect();
        assert_eq!(Scala::V2_12.mutable_order(items), seen);
        let seen = [18, 12, 15, 2, 5, 8, 14, 17, 7, 11, 1, 4, 19, 10, 13, 16, 6, 0, 9, 3];
        let items = (0..20)
            .map(|number| (hash_of_text(&format!("driver{number}")), number))
            .collect();
        assert_eq!(Scala::V2_12.mutable_order(items), seen);
    }

    #[test]
    fn nothing_is_lost() {
        for scala in [Scala::V2_12, Scala::V2_13] {
            for count in [5, 13, 100, 1000] {
                let items: Vec<(i32, i32)> = (0..count).map(|i| (i * 7919, i)).collect();
                for mut out in [scala.immutable_order(items.clone()), scala.mutable_order(items)] {
                    out.sort_unstable();
                    assert_eq!(out, (0..count).collect::<Vec<_>>());
                }
            }
        }
    }
}
