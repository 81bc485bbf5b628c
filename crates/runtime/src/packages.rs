//! The packages that `spark.jars.packages` brings, kept between runs and shared by drivers that run at the same time.
//!
//! Ivy does not lock its cache: two that fetch the same artifact write the same file, and one that copies a jar for its application
//! does it while another reads it. So every driver has an Ivy directory of its own:
//!
//! ```text
//! cache/    what complete resolutions brought; only read by drivers
//! local/    the user's own modules, if there are any (Ivy's `local` repository)
//! runs/1/   a driver's Ivy directory: cache/, jars/; locked (flock) as long as the driver lives
//! .lock     held while a run begins and while ended ones are collected
//! ```
//!
//! A run begins with what `cache/` holds: jars by hard link, which is safe because Ivy replaces jars and never writes into one; the
//! small files around them, which it does write into, as copies. What the run added goes back by rename when it is collected. The lock on the run ends with its
//! driver, however that ends, so nothing has to be cleaned up by a driver.
//!
//! Cost: a link or a small copy for each file of the cache when a driver with packages starts (about 20 us each, five files a module),
//! no bytes of jars; one rename for each new file when a run is collected.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the directory with what complete resolutions brought, and of each run's own.
const CACHE: &str = "cache";
/// Name of a run's directory of jars as its application uses them. Ivy fills it when a resolution is complete.
const JARS: &str = "jars";
/// Name of the directory of runs.
const RUNS: &str = "runs";
/// Name of Ivy's repository of the user's own modules.
const LOCAL: &str = "local";

/// A driver's own Ivy directory. It is the driver's as long as the lock is open.
#[derive(Debug)]
pub struct Own {
    /// The directory, for `spark.jars.ivy`.
    pub directory: PathBuf,
    /// Holds the lock.
    pub lock: File,
}

/// Makes an Ivy directory for a driver below `shared`; with `filled`, it has everything earlier runs brought.
///
/// Collects ended runs first. Errors: those of the file system; then nothing usable was made.
pub fn begin(shared: &Path, filled: bool) -> io::Result<Own> {
    let _turn = turn(shared)?;
    collect_ended(shared)?;
    let runs = shared.join(RUNS);
    std::fs::create_dir_all(&runs)?;
    let directory = (1u32..)
        .map(|number| runs.join(number.to_string()))
        .find(|directory| !directory.exists())
        .ok_or(io::ErrorKind::StorageFull)?;
    std::fs::create_dir(&directory)?;
    let lock = File::open(&directory)?;
    lock.lock()?;
    if filled {
        fill(&shared.join(CACHE), &directory.join(CACHE))?;
    }
    if shared.join(LOCAL).is_dir() {
        std::os::unix::fs::symlink(Path::new("../..").join(LOCAL), directory.join(LOCAL))?;
    }
    Ok(Own { directory, lock })
}

/// Takes over what ended runs brought, and removes them. Runs of living drivers stay.
///
/// Errors: those of the file system; what was not collected is collected the next time.
pub fn collect(shared: &Path) -> io::Result<()> {
    if !shared.join(RUNS).exists() {
        return Ok(());
    }
    let _turn = turn(shared)?;
    collect_ended(shared)
}

/// The right to begin or collect runs.
fn turn(shared: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(shared.join(".lock"))?;
    file.lock()?;
    Ok(file)
}

