//! Cached blocks: who holds them, and what they take.

use compact_str::CompactString;
use stoke_eventlog::event::{BlockUpdate, StorageLevel};

use super::Application;
use super::data::{Distribution, Executor, Rdd, RddBlock};

/// Adds, but not below zero.
fn shift(old: i64, delta: i64) -> i64 {
    old.saturating_add(delta).max(0)
}

/// `3` of `rdd_3_7`.
fn rdd_of(block: &str) -> Option<i32> {
    let (rdd, split) = block.strip_prefix("rdd_")?.split_once('_')?;
    split.parse::<i32>().ok()?;
    rdd.parse().ok()
}

impl Executor {
    fn use_memory(&mut self, level: &StorageLevel, memory: i64, disk: i64) {
        if let Some([on_heap, off_heap, ..]) = &mut self.memory {
            let used = if level.off_heap { off_heap } else { on_heap };
            *used = shift(*used, memory);
        }
        self.memory_used = shift(self.memory_used, memory);
        self.disk_used = shift(self.disk_used, disk);
    }
}

impl Distribution {
    /// Takes down how much memory is free now.
    fn look_at(&mut self, executor: &Executor) {
        self.address.clone_from(&executor.host_port);
        self.memory_remaining = executor.max_memory.wrapping_sub(executor.memory_used);
        self.remaining = executor
            .memory
            .map(|[on_used, off_used, on_max, off_max]| [on_max.wrapping_sub(on_used), off_max.wrapping_sub(off_used)]);
    }
}

impl RddBlock {
    fn set(&mut self, rdd: &StorageLevel, executors: Vec<String>, memory: i64, disk: i64) {
        let level = StorageLevel {
            disk: disk > 0,
            memory: memory > 0,
            off_heap: rdd.off_heap,
            deserialized: memory > 0 && rdd.deserialized,
            replication: executors.len() as i32,
        };
        self.level = level.description();
        self.memory_used = memory;
        self.disk_used = disk;
        self.executors = executors;
    }
}

impl Application {
    pub(super) fn on_block_update(&mut self, update: &BlockUpdate) {
        let (level, id) = (&update.level, &update.at.executor);
        let disk = update.disk.saturating_mul(if level.disk { 1 } else { -1 });
        let memory = update.memory.saturating_mul(if level.memory { 1 } else { -1 });
        if let Some(rdd) = rdd_of(&update.block) {
            self.update_rdd(rdd, update, memory, disk);
        } else if update.block.starts_with("broadcast_")
            && let Some(executor) = self.live_executors.get_mut(id)
        {
            executor.use_memory(level, memory, disk);
        }
    }

    fn update_rdd(&mut self, id: i32, update: &BlockUpdate, memory: i64, disk: i64) {
        let (level, holder) = (&update.level, &update.at.executor);
        let mut executor = self.live_executors.get_mut(holder);
        if let Some(executor) = &mut executor {
            executor.use_memory(level, memory, disk);
        }
        let Some(mut rdd) = self.rdds.remove(&id) else {
            return;
        };
        let place = match rdd.blocks.iter().position(|block| block.name == update.block.as_str()) {
            Some(place) => place,
            None => {
                rdd.blocks.push(RddBlock {
                    name: update.block.to_string(),
                    level: String::new(),
                    memory_used: 0,
                    disk_used: 0,
                    executors: Vec::new(),
                });
                rdd.blocks.len() - 1
            }
        };
        let block = &mut rdd.blocks[place];
        let mut executors = std::mem::take(&mut block.executors);
        let blocks = if !level.is_valid() {
            executors.retain(|id| id != holder.as_str());
            -1
        } else if executors.iter().any(|id| id == holder.as_str()) {
            0
        } else {
            executors.push(holder.to_string());
            1
        };
        if executors.is_empty() {
            rdd.blocks.remove(place);
        } else {
            let (held, on_disk) = (shift(block.memory_used, memory), shift(block.disk_used, disk));
            block.set(&rdd.level, executors, held, on_disk);
        }
        if let Some(executor) = executor {
            if executor.rdd_blocks + blocks > 0 {
                let distribution = distribution(&mut rdd, holder);
                distribution.memory_used = shift(distribution.memory_used, memory);
                distribution.disk_used = shift(distribution.disk_used, disk);
                if executor.memory.is_some() {
                    let used = match level.off_heap {
                        true => &mut distribution.off_heap_used,
                        false => &mut distribution.on_heap_used,
                    };
                    *used = shift(*used, memory);
                }
                distribution.look_at(executor);
            } else {
                rdd.distributions.retain(|one| one.executor != holder.as_str());
            }
            for other in self.rdds.values_mut() {
                for one in other
                    .distributions
                    .iter_mut()
                    .filter(|one| one.executor == holder.as_str())
                {
                    one.look_at(executor);
                }
            }
            executor.rdd_blocks += blocks;
        }
        rdd.memory_used = shift(rdd.memory_used, memory);
        rdd.disk_used = shift(rdd.disk_used, disk);
        self.rdds.insert(id, rdd);
    }

