//! Jobs that began, and stages.
//!
//! A stage is written three times at least: when its job begins, when it begins and when it ends, and again in every later job that could
//! use its output. What stays the same between them is compared as bytes with what it was before, and copied.

use std::cell::RefCell;
use std::collections::VecDeque;

use compact_str::CompactString;

use super::super::accumulable::StageAccumulable;
use super::super::executor::StageExecutorMetrics;
use super::super::stage::{JobStart, KEPT, Properties, RddInfo, StageCompleted, StageInfo, StageSubmitted};
use super::super::storage::StorageLevel;
use super::cursor::Cursor;
use super::task::executor_metrics;

/// A line of `SparkListenerJobStart`.
pub(in crate::event) fn job_start(line: &str) -> Option<JobStart> {
    let mut from = Cursor::clean(line)?;
    from.expect(r#"{"Event":"SparkListenerJobStart","Job ID":"#)?;
    let id = from.int()?;
    from.expect(r#","Submission Time":"#)?;
    let time = from.long()?;
    from.expect(r#","Stage Infos":["#)?;
    let mut stages = Vec::new();
    if !from.found("]") {
        loop {
            stages.push(stage_info(&mut from)?);
            if !from.found(",") {
                from.expect("]")?;
                break;
            }
        }
    }
    from.expect(r#","Stage IDs":["#)?;
    let stage_ids = from.ints()?;
    from.expect(r#","Properties":"#)?;
    let properties = properties(&mut from)?;
    from.expect("}")?;
    from.is_at_end().then_some(JobStart {
        id,
        time,
        stages: Some(stages),
        stage_ids,
        properties,
    })
}

/// A line of `SparkListenerStageSubmitted`.
pub(in crate::event) fn stage_submitted(line: &str) -> Option<StageSubmitted> {
    let mut from = Cursor::clean(line)?;
    from.expect(r#"{"Event":"SparkListenerStageSubmitted","Stage Info":"#)?;
    let info = stage_info(&mut from)?;
    from.expect(r#","Properties":"#)?;
    let properties = properties(&mut from)?;
    from.expect("}")?;
    from.is_at_end().then_some(StageSubmitted { info, properties })
}

/// A line of `SparkListenerStageCompleted`.
pub(in crate::event) fn stage_completed(line: &str) -> Option<StageCompleted> {
    let mut from = Cursor::clean(line)?;
    from.expect(r#"{"Event":"SparkListenerStageCompleted","Stage Info":"#)?;
    let info = stage_info(&mut from)?;
    from.expect("}")?;
    from.is_at_end().then_some(StageCompleted { info })
}

/// A line of `SparkListenerStageExecutorMetrics`.
pub(in crate::event) fn stage_metrics(line: &str) -> Option<StageExecutorMetrics> {
    let mut from = Cursor::clean(line)?;
    from.expect(r#"{"Event":"SparkListenerStageExecutorMetrics","Executor ID":""#)?;
    let executor = CompactString::new(from.text()?);
    from.expect(r#","Stage ID":"#)?;
    let stage = from.int()?;
    from.expect(r#","Stage Attempt ID":"#)?;
    let attempt = from.int()?;
    from.expect(r#","Executor Metrics":{"#)?;
    let metrics = executor_metrics(&mut from)?;
    from.expect("}")?;
    from.is_at_end().then_some(StageExecutorMetrics {
        executor,
        stage,
        attempt,
        metrics,
    })
}

fn stage_info(from: &mut Cursor<'_>) -> Option<StageInfo> {
    from.expect(r#"{"Stage ID":"#)?;
    let id = from.int()?;
    from.expect(r#","Stage Attempt ID":"#)?;
    let attempt = from.int()?;
    let Plan {
        name,
        tasks,
        rdds,
        parents,
        details,
    } = plan(from, id)?;
    let time = |from: &mut Cursor<'_>, name: &str| match from.found(name) {
        true => from.long().map(Some),
        false => Some(None),
    };
    let submitted = time(from, r#","Submission Time":"#)?;
    let completed = time(from, r#","Completion Time":"#)?;
    let failure = match from.found(r#","Failure Reason":""#) {
        true => Some(from.owned()?),
        false => None,
    };
    from.expect(r#","Accumulables":["#)?;
    let accumulables = accumulables(from)?;
    let profile = match from.found(r#","Resource Profile Id":"#) {
        true => from.int()?,
        false => 0,
    };
    let push_enabled = match from.found(r#","Shuffle Push Enabled":"#) {
        true => from.flag()?,
        false => false,
    };
    let push_mergers = match from.found(r#","Shuffle Push Mergers Count":"#) {
        true => from.int()?,
        false => 0,
    };
    from.expect("}")?;
    Some(StageInfo {
        id,
        attempt,
        name,
        tasks,
        rdds,
        parents,
        details,
        submitted,
        completed,
        failure,
        accumulables,
        profile,
        push_enabled,
        push_mergers,
    })
}

/// What is known of a stage before it runs, from its name to its call's stack.
#[derive(Clone)]
struct Plan {
    name: String,
    tasks: i32,
    rdds: Vec<RddInfo>,
    parents: Vec<i32>,
    details: String,
}

/// A stage's plan as it was written and as it was read.
struct Known {
    stage: i32,
    raw: String,
    plan: Plan,
}

/// Plans that are remembered, and the bytes one of them may have.
const REMEMBERED: usize = 16;
const LONGEST: usize = 64 << 10;

thread_local! {
    /// The newest first.
    static PLANS: RefCell<VecDeque<Known>> = const { RefCell::new(VecDeque::new()) };
    static PROPERTIES: RefCell<(String, Properties)> = RefCell::default();
}

fn plan(from: &mut Cursor<'_>, stage: i32) -> Option<Plan> {
    PLANS.with_borrow_mut(|plans| {
        let mut again = plans.iter().filter(|known| known.stage == stage);
        if let Some(known) = again.find(|known| from.found(&known.raw)) {
            return Some(known.plan.clone());
        }
        let begin = from.place();
        let plan = new_plan(from)?;
        let raw = from.since(begin);
        if raw.len() <= LONGEST {
            let mut known = match plans.len() < REMEMBERED {
                true => None,
                false => plans.pop_back(),
            };
            // The memory is used again.
            let mut text = known
                .as_mut()
                .map(|known| std::mem::take(&mut known.raw))
                .unwrap_or_default();
            text.clear();
            text.push_str(raw);
            plans.push_front(Known {
                stage,
                raw: text,
                plan: plan.clone(),
            });
        }
        Some(plan)
    })
}

fn new_plan(from: &mut Cursor<'_>) -> Option<Plan> {
    from.expect(r#","Stage Name":""#)?;
    let name = from.owned()?;
    from.expect(r#","Number of Tasks":"#)?;
    let tasks = from.int()?;
    from.expect(r#","RDD Info":["#)?;
    let rdds = rdds(from)?;
    from.expect(r#","Parent IDs":["#)?;
    let parents = from.ints()?;
    from.expect(r#","Details":""#)?;
    let details = from.owned()?;
    Some(Plan {
        name,
        tasks,
        rdds,
        parents,
        details,
    })
}

fn rdds(from: &mut Cursor<'_>) -> Option<Vec<RddInfo>> {
    let mut all = Vec::new();
    if from.found("]") {
        return Some(all);
    }
    let (mut scope, mut site) = ("", "");
    loop {
        from.expect(r#"{"RDD ID":"#)?;
        let id = from.int()?;
        from.expect(r#","Name":""#)?;
        let name = CompactString::new(from.text()?);
        if from.found(r#","Scope":""#) {
            from.skip_again(&mut scope)?;
        }
        if from.found(r#","Callsite":""#) {
            from.skip_again(&mut site)?;
        }
        from.expect(r#","Parent IDs":["#)?;
        skip_ints(from)?;
        from.expect(r#","Storage Level":{"Use Disk":"#)?;
        let disk = from.flag()?;
        from.expect(r#","Use Memory":"#)?;
        let memory = from.flag()?;
        let off_heap = match from.found(r#","Use Off Heap":"#) {
            true => from.flag()?,
            false => false,
        };
        from.expect(r#","Deserialized":"#)?;
        let deserialized = from.flag()?;
        from.expect(r#","Replication":"#)?;
        let replication = from.int()?;
        from.expect("}")?;
        if from.found(r#","Barrier":"#) {
            from.flag()?;
        }
        if from.found(r#","DeterministicLevel":""#) {
            from.text()?;
        }
        from.expect(r#","Number of Partitions":"#)?;
        let partitions = from.int()?;
        from.expect(r#","Number of Cached Partitions":"#)?;
        from.long()?;
        from.expect(r#","Memory Size":"#)?;
        from.long()?;
        from.expect(r#","Disk Size":"#)?;
        from.long()?;
        from.expect("}")?;
        all.push(RddInfo {
            id,
            name,
            level: StorageLevel {
                disk,
                memory,
                off_heap,
                deserialized,
                replication,
            },
            partitions,
        });
        if !from.found(",") {
            from.expect("]")?;
            return Some(all);
        }
    }
}

fn skip_ints(from: &mut Cursor<'_>) -> Option<()> {
    if from.found("]") {
        return Some(());
    }
    loop {
        from.long()?;
        if !from.found(",") {
            return from.expect("]");
        }
    }
}

/// Accumulators of a stage up to the end of their list; one of the user's is left to the general reader.
fn accumulables(from: &mut Cursor<'_>) -> Option<Vec<StageAccumulable>> {
    // One has about a hundred bytes.
    let mut all = Vec::with_capacity(from.length_to(b']') / 100 + 1);
    if from.found("]") {
        return Some(all);
    }
    loop {
        from.expect(r#"{"ID":"#)?;
        let id = from.long()?;
        from.expect(r#","Name":""#)?;
        from.text()?;
        from.expect(r#","Value":"#)?;
        match from.found("\"") {
            true => drop(from.text()?),
            false => drop(from.long()?),
        }
        from.expect(r#","Internal":true,"Count Failed Values":"#)?;
        from.flag()?;
        if from.found(r#","Metadata":""#) {
            from.text()?;
        }
        from.expect("}")?;
        all.push(StageAccumulable { id, named: None });
        if !from.found(",") {
            from.expect("]")?;
            return Some(all);
        }
    }
}

/// Local properties: those of a stage are its job's, byte for byte.
fn properties(from: &mut Cursor<'_>) -> Option<Properties> {
    PROPERTIES.with_borrow_mut(|(raw, known)| {
        if !raw.is_empty() && from.found(raw) {
            return Some(known.clone());
        }
        let begin = from.place();
        let properties = new_properties(from)?;
        raw.clear();
        let text = from.since(begin);
        if text.len() <= LONGEST {
            raw.push_str(text);
            known.clone_from(&properties);
        }
        Some(properties)
    })
}

fn new_properties(from: &mut Cursor<'_>) -> Option<Properties> {
    let mut properties = Properties::default();
    from.expect("{")?;
    if from.found("}") {
        return Some(properties);
    }
    loop {
        from.expect("\"")?;
        let key = from.text()?;
        from.expect(":\"")?;
        let place = match key.starts_with("spark.") {
            true => KEPT.iter().position(|kept| *kept == key),
            false => None,
        };
        match place {
            Some(place) => properties.0[place] = Some(from.owned()?),
            None => from.skip_text()?,
        }
        if !from.found(",") {
            from.expect("}")?;
            return Some(properties);
        }
    }
}
