//! Rules over error texts: the first that fits a text says what it is, the special before the general.

use super::blocks::{Block, Level, Origin};
use super::class::{Class, Found};
use super::context::{Context, Outcome, line};
use super::{access, classpath, code, launch, memory, network, shuffle, sql, storage};
use crate::doctor::Fix;

/// What a text must have: a line with all words of one of these.
pub(super) type AnyOf = &'static [&'static [&'static str]];

/// A rule over texts.
pub(super) struct TextRule {
    pub class: &'static Class,
    pub words: AnyOf,
    /// Whether it matters in a run that goes on or ended well, when a task survived it.
    pub survived: bool,
    /// The cause in a sentence and the fix; none when it is something else after all.
    pub tell: fn(&Told<'_>) -> Option<(String, Fix)>,
}

/// A text and the words of a rule that were found in it.
pub(super) struct Told<'a> {
    pub context: &'a Context<'a>,
    pub block: &'a Block,
    /// The line the words are in.
    pub line: &'a str,
}

/// A rule for what ends a run.
pub(super) const fn ends(
    class: &'static Class,
    words: AnyOf,
    tell: fn(&Told<'_>) -> Option<(String, Fix)>,
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
    tell: fn(&Told<'_>) -> Option<(String, Fix)>,
) -> TextRule {
    TextRule {
        class,
        words,
        survived: true,
        tell,
    }
}

/// Families in the order their rules are tried.
const FAMILIES: [&[TextRule]; 9] = [
    memory::RULES,
    launch::RULES,
    access::RULES,
    classpath::RULES,
    storage::RULES,
    shuffle::RULES,
    network::RULES,
    sql::RULES,
    code::RULES,
];

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
    let survived = context.outcome != Outcome::Failed;
    let rules = FAMILIES.iter().copied().flatten();
    for rule in rules.filter(|rule| rule.survived || !survived) {
        // What anybody's code throws is only a finding where it ended something.
        if rule.class.rank < code::GENERAL && !matches!(block.origin, Origin::Final | Origin::Run { .. } | Origin::Told)
        {
            continue;
        }
        if !rule.survived && block.origin == (Origin::Run { ended_job: false }) {
            continue;
        }
        for words in rule.words {
            let Some(found) = block.line_with(words) else { continue };
            let told = Told {
                context,
                block,
                line: found,
            };
            if let Some((cause, fix)) = (rule.tell)(&told) {
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
