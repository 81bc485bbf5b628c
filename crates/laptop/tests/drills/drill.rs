//! One drill: a fault, the runbook for it, and what shows that it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, LocalBoxFuture};
use libtest_mimic::Failed;
use stoke_laptop::runbook::{Deed, Edge, Ended, Journal, Outside, Person, go_on, run, start, undo};
use stoke_observe::runbook::{Action, Answer, Ending, Entry, Input, Plan, Read, Right, Runbook, Step, find, given};
use tokio::sync::Notify;

use super::stage::Stage;

/// Brings what a drill needs, or says why it cannot be had.
pub type Needs = fn() -> Result<(), String>;
pub type Given = Vec<(&'static str, String)>;
pub type Inject = for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, Result<Given, Failed>>;
pub type Symptom = for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, Result<bool, Failed>>;
pub type Helper = for<'a> fn(&'a Stage, &'a str) -> LocalBoxFuture<'a, Result<(), Failed>>;

/// A fault and its runbook.
#[derive(Clone)]
pub struct Drill {
    pub runbook: &'static str,
    /// Which of its branches.
    pub branch: &'static str,
    /// Whether it is killed everywhere in the default tier too.
    pub quick: bool,
    /// What it needs that not every machine has; then it runs in tier full alone.
    pub needs: Option<Needs>,
    /// Breaks something, and waits until it is broken; gives the parameters.
    pub inject: Inject,
    /// Whether it is still broken.
    pub symptom: Symptom,
    /// What a person does where the runbook waits for one.
    pub person: Helper,
    /// How a second run ends.
    pub second: Ending,
    /// Whether undoing brings the symptom back.
    pub undone: bool,
}

/// Nothing is for a person to do.
pub fn no_one<'a>(_: &'a Stage, _: &'a str) -> LocalBoxFuture<'a, Result<(), Failed>> {
    Box::pin(async { Ok(()) })
}

/// Boxes an asynchronous function of a stage.
#[macro_export]
macro_rules! of_stage {
    ($stage:ident, $body:expr) => {
        |$stage| Box::pin(async move { $body })
    };
}

/// Agrees to everything, and counts.
#[derive(Default)]
struct Yes {
    lines: Vec<String>,
}

impl Person for Yes {
    fn agrees(&mut self, _: &Step, plan: &Plan) -> stoke_laptop::Outcome<Option<String>> {
        // What is agreed to is shown first.
        assert!(!plan.blast.is_empty());
        Ok(Some("the drill".to_owned()))
    }

    fn sees(&mut self, entry: &Entry) {
        self.lines.push(format!("{entry:?}"));
    }

    fn waits(&mut self, step: &str, says: &str) {
        let line = format!("{step}: {says}");
        if self.lines.last() != Some(&line) {
            self.lines.push(line);
        }
    }
}

/// The outside, which ends the run when that many points were passed, and counts what was done in fact.
struct Mortal<'a> {
    edge: Edge<'a>,
    passed: AtomicUsize,
    last: usize,
    dead: Arc<Notify>,
    done: std::sync::Mutex<BTreeMap<String, usize>>,
}

impl Mortal<'_> {
    async fn point(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.last {
            self.dead.notify_one();
            futures::future::pending::<()>().await;
        }
    }
}

impl Outside for Mortal<'_> {
    fn read<'a>(&'a self, what: Read, input: &'a Input, record: &'a str) -> BoxFuture<'a, Answer> {
        self.edge.read(what, input, record)
    }

    fn may<'a>(&'a self, right: &'a Right) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            // Before a step is agreed to.
            self.point().await;
            self.edge.may(right).await
        })
    }

    fn act<'a>(&'a self, action: &'a Action, record: &'a str, dry: bool) -> BoxFuture<'a, Result<Deed, String>> {
        Box::pin(async move {
            self.point().await;
            let deed = self.edge.act(action, record, dry).await;
            if deed.as_ref().is_ok_and(|deed| !deed.already) && !dry {
                *self.done.lock().unwrap().entry(action.words()).or_default() += 1;
            }
            // Done, and not written down.
            self.point().await;
            deed
        })
    }
}

