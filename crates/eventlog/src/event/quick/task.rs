//! Tasks that began, and tasks that did their work.

use compact_str::CompactString;

use super::super::accumulable::Accumulables;
use super::super::metrics::{
    EXECUTOR_METRICS, ExecutorMetrics, InputMetrics, OutputMetrics, PushReadMetrics, ShuffleReadMetrics,
    ShuffleWriteMetrics, TaskMetrics,
};
use super::super::reason::TaskEndReason;
use super::super::task::{TaskEnd, TaskInfo, TaskStart};
use super::cursor::Cursor;

/// A line of `SparkListenerTaskStart`.
pub(in crate::event) fn task_start(line: &str) -> Option<TaskStart> {
    let mut from = Cursor::new(line);
    from.expect(r#"{"Event":"SparkListenerTaskStart","Stage ID":"#)?;
    let stage = from.int()?;
    from.expect(r#","Stage Attempt ID":"#)?;
    let attempt = from.int()?;
    from.expect(r#","Task Info":"#)?;
    let info = task_info(&mut from)?;
    from.expect("}")?;
    from.is_at_end().then_some(TaskStart { stage, attempt, info })
}

/// A line of `SparkListenerTaskEnd` of a task that did its work.
pub(in crate::event) fn task_end(line: &str) -> Option<TaskEnd> {
    let mut from = Cursor::new(line);
    from.expect(r#"{"Event":"SparkListenerTaskEnd","Stage ID":"#)?;
    let stage = from.int()?;
    from.expect(r#","Stage Attempt ID":"#)?;
    let attempt = from.int()?;
    from.expect(r#","Task Type":""#)?;
    from.text()?;
    from.expect(r#","Task End Reason":{"Reason":"Success"},"Task Info":"#)?;
    let info = task_info(&mut from)?;
    let peaks = match from.found(r#","Task Executor Metrics":{"#) {
        true => Some(executor_metrics(&mut from)?),
        false => None,
    };
    from.expect(r#","Task Metrics":{"#)?;
    let metrics = task_metrics(&mut from)?;
    from.expect("}")?;
    from.is_at_end().then_some(TaskEnd {
        stage,
        attempt,
        reason: TaskEndReason::Success,
        info,
        peaks,
        metrics: Some(metrics),
    })
}

fn task_info(from: &mut Cursor<'_>) -> Option<TaskInfo> {
    from.expect(r#"{"Task ID":"#)?;
    let id = from.long()?;
    from.expect(r#","Index":"#)?;
    let index = from.int()?;
    from.expect(r#","Attempt":"#)?;
    let attempt = from.int()?;
    let partition = match from.found(r#","Partition ID":"#) {
        true => from.int()?,
        false => -1,
    };
    from.expect(r#","Launch Time":"#)?;
    let launched = from.long()?;
    from.expect(r#","Executor ID":""#)?;
    let executor = CompactString::new(from.text()?);
    from.expect(r#","Host":""#)?;
    let host = CompactString::new(from.text()?);
    from.expect(r#","Locality":""#)?;
    let locality = CompactString::new(from.text()?);
    from.expect(r#","Speculative":"#)?;
    let speculative = from.flag()?;
    from.expect(r#","Getting Result Time":"#)?;
    let getting_result = from.long()?;
    from.expect(r#","Finish Time":"#)?;
    let finished = from.long()?;
    from.expect(r#","Failed":"#)?;
    let failed = from.flag()?;
    from.expect(r#","Killed":"#)?;
    let killed = from.flag()?;
    from.expect(r#","Accumulables":["#)?;
    let accumulables = accumulables(from)?;
    from.expect("}")?;
    Some(TaskInfo {
        id,
        index,
        attempt,
        partition,
        launched,
        executor,
        host,
        locality,
        speculative,
        getting_result,
        finished,
        failed,
        killed,
        accumulables,
    })
}

/// How the entry of an internal metric or of a SQL metric ends, from `"Internal"` on.
const INTERNAL: [&str; 2] = [
    r#","Internal":true,"Count Failed Values":true"#,
    r#","Internal":true,"Count Failed Values":false"#,
];

/// Entries up to the end of the list: internal metrics are passed over, of SQL metrics the update is taken.
fn accumulables(from: &mut Cursor<'_>) -> Option<Accumulables> {
    let mut all = Accumulables::default();
    if from.found("]") {
        return Some(all);
    }
    loop {
        from.expect(r#"{"ID":"#)?;
        let id = from.long()?;
        from.expect(r#","Name":""#)?;
        if from.found("internal.metrics.") {
            // One whose value is a list of blocks has braces of its own, and so another end.
            let entry = from.until(b'}')?;
            if !INTERNAL.iter().any(|end| entry.ends_with(end)) {
                return None;
            }
        } else {
            from.text()?;
            from.expect(r#","Update":""#)?;
            let update = from.long()?;
            from.expect(r#"","Value":""#)?;
            from.text()?;
            if !INTERNAL.iter().any(|end| from.found(end)) {
                return None;
            }
            from.expect(r#","Metadata":"sql"}"#)?;
            all.sql.push((id, update));
        }
        if !from.found(",") {
            from.expect("]")?;
            return Some(all);
        }
    }
}

/// An object of numbers; most have the names in the order we have them.
pub(super) fn executor_metrics(from: &mut Cursor<'_>) -> Option<ExecutorMetrics> {
    let mut metrics = ExecutorMetrics::default();
    let mut next = 0;
    if from.found("}") {
        return Some(metrics);
    }
    loop {
        from.expect("\"")?;
        let name = from.text()?;
        from.expect(":")?;
        let number = from.long()?;
        let place = match EXECUTOR_METRICS.get(next) {
            Some(expected) if *expected == name => Some(next),
            _ => EXECUTOR_METRICS.iter().position(|known| *known == name),
        };
        if let Some(place) = place {
            metrics.0[place] = number;
            next = place + 1;
        }
        if !from.found(",") {
            from.expect("}")?;
            return Some(metrics);
        }
    }
}

fn task_metrics(from: &mut Cursor<'_>) -> Option<TaskMetrics> {
    let metrics = TaskMetrics {
        deserialize_time: from.first(r#""Executor Deserialize Time":"#)?,
        deserialize_cpu_time: from.maybe(r#","Executor Deserialize CPU Time":"#)?,
        run_time: from.maybe(r#","Executor Run Time":"#)?,
        cpu_time: from.maybe(r#","Executor CPU Time":"#)?,
        peak_execution_memory: from.maybe(r#","Peak Execution Memory":"#)?,
        result_size: {
            from.maybe(r#","Peak On Heap Execution Memory":"#)?;
            from.maybe(r#","Peak Off Heap Execution Memory":"#)?;
            from.maybe(r#","Result Size":"#)?
        },
        gc_time: from.maybe(r#","JVM GC Time":"#)?,
        result_serialization_time: from.maybe(r#","Result Serialization Time":"#)?,
        memory_spilled: from.maybe(r#","Memory Bytes Spilled":"#)?,
        disk_spilled: from.maybe(r#","Disk Bytes Spilled":"#)?,
        shuffle_read: match from.found(r#","Shuffle Read Metrics":{"#) {
            true => shuffle_read(from)?,
            false => ShuffleReadMetrics::default(),
        },
        shuffle_write: match from.found(r#","Shuffle Write Metrics":{"#) {
            true => ShuffleWriteMetrics {
                bytes: from.first(r#""Shuffle Bytes Written":"#)?,
                time: from.maybe(r#","Shuffle Write Time":"#)?,
                records: from.last(r#","Shuffle Records Written":"#)?,
            },
            false => ShuffleWriteMetrics::default(),
        },
        input: match from.found(r#","Input Metrics":{"#) {
            true => InputMetrics {
                bytes: from.first(r#""Bytes Read":"#)?,
                records: from.last(r#","Records Read":"#)?,
            },
            false => InputMetrics::default(),
        },
        output: match from.found(r#","Output Metrics":{"#) {
            true => OutputMetrics {
                bytes: from.first(r#""Bytes Written":"#)?,
                records: from.last(r#","Records Written":"#)?,
            },
            false => OutputMetrics::default(),
        },
    };
    from.found(r#","Updated Blocks":[]"#);
    from.expect("}")?;
    Some(metrics)
}

fn shuffle_read(from: &mut Cursor<'_>) -> Option<ShuffleReadMetrics> {
    let read = ShuffleReadMetrics {
        remote_blocks: from.first(r#""Remote Blocks Fetched":"#)?,
        local_blocks: from.maybe(r#","Local Blocks Fetched":"#)?,
        fetch_wait_time: from.maybe(r#","Fetch Wait Time":"#)?,
        remote_bytes: from.maybe(r#","Remote Bytes Read":"#)?,
        remote_bytes_to_disk: from.maybe(r#","Remote Bytes Read To Disk":"#)?,
        local_bytes: from.maybe(r#","Local Bytes Read":"#)?,
        records: from.maybe(r#","Total Records Read":"#)?,
        remote_requests_duration: from.maybe(r#","Remote Requests Duration":"#)?,
        push: match from.found(r#","Push Based Shuffle":{"#) {
            true => PushReadMetrics {
                corrupt_chunks: from.first(r#""Corrupt Merged Block Chunks":"#)?,
                fallbacks: from.maybe(r#","Merged Fetch Fallback Count":"#)?,
                remote_blocks: from.maybe(r#","Merged Remote Blocks Fetched":"#)?,
                local_blocks: from.maybe(r#","Merged Local Blocks Fetched":"#)?,
                remote_chunks: from.maybe(r#","Merged Remote Chunks Fetched":"#)?,
                local_chunks: from.maybe(r#","Merged Local Chunks Fetched":"#)?,
                remote_bytes: from.maybe(r#","Merged Remote Bytes Read":"#)?,
                local_bytes: from.maybe(r#","Merged Local Bytes Read":"#)?,
                remote_requests_duration: from.last(r#","Merged Remote Requests Duration":"#)?,
            },
            false => PushReadMetrics::default(),
        },
    };
    from.expect("}")?;
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = concat!(
        r#"{"Event":"SparkListenerTaskStart","Stage ID":17,"Stage Attempt ID":0,"Task Info":{"Task ID":19,"Index":0,"Attempt":0,"#,
        r#""Partition ID":0,"Launch Time":1795304733665,"Executor ID":"driver","Host":"localhost","Locality":"PROCESS_LOCAL","#,
        r#""Speculative":false,"Getting Result Time":0,"Finish Time":0,"Failed":false,"Killed":false,"Accumulables":[]}}"#
    );
    const END: &str = concat!(
        r#"{"Event":"SparkListenerTaskEnd","Stage ID":17,"Stage Attempt ID":0,"Task Type":"ShuffleMapTask","#,
        r#""Task End Reason":{"Reason":"Success"},"Task Info":{"Task ID":19,"Index":2,"Attempt":1,"Partition ID":3,"#,
        r#""Launch Time":1795304733665,"Executor ID":"driver","Host":"größe","Locality":"PROCESS_LOCAL","Speculative":false,"#,
        r#""Getting Result Time":0,"Finish Time":1795304734364,"Failed":false,"Killed":false,"Accumulables":["#,
        r#"{"ID":889,"Name":"data size","Update":"128","Value":"130","Internal":true,"Count Failed Values":true,"Metadata":"sql"},"#,
        r#"{"ID":951,"Name":"internal.metrics.executorDeserializeTime","Update":21,"Value":21,"Internal":true,"Count Failed Values":true}]},"#,
        r#""Task Executor Metrics":{"JVMHeapMemory":139391608,"JVMOffHeapMemory":193353712,"Unheard":7,"MinorGCTime":684,"MinorGCCount":34},"#,
        r#""Task Metrics":{"Executor Deserialize Time":21,"Executor Deserialize CPU Time":2970758,"Executor Run Time":642,"#,
        r#""Executor CPU Time":16136119,"Peak Execution Memory":5,"Peak On Heap Execution Memory":6,"Peak Off Heap Execution Memory":7,"#,
        r#""Result Size":2344,"JVM GC Time":8,"Result Serialization Time":9,"Memory Bytes Spilled":10,"Disk Bytes Spilled":11,"#,
        r#""Shuffle Read Metrics":{"Remote Blocks Fetched":12,"Local Blocks Fetched":13,"Fetch Wait Time":14,"Remote Bytes Read":15,"#,
        r#""Remote Bytes Read To Disk":16,"Local Bytes Read":17,"Total Records Read":18,"Remote Requests Duration":19,"#,
        r#""Push Based Shuffle":{"Corrupt Merged Block Chunks":20,"Merged Fetch Fallback Count":21,"Merged Remote Blocks Fetched":22,"#,
        r#""Merged Local Blocks Fetched":23,"Merged Remote Chunks Fetched":24,"Merged Local Chunks Fetched":25,"#,
        r#""Merged Remote Bytes Read":26,"Merged Local Bytes Read":27,"Merged Remote Requests Duration":28}},"#,
        r#""Shuffle Write Metrics":{"Shuffle Bytes Written":218,"Shuffle Write Time":1602568,"Shuffle Records Written":8},"#,
        r#""Input Metrics":{"Bytes Read":29,"Records Read":30},"Output Metrics":{"Bytes Written":31,"Records Written":32},"Updated Blocks":[]}}"#
    );

    #[test]
    fn lines_as_spark_writes_them_are_read_alike() {
        assert_eq!(task_start(START), serde_json::from_str(START).ok());
        assert_eq!(task_end(END), serde_json::from_str(END).ok());
        assert!(task_end(END).is_some() && task_start(START).is_some());
        // As Spark 2.4 writes it.
        let old = END
            .replace(r#","Partition ID":3"#, "")
            .replace(r#","Remote Requests Duration":19"#, "")
            .replace(
                r#","Peak On Heap Execution Memory":6,"Peak Off Heap Execution Memory":7"#,
                "",
            );
        assert_eq!(task_end(&old), serde_json::from_str(&old).ok());
        assert!(task_end(&old).is_some());
    }

    #[test]
    fn a_damaged_line_is_read_alike_or_not_at_all() {
        for line in [START, END] {
            for at in 0..line.len() {
                if !line.is_char_boundary(at) || !line.is_char_boundary(at + 1) {
                    continue;
                }
                for put in [
                    "",
                    "7",
                    "-",
                    "\"",
                    "\\",
                    "}",
                    "{",
                    ",",
                    "x",
                    " ",
                    "]",
                    "77777777777777777777",
                ] {
                    let damaged = format!("{}{put}{}", &line[..at], &line[at + 1..]);
                    if let Ok(read) = serde_json::from_str::<TaskEnd>(&damaged) {
                        assert!(task_end(&damaged).is_none_or(|quick| quick == read), "{damaged}");
                    }
                    if let Ok(read) = serde_json::from_str::<TaskStart>(&damaged) {
                        assert!(task_start(&damaged).is_none_or(|quick| quick == read), "{damaged}");
                    }
                }
                assert!(task_end(&line[..at]).is_none() && task_start(&line[..at]).is_none());
            }
        }
    }
}
