//! Packages of `spark.jars.packages`: fetched at the same time by several drivers, kept, and not fetched again.

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, VERSIONS, expect_code, expect_parts, full, reached, stoke, text};
use crate::examples::nothing_left;

const MANIFEST: &str = include_str!("packages.yaml");

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![context.trial(
        "packages: fetched by two at once, kept for the third",
        &[full(), context.spark(VERSIONS[0]), reached("repo1.maven.org:443")],
        shared,
    )]
}

fn shared(context: &Context) -> Result<(), Failed> {
    // Packages of its own: nothing has been fetched yet.
    let home = tempfile::tempdir()?;
    std::os::unix::fs::symlink(context.home().join("runtimes"), home.path().join("runtimes"))?;
    let file = home.path().join("packages.yaml");
    std::fs::write(&file, MANIFEST)?;

    let run = || stoke(home.path(), ["run"]).arg(&file).output();
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join())
    });
    let two = two.map_err(|_| "a run panicked")?;
    // By now both fetches are in one cache: `stoke run` has collected what the drivers had for themselves.
    let third = run()?;
    for output in [&one?, &two?, &third] {
        expect_code(output, 0)?;
        expect_parts(&text(output), &["Packages checked: {\"a\":[1,2]}", "COMPLETED"])?;
    }
    expect_parts(&text(&third), &["2 artifacts copied, 0 already retrieved"])?;
    if text(&third).contains("downloading https://") {
        return Err(format!("fetched again:\n{}", text(&third)).into());
    }
    let cached = home
        .path()
        .join("packages/cache/org.json/json/bundles/json-20240303.jar");
    let runs = std::fs::read_dir(home.path().join("packages/runs"))?.count();
    if !cached.exists() || runs != 0 {
        return Err(format!("{} exists: {}; runs left: {runs}", cached.display(), cached.exists()).into());
    }
    nothing_left(home.path())
}