    pub(super) fn on_unpersist(&mut self, id: i32) {
        let Some(rdd) = self.rdds.remove(&id) else {
            return;
        };
        for holder in rdd.blocks.iter().flat_map(|block| &block.executors) {
            if let Some(executor) = self.live_executors.get_mut(holder.as_str()) {
                executor.rdd_blocks -= 1;
            }
        }
        for one in &rdd.distributions {
            let Some(executor) = self.live_executors.get_mut(one.executor.as_str()) else {
                continue;
            };
            if let Some([on_heap, off_heap, ..]) = &mut executor.memory {
                match rdd.level.off_heap {
                    true => *off_heap = shift(*off_heap, -one.off_heap_used),
                    false => *on_heap = shift(*on_heap, -one.on_heap_used),
                }
            }
            executor.memory_used = shift(executor.memory_used, -one.memory_used);
            executor.disk_used = shift(executor.disk_used, -one.disk_used);
        }
    }

    /// Blocks an executor held are gone with it.
    pub(super) fn forget_blocks_of(&mut self, id: &CompactString) {
        for rdd in self.rdds.values_mut() {
            rdd.distributions.retain(|one| one.executor != id.as_str());
            let level = rdd.level;
            let mut freed = (0, 0);
            rdd.blocks.retain_mut(|block| {
                if !block.executors.iter().any(|holder| holder == id.as_str()) {
                    return true;
                }
                let holders = block.executors.len() as i64;
                let (memory, disk) = (block.memory_used / holders, block.disk_used / holders);
                freed = (shift(freed.0, memory), shift(freed.1, disk));
                let left: Vec<String> = block
                    .executors
                    .iter()
                    .filter(|holder| *holder != id.as_str())
                    .cloned()
                    .collect();
                if left.is_empty() {
                    return false;
                }
                let (held, on_disk) = (shift(block.memory_used, -memory), shift(block.disk_used, -disk));
                block.set(&level, left, held, on_disk);
                true
            });
            rdd.memory_used = shift(rdd.memory_used, -freed.0);
            rdd.disk_used = shift(rdd.disk_used, -freed.1);
        }
    }
}

fn distribution<'a>(rdd: &'a mut Rdd, holder: &str) -> &'a mut Distribution {
    let place = match rdd.distributions.iter().position(|one| one.executor == holder) {
        Some(place) => place,
        None => {
            rdd.distributions.push(Distribution {
                executor: holder.to_owned(),
                address: None,
                memory_used: 0,
                disk_used: 0,
                on_heap_used: 0,
                off_heap_used: 0,
                memory_remaining: 0,
                remaining: None,
            });
            rdd.distributions.len() - 1
        }
    };
    &mut rdd.distributions[place]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_blocks() {
        for (name, rdd) in [
            ("rdd_3_7", Some(3)),
            ("rdd_3", None),
            ("rdd_3_x", None),
            ("broadcast_1_piece0", None),
        ] {
            assert_eq!(rdd_of(name), rdd, "{name}");
        }
    }
}
