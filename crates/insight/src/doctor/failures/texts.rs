//! Rules over error texts: the first that fits a text says what it is, the special before the general.

use super::blocks::{Block, Level, Origin};
use super::class::{Class, Found};
use super::context::{Context, Outcome, line};
use super::{
    access, classpath, code, conditions, connections, environment, launch, memory, network, shuffle, sql, start,
    storage, tables,
};
use stoke_diagnostics::Fix;

/// What a text must have: a line with all words of one of these.
pub(super) type AnyOf = &'static [&'static [&'static str]];

/// A rule over texts.
pub(super) struct TextRule {
    pub class: &'static Class,
    pub words: AnyOf,
    /// Whether it matters in a run that goes on or ended well, when a task survived it.
    pub survived: bool,
    /// The cause in a sentence and the fix; none when it is something else after all.
    pub tell: fn(&Match<'_>) -> Option<(String, Fix)>,
}

/// A text and the words of a rule that were found in it.
pub(super) struct Match<'a> {
    pub context: &'a Context<'a>,
    pub block: &'a Block,
    /// The line the words are in.
    pub line: &'a str,
}

/// A rule for what ends a run.
pub(super) const fn ends(
    class: &'static Class,
    words: AnyOf,
    tell: fn(&Match<'_>) -> Option<(String, Fix)>,
) -> TextRule {
    TextRule {
        class,
        words,
        survived: false,
        tell,
    }
}

/// A rule for what matters even when the run survived it.
pub(super) const fn hurts(
    class: &'static Class,
    words: AnyOf,
    tell: fn(&Match<'_>) -> Option<(String, Fix)>,
) -> TextRule {
    TextRule {
        class,
        words,
        survived: true,
        tell,
    }
}

/// Families in the order their rules are tried: those that know more than Spark's own name of an error, then those that know less.
const SPECIAL: [&[TextRule]; 8] = [
    memory::RULES,
    connections::RULES,
    environment::RULES,
    tables::RULES,
    start::RULES,
    launch::RULES,
    access::RULES,
    classpath::RULES,
];
const OUTSIDE: [&[TextRule]; 3] = [storage::RULES, shuffle::RULES, network::RULES];
const GENERAL: [&[TextRule]; 2] = [sql::RULES, code::RULES];

/// What the texts tell.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    for block in context.blocks.iter().filter(|block| context.matters(block)) {
        if let Some(found) = of_block(context, block) {
            out.push(found);
        }
    }
}

fn of_block(context: &Context<'_>, block: &Block) -> Option<Found> {
    // A logger that is called Error…, or an executor that is shut down with the application, is no trouble.
    if block.level == Level::Warn && block.text.contains("TaskKilled") {
        return None;
    }
    let said = || conditions::look(context, block);
    of_rules(context, block, &SPECIAL)
        // Files and checkpoints: what is below them (a file that is not there) follows from them.
        .or_else(|| of_condition(context, block, said()?, true))
        .or_else(|| of_rules(context, block, &OUTSIDE))
        .or_else(|| of_condition(context, block, said()?, false))
        .or_else(|| of_rules(context, block, &GENERAL))
}

/// Whether a class may be told of a block at all.
fn may_tell(context: &Context<'_>, block: &Block, class: &Class, survived: bool) -> bool {
    // What anybody's code throws is only a finding where it ended something.
    let ended = matches!(block.origin, Origin::Final | Origin::Run { .. } | Origin::Match);
    (survived || context.outcome == Outcome::Failed)
        && (class.rank >= code::GENERAL || ended)
        && (survived || block.origin != (Origin::Run { ended_job: false }))
}

fn of_condition(context: &Context<'_>, block: &Block, said: conditions::Meaning<'_>, own: bool) -> Option<Found> {
    let early =
        said.class.rank >= conditions::EARLY && conditions::CLASSES.iter().any(|class| class.id == said.class.id);
    if early != own || !may_tell(context, block, said.class, false) {
        return None;
    }
    let evidence = line(block, &[said.line]);
    Some(Found::new(
        said.class,
        context.is_end(block),
        said.cause,
        evidence,
        said.fix,
    ))
}

fn of_rules(context: &Context<'_>, block: &Block, families: &[&'static [TextRule]]) -> Option<Found> {
    for rule in families.iter().copied().flatten() {
        if !may_tell(context, block, rule.class, rule.survived) {
            continue;
        }
        for words in rule.words {
            let Some(found) = block.line_with(words) else { continue };
            let matched = Match {
                context,
                block,
                line: found,
            };
            if let Some((cause, fix)) = (rule.tell)(&matched) {
                return Some(Found::new(
                    rule.class,
                    context.is_end(block),
                    cause,
                    line(block, words),
                    fix,
                ));
            }
        }
    }
    None
}
