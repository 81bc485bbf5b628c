//! What an alert is: a rule, whom it concerns, what to do, the tests that show when it fires, and the fault that makes it.

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody is woken.
    Page,
    /// Somebody looks at it in working hours.
    Ticket,
    /// A page that was not ended: the next one is woken.
    Escalation,
    /// Always there: its absence is the alarm.
    Heartbeat,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Page, Self::Ticket, Self::Escalation, Self::Heartbeat];

    /// The value of the label `severity`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
            Self::Escalation => "escalation",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The team of the job: its label `team`.
    Job,
    /// Who runs the platform: the label `team` is `platform`.
    Platform,
}

/// A rule that fires, and all that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Alert {
    pub name: &'static str,
    pub severity: Severity,
    pub owner: Owner,
    /// The expression; times as [`Tempo`](super::Tempo) reads them.
    pub expr: &'static str,
    /// Seconds it must hold before the alert fires.
    pub hold: u64,
    /// One line, with `{{ $labels.name }}`.
    pub summary: &'static str,
    /// What it means for people, and what to look at first.
    pub description: &'static str,
    /// Name of the runbook.
    pub runbook: &'static str,
    /// Name of the fault that makes it fire on the embedded cluster; none while no test injects one.
    pub fault: Option<&'static str>,
    /// When it fires and when it does not, for promtool.
    pub cases: &'static [Case],
}

/// Series over time, and what fires when.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub note: &'static str,
    /// Selector and values, one a minute, as promtool reads them.
    pub series: &'static [(&'static str, &'static str)],
    /// Times, and the labels of what fires then, `name=value` with commas; nothing where nothing fires.
    pub checks: &'static [(&'static str, &'static [&'static str])],
}

impl Case {
    /// True when nothing fires in it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.checks.iter().all(|(_, fires)| fires.is_empty())
    }
}

/// A recording rule: an expression under a name, evaluated once for all who need it.
#[derive(Clone, Copy, Debug)]
pub struct Recording {
    pub name: &'static str,
    pub expr: &'static str,
    /// What it tells.
    pub help: &'static str,
}