/// What a whole drill showed.
pub struct Whole {
    /// Steps that were executed.
    pub steps: BTreeSet<String>,
    /// From the command to the symptom gone.
    pub took: Duration,
    pub actions: usize,
}

/// What became of a run.
struct Story {
    journal: Journal,
    ending: Ending,
    /// Points at which it could be cut off.
    points: usize,
    done: BTreeMap<String, usize>,
    said: Vec<String>,
}

impl Drill {
    pub fn name(&self) -> String {
        format!("{} ({})", self.runbook, self.branch)
    }

    fn book(&self) -> &'static Runbook {
        find(self.runbook).unwrap_or_else(|| panic!("no runbook {}", self.runbook))
    }

    fn input(&self, stage: &Stage, given: &Given) -> Result<Input, Failed> {
        let mut values: BTreeMap<String, String> = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let takes = |name: &str| self.book().parameters.iter().any(|parameter| parameter.name == name);
        if takes("settle") {
            values.entry("settle".to_owned()).or_insert("1".to_owned());
        }
        values.entry("within".to_owned()).or_insert("90".to_owned());
        let secrets = if takes("values") {
            stage.secrets.0.keys().cloned().collect()
        } else {
            Vec::new()
        };
        Ok(given::input(self.book(), "default", values, secrets).map_err(|wrong| wrong.join("; "))?)
    }

    fn around(dry_run: bool) -> run::Circumstances {
        run::Circumstances {
            cluster: "drill".into(),
            who: "drill".into(),
            version: "0".into(),
            dry_run,
        }
    }

    fn edge<'a>(stage: &'a Stage) -> Edge<'a> {
        Edge {
            session: &stage.session,
            home: &stage.home,
            access: stage.access.lock().unwrap().clone(),
            secrets: stage.secrets.clone(),
        }
    }

    /// Runs the runbook to its end; with `lives`, commands are cut off after a number of points, one after the other.
    async fn run(&self, stage: &Stage, given: &Given, lives: &[usize]) -> Result<Story, Failed> {
        let book = self.book();
        let opened = start(book, &stage.home, self.input(stage, given)?, Self::around(false))
            .map_err(|error| error.to_string())?;
        let id = opened
            .record()
            .opening()
            .map(|(id, ..)| id.to_owned())
            .unwrap_or_default();
        drop(opened);
        let mut story = None;
        let mut done: BTreeMap<String, usize> = BTreeMap::new();
        let (mut points, mut said) = (0, Vec::new());
        let mut lives = lives.iter().copied().chain(std::iter::repeat(usize::MAX));
        for command in 0..40 {
            let mut person = Yes::default();
            let mut journal = Journal::open(&stage.home, &id).map_err(|error| error.to_string())?;
            if command > 0 {
                if let Some(step) = journal.record().paused_at().map(str::to_owned) {
                    (self.person)(stage, &step).await?;
                }
                run::resume(&mut journal, &mut person, "drill").map_err(|error| error.to_string())?;
            }
            let dead = Arc::new(Notify::new());
            let mortal = Mortal {
                edge: Self::edge(stage),
                passed: AtomicUsize::new(0),
                last: lives.next().unwrap_or(usize::MAX),
                dead: Arc::clone(&dead),
                done: std::sync::Mutex::default(),
            };
            let ended = tokio::select! {
                ended = go_on(book, &mut journal, &mortal, &mut person, Duration::from_millis(100)) => Some(ended.map_err(|error| error.to_string())?),
                () = dead.notified() => None,
            };
            points += mortal.passed.load(Ordering::SeqCst);
            said.append(&mut person.lines);
            for (what, times) in mortal.done.into_inner().unwrap() {
                *done.entry(what).or_default() += times;
            }
            if let Some(Ended::Done(ending)) = ended {
                story = Some((journal, ending));
                break;
            }
        }
        let (journal, ending) = story.ok_or("it never ended")?;
        Ok(Story {
            journal,
            ending,
            points,
            done,
            said,
        })
    }

    /// The fault, a dry run that changes nothing, the runbook, the symptom gone, a second run that does no harm, and where it can be, undone.
    pub async fn whole(&self) -> Result<Whole, Failed> {
        let stage = Stage::start().await?;
        let result = self.whole_on(&stage).await;
        stage.end().await;
        result
    }

    async fn whole_on(&self, stage: &Stage) -> Result<Whole, Failed> {
        let given = (self.inject)(stage).await?;
        if !(self.symptom)(stage).await? {
            return Err("the fault shows no symptom".into());
        }
        // A dry run.
        let mut journal = start(self.book(), &stage.home, self.input(stage, &given)?, Self::around(true))
            .map_err(|error| error.to_string())?;
        let mut person = Yes::default();
        go_on(
            self.book(),
            &mut journal,
            &Self::edge(stage),
            &mut person,
            Duration::from_millis(100),
        )
        .await
        .map_err(|error| error.to_string())?;
        if !(self.symptom)(stage).await? {
            return Err(format!("a dry run repaired it: {:#?}", person.lines).into());
        }
        let begun = Instant::now();
        let story = self.run(stage, &given, &[]).await?;
        let told = || format!("{:#?}\n{:?}", story.said, story.journal.record().ending());
        if story.ending != Ending::Resolved {
            return Err(format!("it ended {:?}: {}", story.ending, told()).into());
        }
        if (self.symptom)(stage).await? {
            return Err(format!("the symptom is still there: {}", told()).into());
        }
        let took = begun.elapsed();
        let record = serde_json::to_string(&story.journal.record().entries)?;
        if record.contains("swordfish") {
            return Err("a secret stands in the record".into());
        }
        let steps = executed(&story.journal.record().entries);
        println!(
            "{}: symptom gone after {} ms, {} steps, {} actions",
            self.name(),
            took.as_millis(),
            steps.len(),
            story.done.len()
        );
        // Again. Times of a status have whole seconds: what was begun now is no longer new then.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let again = self.run(stage, &given, &[]).await?;
        if again.ending != self.second || (self.symptom)(stage).await? {
            return Err(format!(
                "a second run ended {:?}, and the symptom is {}: {:#?}",
                again.ending,
                (self.symptom)(stage).await?,
                again.said
            )
            .into());
        }
        if again.ending == Ending::NothingToDo && !again.done.is_empty() {
            return Err(format!("a second run had nothing to do and did {:?}", again.done).into());
        }
        if self.undone {
            let mut journal = story.journal;
            let mut person = Yes::default();
            undo(self.book(), &mut journal, &Self::edge(stage), &mut person)
                .await
                .map_err(|error| error.to_string())?;
            stage.until("undone", async || (self.symptom)(stage).await).await?;
        }
        Ok(Whole {
            steps,
            took,
            actions: story.done.len(),
        })
    }

    /// Cut off at every point, before and after every action and every question, each in a cluster of its own: it ends the same and does nothing twice.
    pub async fn killed(&self) -> Result<(), Failed> {
        let mut points = 1;
        let mut point = 0;
        while point < points {
            let stage = Stage::start().await?;
            let cut = async {
                let given = (self.inject)(&stage).await?;
                let story = self.run(&stage, &given, &[point]).await?;
                if story.ending != Ending::Resolved || (self.symptom)(&stage).await? {
                    return Err(format!(
                        "cut off at point {point} it ended {:?}: {:#?}",
                        story.ending, story.said
                    )
                    .into());
                }
                let twice: Vec<&String> = story
                    .done
                    .iter()
                    .filter(|(_, times)| **times > 1)
                    .map(|(what, _)| what)
                    .collect();
                match twice.is_empty() {
                    true => Ok(story.points),
                    false => Err(Failed::from(format!(
                        "cut off at point {point} these were done twice: {twice:?}"
                    ))),
                }
            };
            let passed = cut.await;
            stage.end().await;
            points = points.max(passed?.saturating_sub(1));
            point += 1;
        }
        println!("{}: cut off at {points} points", self.name());
        Ok(())
    }
}

/// Steps that did something: checks that were made, actions done, waits that came true, pauses that were gone on from.
fn executed(entries: &[Entry]) -> BTreeSet<String> {
    let executed = |entry: &Entry| match entry {
        Entry::Checked { step, .. }
        | Entry::Did { step, .. }
        | Entry::Verified { step, .. }
        | Entry::Continued { step, .. } => Some(step.clone()),
        _ => None,
    };
    entries.iter().filter_map(executed).collect()
}