fn collect_ended(shared: &Path) -> io::Result<()> {
    let runs = match std::fs::read_dir(shared.join(RUNS)) {
        Ok(runs) => runs,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for run in runs {
        let run = run?.path();
        if File::open(&run)?.try_lock().is_err() {
            continue;
        }
        // A resolution that broke off may have left half a description of a module.
        let complete = std::fs::read_dir(run.join(JARS)).is_ok_and(|mut jars| jars.next().is_some());
        if complete {
            take_over(&run.join(CACHE), &shared.join(CACHE))?;
        }
        std::fs::remove_dir_all(&run)?;
    }
    Ok(())
}

/// Whether a file describes a module: Ivy writes into these. Jars and whatever else is fetched it replaces.
fn is_description(name: &str) -> bool {
    [".xml", ".properties", ".original"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Fills a run's new cache.
fn fill(from: &Path, to: &Path) -> io::Result<()> {
    each(from, to, &|name, from, to| {
        if !is_description(name) && std::fs::hard_link(from, to).is_ok() {
            return Ok(());
        }
        std::fs::copy(from, to)?;
        let modified = std::fs::metadata(from)?.modified()?;
        File::options().write(true).open(to)?.set_modified(modified)
    })
}

/// Moves what a run added or renewed to the shared cache.
fn take_over(from: &Path, to: &Path) -> io::Result<()> {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified());
    each(from, to, &|name, from, to| {
        let newer = modified(to).map_or(true, |there| modified(from).is_ok_and(|here| here > there));
        if newer && !name.ends_with(".part") {
            std::fs::rename(from, to)
        } else {
            Ok(())
        }
    })
}

/// Calls `action` with the name of every file below `from`, its path, and its place below `to`, whose directories are made. Nothing happens when
/// `from` does not exist.
fn each(from: &Path, to: &Path, action: &dyn Fn(&str, &Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    std::fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            each(&path, &target, action)?;
        } else {
            action(&entry.file_name().to_string_lossy(), &path, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(path: PathBuf) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    /// What Ivy leaves when it resolved one module: its jar in the cache, with a description, and a copy for the application.
    fn resolve(own: &Own, module: &str, jar: &str) {
        write(&own.directory.join("cache").join(module).join("jars/a.jar"), jar);
        write(
            &own.directory.join("cache").join(module).join("ivydata-1.properties"),
            "origin",
        );
        write(&own.directory.join("jars/a.jar"), jar);
    }

    #[test]
    fn what_a_run_brought_is_there_for_the_next_one() {
        let shared = tempfile::tempdir().unwrap();
        let first = begin(shared.path(), true).unwrap();
        resolve(&first, "org/one", "jar");
        drop(first);
        let second = begin(shared.path(), true).unwrap();
        assert_eq!(second.directory, shared.path().join("runs/1"));
        assert_eq!(
            read(second.directory.join("cache/org/one/jars/a.jar")).as_deref(),
            Some("jar")
        );
        assert_eq!(read(second.directory.join("jars/a.jar")), None);
        // A driver without packages has nothing to wait for.
        let third = begin(shared.path(), false).unwrap();
        assert!(!third.directory.join("cache").exists());
    }

    #[test]
    fn runs_at_the_same_time_do_not_meet() {
        let shared = tempfile::tempdir().unwrap();
        let start = begin(shared.path(), true).unwrap();
        resolve(&start, "org/one", "jar");
        drop(start);
        let one = begin(shared.path(), true).unwrap();
        let two = begin(shared.path(), true).unwrap();
        assert_ne!(one.directory, two.directory);
        // Ivy replaces jars and writes into descriptions.
        let jar = one.directory.join("cache/org/one/jars/a.jar");
        std::fs::remove_file(&jar).unwrap();
        write(&jar, "another");
        write(&one.directory.join("cache/org/one/ivydata-1.properties"), "changed");
        for place in [&two.directory, &shared.path().to_path_buf()] {
            assert_eq!(read(place.join("cache/org/one/jars/a.jar")).as_deref(), Some("jar"));
            let description = read(place.join("cache/org/one/ivydata-1.properties"));
            assert_eq!(description.as_deref(), Some("origin"));
        }
        collect(shared.path()).unwrap();
        assert!(one.directory.exists() && two.directory.exists());
    }

    #[test]
    fn what_broke_off_is_not_taken_over_and_nothing_stays() {
        let shared = tempfile::tempdir().unwrap();
        let broken = begin(shared.path(), true).unwrap();
        write(&broken.directory.join("cache/org/one/ivy-1.xml"), "<ivy-mod");
        drop(broken);
        let whole = begin(shared.path(), true).unwrap();
        resolve(&whole, "org/two", "jar");
        write(&whole.directory.join("cache/org/two/jars/b.jar.part"), "half");
        drop(whole);
        collect(shared.path()).unwrap();
        assert!(!shared.path().join("cache/org/one").exists());
        assert!(!shared.path().join("cache/org/two/jars/b.jar.part").exists());
        assert!(shared.path().join("cache/org/two/jars/a.jar").exists());
        assert_eq!(std::fs::read_dir(shared.path().join("runs")).unwrap().count(), 0);
    }

    #[test]
    fn the_newer_of_two_descriptions_stays() {
        let shared = tempfile::tempdir().unwrap();
        let start = begin(shared.path(), true).unwrap();
        resolve(&start, "org/one", "jar");
        drop(start);
        let (early, late) = (begin(shared.path(), true).unwrap(), begin(shared.path(), true).unwrap());
        let day = std::time::Duration::from_secs(86_400);
        for (own, text, at) in [(&late, "late", 2), (&early, "early", 1)] {
            resolve(own, "org/two", "jar");
            let file = own.directory.join("cache/org/one/ivydata-1.properties");
            write(&file, text);
            let at = std::time::SystemTime::now() + at * day;
            File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(at)
                .unwrap();
        }
        drop((early, late));
        collect(shared.path()).unwrap();
        assert_eq!(
            read(shared.path().join("cache/org/one/ivydata-1.properties")).as_deref(),
            Some("late")
        );
    }

    #[test]
    fn the_users_own_modules_are_seen_by_every_run() {
        let shared = tempfile::tempdir().unwrap();
        write(&shared.path().join("local/org/mine/1/jars/mine.jar"), "mine");
        let own = begin(shared.path(), true).unwrap();
        assert_eq!(
            read(own.directory.join("local/org/mine/1/jars/mine.jar")).as_deref(),
            Some("mine")
        );
        drop(own);
        collect(shared.path()).unwrap();
        assert!(shared.path().join("local/org/mine/1/jars/mine.jar").exists());
    }
}
