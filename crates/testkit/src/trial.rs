//! A test with its tier, its needs and a time limit.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::OnceLock;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::Tier;
use crate::limit::limited_in;

/// A test that runs when its tier is asked for and what it needs is there.
///
/// Else it is ignored with the reason in its name, so that nothing counts as passed that did not run.
/// `needs` are only looked at in a run of the tier that selects the test: nothing is installed for a test that does not run.
/// `STOKE_TEST_TIMES=<file>` appends a line `program<TAB>name<TAB>seconds` for each test that ran.
pub fn trial(
    name: &str,
    tier: Tier,
    needs: impl FnOnce() -> Result<(), String>,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    if !selected(name) {
        return Trial::test(name, || Ok(()));
    }
    match tier.need().and_then(|()| needs()) {
        Err(why) => skipped(name, &why),
        Ok(()) => {
            let named = name.to_owned();
            Trial::test(name, move || {
                let start = Instant::now();
                let result = limited_in(tier, test);
                record(&named, start);
                result
            })
        }
    }
}

/// Whether this run of the program runs a test of this name; when it only lists them, none.
fn selected(name: &str) -> bool {
    static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();
    let arguments = ARGUMENTS.get_or_init(Arguments::from_args);
    let matches = |pattern: &String| match arguments.exact {
        true => name == pattern,
        false => name.contains(pattern.as_str()),
    };
    !arguments.list && arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

/// A test that cannot run here, shown as ignored with the reason.
pub fn skipped(name: &str, why: &str) -> Trial {
    Trial::test(format!("{name} [skipped: {why}]"), || Ok(())).with_ignored_flag(true)
}

fn record(name: &str, start: Instant) {
    let Some(path) = std::env::var_os("STOKE_TEST_TIMES") else {
        return;
    };
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy();
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let line = format!("{program}\t{name}\t{:.1}\n", start.elapsed().as_secs_f64());
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        // Times are for reading: a test does not fail for want of them.
        let _ = file.write_all(line.as_bytes());
    }
}
