//! Real containers. The sandbox starts this very executable again, so it has its own `main`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test, though without the harness"
)]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stoke_sandbox::{Changes, Exec, Input, Launcher, Mount, Root, Sandbox, Spec, remove_tree, system_mounts};

fn main() {
    stoke_sandbox::main_if_sandboxed();
    match std::env::args().nth(1).as_deref() {
        Some("hold") => return hold(),
        Some("look") => return look(),
        _ => {}
    }
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let directory = tempfile::tempdir().unwrap();
    if let Err(error) = Launcher::default().check(directory.path().join("log")) {
        eprintln!("SKIPPED: {error}");
        return;
    }
    let tests: &[(&str, fn())] = &[
        ("exit_codes_and_signals_are_exact", exit_codes_and_signals_are_exact),
        ("the_workload_sees_its_own_machine", the_workload_sees_its_own_machine),
        ("mounts_are_as_asked_for", mounts_are_as_asked_for),
        ("a_loader_of_musl_is_not_seen", a_loader_of_musl_is_not_seen),
        ("a_tree_of_an_image_is_the_root", a_tree_of_an_image_is_the_root),
        (
            "links_of_an_image_lead_nowhere_else",
            links_of_an_image_lead_nowhere_else,
        ),
        ("the_workload_has_no_power", the_workload_has_no_power),
        (
            "a_signal_reaches_the_main_process_only",
            a_signal_reaches_the_main_process_only,
        ),
        ("nothing_survives_the_main_process", nothing_survives_the_main_process),
        (
            "memory_above_the_limit_is_out_of_memory",
            memory_above_the_limit_is_out_of_memory,
        ),
        ("forked_memory_is_not_counted_twice", forked_memory_is_not_counted_twice),
        ("further_commands_run_inside", further_commands_run_inside),
        ("errors_say_what_is_wrong", errors_say_what_is_wrong),
        ("commands_run_on_terminals", commands_run_on_terminals),
        (
            "ignored_signals_and_open_files_stay_outside",
            ignored_signals_and_open_files_stay_outside,
        ),
        (
            "a_main_process_is_typed_to_and_listened_to",
            a_main_process_is_typed_to_and_listened_to,
        ),
        (
            "a_listener_who_does_not_listen_holds_nothing_up",
            a_listener_who_does_not_listen_holds_nothing_up,
        ),
        (
            "ports_belong_to_the_container_that_listens",
            ports_belong_to_the_container_that_listens,
        ),
        (
            "everything_dies_with_the_process_that_started_it",
            everything_dies_with_the_process_that_started_it,
        ),
        ("fifty_containers_leave_nothing", fifty_containers_leave_nothing),
    ];
    for (name, test) in tests {
        if filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
            let start = Instant::now();
            let done: Result<(), String> = stoke_testkit::limited(move || {
                test();
                Ok(())
            });
            done.unwrap_or_else(|error| panic!("{name}: {error}"));
            println!("test {name} ... ok ({} ms)", start.elapsed().as_millis());
        }
    }
}

struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn spec(&self, command: &[&str]) -> Spec {
        Spec {
            hostname: "the-pod".into(),
            user: 185,
            group: 185,
            command: command.iter().map(ToString::to_string).collect(),
            environment: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("GREETING".into(), "hello there".into()),
            ],
            working_directory: "/opt/work".into(),
            root: Root::Memory { size: 16 << 20 },
            mounts: system_mounts(),
            read_only_root: false,
            memory_limit: None,
            log: self.path("0.log"),
            input: Input::Closed,
        }
    }

    fn shell(&self, script: &str) -> Spec {
        self.spec(&["sh", "-c", script])
    }

    fn start(&self, spec: &Spec) -> Sandbox {
        Launcher::default().start(spec, |_| {}).unwrap()
    }

    fn run(&self, spec: &Spec) -> (i32, String) {
        let sandbox = self.start(spec);
        let exit = sandbox.wait();
        (exit.container_code(), self.output())
    }

    /// The log without times.
    fn output(&self) -> String {
        let log = std::fs::read_to_string(self.path("0.log")).unwrap_or_default();
        log.lines()
            .map(|line| line.split_once(' ').unwrap().1.to_owned() + "\n")
            .collect()
    }

    fn wait_for_output(&self, text: &str) {
        wait_until(text, || self.output().contains(text));
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn exit_codes_and_signals_are_exact() {
    for (script, code, signal) in [
        ("exit 0", Some(0), None),
        ("exit 41", Some(41), None),
        ("kill -KILL $$", None, Some(9)),
        ("kill -TERM $$", None, Some(15)),
    ] {
        let bench = Bench::new();
        let exit = bench.start(&bench.shell(script)).wait();
        assert_eq!((exit.code, exit.signal), (code, signal), "{script}");
        assert!(!exit.out_of_memory);
    }
    let bench = Bench::new();
    let (code, output) = bench.run(&bench.shell("echo out; echo err >&2; printf unfinished; exit 3"));
    assert_eq!(code, 3);
    for line in ["stdout F out\n", "stderr F err\n", "stdout P unfinished\n"] {
        assert!(output.contains(line), "{output}");
    }
}

fn the_workload_sees_its_own_machine() {
    let bench = Bench::new();
    let (code, output) = bench.run(&bench.shell(
        "hostname; id -u; id -g; pwd; echo $GREETING; ls -d /proc/[0-9]* | wc -l; ls /home /root 2>&1 | wc -c; \
         echo x > /dev/null && head -c 4 /dev/urandom | wc -c; echo t > /tmp/t && cat /tmp/t; ls -A /dev/shm | wc -l; \
         cat /etc/shadow 2>/dev/null | wc -l; env | wc -l",
    ));
    let lines: Vec<&str> = output.lines().map(|line| line.rsplit_once(" F ").unwrap().1).collect();
    assert_eq!(code, 0, "{output}");
    assert_eq!(&lines[..5], ["the-pod", "185", "185", "/opt/work", "hello there"]);
    let processes: u32 = lines[5].trim().parse().unwrap();
    assert!(processes <= 5, "the container sees {processes} processes");
    assert!(lines[6].contains(|c: char| c.is_ascii_digit()));
    assert_eq!(&lines[7..11], ["4", "t", "0", "0"]);
}

fn mounts_are_as_asked_for() {
    let bench = Bench::new();
    for directory in ["home/jars", "volume", "config"] {
        std::fs::create_dir_all(bench.path(directory)).unwrap();
    }
    std::fs::write(bench.path("home/jars/a.jar"), "jar").unwrap();
    std::fs::write(bench.path("config/key"), "value").unwrap();
    let mut spec = bench.shell(
        "cat /opt/spark/jars/a.jar /opt/spark/conf/key /etc/motd-of-stoke; echo; \
         touch /opt/spark/new 2>&1; touch /opt/spark/jars/new 2>&1; touch /opt/spark/conf/new 2>&1; touch /usr/new 2>&1; \
         echo written > /data/file && touch /opt/spark/work-dir/w && echo writable; df /cache | tail -1 | awk '{print $2}'",
    );
    spec.mounts.extend([
        Mount::bind(bench.path("home"), "/opt/spark", true),
        Mount::bind(bench.path("config"), "/opt/spark/conf", true),
        Mount::bind(bench.path("volume"), "/data", false),
        Mount::tmpfs("/opt/spark/work-dir", Some(1 << 20)),
        Mount::tmpfs("/cache", Some(2 << 20)),
        Mount::file("/etc/motd-of-stoke", "file"),
    ]);
    let (code, output) = bench.run(&spec);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("F jarvaluefile\n"), "{output}");
    assert_eq!(output.matches("Read-only file system").count(), 4, "{output}");
    assert!(
        output.contains("F writable\n") && output.contains("F 2048\n"),
        "{output}"
    );
    assert_eq!(std::fs::read_to_string(bench.path("volume/file")).unwrap(), "written\n");
    assert!(
        !bench.path("home/conf").exists() && !bench.path("home/work-dir").exists(),
        "the source was changed"
    );

    let bench = Bench::new();
    let mut spec = bench.shell("touch /x 2>&1; touch /tmp/x 2>&1; touch /data/x && echo volume");
    spec.read_only_root = true;
    spec.mounts.push(Mount::tmpfs("/data", None));
    let (_, output) = bench.run(&spec);
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    assert!(output.contains("volume"));
}

/// Started by the test below where `/lib` has a loader of musl: says what a container sees there.
fn look() {
    let bench = Bench::new();
    let (code, output) = bench.run(&bench.shell(
        "ls /lib | grep -c musl; test -e /lib/ld-musl-x86_64.so.1; echo seen $?; ls -d /lib/$(uname -m)-linux-gnu/libc.so.6 /lib/ld-linux* 2>/dev/null | head -1; touch /usr/lib/x 2>&1",
    ));
    println!("outside {}", Path::new("/lib/ld-musl-x86_64.so.1").exists());
    println!("{code} {output}");
}

/// In a mount namespace of its own, so that nothing is installed on this machine.
fn a_loader_of_musl_is_not_seen() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("planted")).unwrap();
    std::fs::write(bench.path("planted/ld-musl-x86_64.so.1"), "").unwrap();
    let script = "mount -t overlay -o lowerdir=\"$1\":/usr/lib overlay /usr/lib && exec \"$2\" look";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(bench.path("planted"))
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_merged = Path::new("/lib")
        .canonicalize()
        .is_ok_and(|path| path == Path::new("/usr/lib"));
    if !is_merged || !told.starts_with("outside true") {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !is_merged || why.contains("mount") || why.contains("unshare"),
            "{told}{why}"
        );
        println!("SKIPPED: /lib cannot be changed for one process: {why}");
        return;
    }
    for expected in [" F 0\n", " F seen 1\n", " F /lib/", "Read-only file system"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

/// A tree as an image has it; programs are the machine's.
fn image_tree(bench: &Bench) -> PathBuf {
    let tree = bench.path("tree");
    std::fs::create_dir_all(tree.join("opt/app/old")).unwrap();
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::write(tree.join("opt/app/code"), "code of the image\n").unwrap();
    std::fs::write(tree.join("opt/app/old/file"), "old\n").unwrap();
    std::fs::write(tree.join("etc/hostname"), "of the image\n").unwrap();
    tree
}

fn a_tree_of_an_image_is_the_root() {
    let script = "cat /opt/app/code /etc/hostname; cd /opt/app; echo changed > code; rm -r old; mkdir old; ls -A old | wc -l; \
                  echo new > /top; cat code /top; ls -d /tmp /run 2>&1 | wc -l";
    let kept = |bench: &Bench| {
        std::fs::create_dir_all(bench.path("changes"))
            .map(|()| bench.path("changes"))
            .unwrap()
    };
    type Make = fn(&Bench, PathBuf) -> Root;
    let overlay: [Make; 2] = [
        |bench, lower| Root::Overlay {
            lower,
            changes: Changes::Directory(bench.path("changes")),
        },
        |_, lower| Root::Overlay {
            lower,
            changes: Changes::Memory { size: 8 << 20 },
        },
    ];
    for make in overlay {
        let bench = Bench::new();
        let tree = image_tree(&bench);
        let changes = kept(&bench);
        let mut spec = bench.shell(script);
        spec.working_directory = "/opt/app".into();
        spec.root = make(&bench, tree.clone());
        spec.mounts.push(Mount::file("/etc/hostname", "of the pod\n"));
        let (code, output) = bench.run(&spec);
        let lines: Vec<&str> = output.lines().map(|line| line.rsplit_once(" F ").unwrap().1).collect();
        assert_eq!(code, 0, "{output}");
        assert_eq!(
            lines[..5],
            ["code of the image", "of the pod", "0", "changed", "new"],
            "{output}"
        );
        // Neither is in the tree, and nothing but the mounts brings them.
        assert!(!tree.join("tmp").exists() && !tree.join("top").exists());
        assert_eq!(
            std::fs::read_to_string(tree.join("opt/app/code")).unwrap(),
            "code of the image\n"
        );
        assert_eq!(
            std::fs::read_to_string(tree.join("etc/hostname")).unwrap(),
            "of the image\n"
        );
        assert!(tree.join("opt/app/old/file").exists());
        remove_tree(&changes).unwrap();
    }
    // The tree itself, and read-only.
    let bench = Bench::new();
    let tree = image_tree(&bench);
    let mut spec = bench.shell("echo changed > /opt/app/code && cat /opt/app/code");
    spec.root = Root::Directory(tree.clone());
    assert_eq!(bench.run(&spec).0, 0, "{}", bench.output());
    assert_eq!(std::fs::read_to_string(tree.join("opt/app/code")).unwrap(), "changed\n");
    for root in [
        Root::Directory(tree.clone()),
        Root::Overlay {
            lower: tree.clone(),
            changes: Changes::Memory { size: 8 << 20 },
        },
    ] {
        let bench = Bench::new();
        let mut spec = bench.shell("touch /opt/app/x 2>&1; touch /x 2>&1; touch /data/x && echo volume");
        spec.root = root;
        spec.read_only_root = true;
        spec.mounts.push(Mount::tmpfs("/data", None));
        let (_, output) = bench.run(&spec);
        assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
        assert!(output.contains("volume"), "{output}");
    }
}

fn links_of_an_image_lead_nowhere_else() {
    let bench = Bench::new();
    let tree = image_tree(&bench);
    let outside = bench.path("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(tree.join("run")).unwrap();
    let link = |to: &Path, at: &str| std::os::unix::fs::symlink(to, tree.join(at)).unwrap();
    link(
        Path::new("/old").join(outside.strip_prefix("/").unwrap()).as_path(),
        "escape",
    );
    link(Path::new("../../../../run"), "etc/run");
    let mut spec = bench.shell("cat /run/secrets/key /escape/made/file");
    spec.root = Root::Overlay {
        lower: tree.clone(),
        changes: Changes::Memory { size: 8 << 20 },
    };
    spec.mounts.extend([
        Mount::file("/escape/made/file", "inside\n"),
        Mount::file("/etc/run/secrets/key", "key\n"),
    ]);
    let (code, output) = bench.run(&spec);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("F key") && output.contains("F inside"), "{output}");
    assert_eq!(
        std::fs::read_dir(&outside).unwrap().count(),
        0,
        "a mount point was made outside of the image"
    );
    std::os::unix::fs::symlink(&outside, tree.join("proc")).unwrap();
    let error = Launcher::default().start(&spec, |_| {}).err().unwrap();
    assert!(
        error.to_string().contains("/proc of the image is not a directory"),
        "{error}"
    );
}

fn the_workload_has_no_power() {
    let bench = Bench::new();
    let mut spec =
        bench.shell("grep Cap /proc/self/status; mount -t tmpfs none /mnt 2>&1; umount /usr 2>&1; hostname other 2>&1");
    // Even "root" inside is an ordinary user outside.
    spec.user = 0;
    spec.group = 0;
    let (_, output) = bench.run(&spec);
    assert!(!output.contains("F other"));
    for refusal in ["mount", "umount", "hostname"] {
        assert!(
            output.lines().any(|line| line.contains(&format!("{refusal}:"))),
            "{refusal}: {output}"
        );
    }
}

fn a_signal_reaches_the_main_process_only() {
    let bench = Bench::new();
    let spec = bench.shell(
        "sh -c 'trap \"echo child got it\" TERM; echo child ready; while :; do sleep 0.05; done' & \
         trap 'echo main got it; exit 7' TERM; while :; do sleep 0.05; done",
    );
    let sandbox = bench.start(&spec);
    bench.wait_for_output("child ready");
    std::thread::sleep(Duration::from_millis(60));
    sandbox.signal(15).unwrap();
    assert_eq!(sandbox.wait().code, Some(7));
    let output = bench.output();
    assert!(
        output.contains("main got it") && !output.contains("child got it"),
        "{output}"
    );
}

fn nothing_survives_the_main_process() {
    let bench = Bench::new();
    let sandbox = bench.start(&bench.shell("(setsid sleep 1234.5 &) ; setsid sleep 1234.5 & sleep 0.05; exit 0"));
    assert_eq!(sandbox.wait().code, Some(0));
    assert_eq!(running("1234.5"), 0);
    let killed = Bench::new();
    let sandbox = killed.start(&killed.shell("sleep 1234.6 & trap '' TERM; echo up; wait; sleep 100"));
    killed.wait_for_output("up");
    sandbox.kill();
    assert_eq!(sandbox.wait().signal, Some(9));
    assert_eq!(running("1234.6"), 0);
}

fn memory_above_the_limit_is_out_of_memory() {
    let bench = Bench::new();
    let mut spec = bench.spec(&["python3", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))"]);
    spec.memory_limit = Some(128 << 20);
    let exit = bench.start(&spec).wait();
    assert!(exit.out_of_memory);
    assert_eq!(exit.container_code(), 137);

    let bench = Bench::new();
    let mut spec = bench.shell("head -c 40000000 /dev/zero > /dev/shm/big; sleep 5");
    spec.memory_limit = Some(20 << 20);
    assert!(bench.start(&spec).wait().out_of_memory, "files in memory count");
}

fn forked_memory_is_not_counted_twice() {
    let bench = Bench::new();
    let script = "import os, time\nx = bytearray(60 << 20)\nfor _ in range(4):\n  if os.fork() == 0: time.sleep(1); os._exit(0)\ntime.sleep(1)\nprint('fine')";
    let mut spec = bench.spec(&["python3", "-c", script]);
    spec.memory_limit = Some(128 << 20);
    let sandbox = bench.start(&spec);
    wait_until("usage of five processes", || {
        sandbox.usage().is_ok_and(|usage| usage.processes == 5)
    });
    assert!(
        sandbox.usage().unwrap().anonymous > 240 << 20,
        "the quick figure counts shared pages once per process"
    );
    assert_eq!(sandbox.wait().code, Some(0), "{}", bench.output());
}

fn further_commands_run_inside() {
    let bench = Bench::new();
    let sandbox = bench.start(&bench.shell("echo up; sleep 30"));
    let run = |command: &[&str]| {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (sender, end) = std::sync::mpsc::channel();
        let exec = Exec {
            command: command.iter().map(ToString::to_string).collect(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            working_directory: "/tmp".into(),
        };
        let null = std::fs::File::open("/dev/null").unwrap().into();
        let error = writer.try_clone().unwrap().into();
        sandbox
            .exec(exec, [null, writer.into(), error], move |result| {
                sender.send(result).unwrap()
            })
            .unwrap();
        let mut output = String::new();
        std::io::Read::read_to_string(&mut reader, &mut output).unwrap();
        (end.recv().unwrap(), output)
    };
    let (end, output) = run(&["sh", "-c", "hostname; pwd; id -u; exit 5"]);
    assert_eq!(end.unwrap().code, Some(5));
    assert_eq!(output, "the-pod\n/tmp\n185\n");
    let (end, _) = run(&["no-such-program"]);
    assert_eq!(
        end.unwrap_err().to_string(),
        "exec: \"no-such-program\": executable file not found in $PATH"
    );
    sandbox.kill();
    sandbox.wait();
}

fn errors_say_what_is_wrong() {
    let table: [(&[&str], &str); 3] = [
        (
            &["no-such-program"],
            "exec: \"no-such-program\": executable file not found in $PATH",
        ),
        (
            &["/no/such"],
            "exec: \"/no/such\": stat /no/such: no such file or directory",
        ),
        (&["/etc/passwd"], "permission denied"),
    ];
    for (command, expected) in table {
        let bench = Bench::new();
        let mut spec = bench.spec(command);
        spec.mounts.extend(stoke_sandbox::account_files(185, 185, "/opt/spark"));
        let error = Launcher::default().start(&spec, |_| {}).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let bench = Bench::new();
    let mut spec = bench.shell("true");
    spec.mounts.push(Mount::bind("/no/such/volume", "/data", true));
    let error = Launcher::default().start(&spec, |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot mount /data from /no/such/volume: No such file or directory"
    );
    let error = Launcher::with_program("/bin/true")
        .start(&bench.shell("true"), |_| {})
        .unwrap_err();
    assert_eq!(error.code(), "StartFailed");
}

/// Started by the test below as a process of its own: runs a container until killed.
fn hold() {
    let bench = Bench::new();
    let sandbox = bench.start(&bench.shell("setsid sleep 4321.5 & exec sleep 4321.5"));
    println!("up");
    sandbox.wait();
}

fn everything_dies_with_the_process_that_started_it() {
    let mut holder = std::process::Command::new("/proc/self/exe")
        .arg("hold")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 3];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    wait_until("both sleep", || running("4321.5") == 2);
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("nothing is left", || running("4321.5") == 0);
}

fn fifty_containers_leave_nothing() {
    let mounts = || std::fs::read_to_string("/proc/self/mounts").unwrap().lines().count();
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = (mounts(), files(), children());
    let start = Instant::now();
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(|| {
                    let mut times = Vec::new();
                    for _ in 0..10 {
                        let bench = Bench::new();
                        let spec = bench.shell("echo done; sleep 0.01");
                        let start = Instant::now();
                        let sandbox = bench.start(&spec);
                        times.push(start.elapsed());
                        assert_eq!(sandbox.wait().code, Some(0));
                        assert_eq!(bench.output(), "stdout F done\n");
                    }
                    times
                })
            })
            .collect();
        for thread in threads {
            times.extend(thread.join().unwrap());
        }
    });
    times.sort();
    println!(
        "  50 containers in {:?}; start median {:?}, worst {:?}",
        start.elapsed(),
        times[25],
        times[49]
    );
    let bench = Bench::new();
    let mut alone = Vec::new();
    for _ in 0..10 {
        let start = Instant::now();
        let sandbox = bench.start(&bench.shell("true"));
        alone.push(start.elapsed());
        sandbox.wait();
    }
    alone.sort();
    println!("  one at a time: start median {:?}", alone[5]);
    wait_until("files are closed and processes reaped", || {
        mounts() <= before.0 && files() <= before.1 && children() <= before.2
    });
}

/// Processes whose command line contains `text`.
fn running(text: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let line = std::fs::read(Path::new(&entry.path()).join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).starts_with("sleep") && String::from_utf8_lossy(&line).contains(text)
        })
        .count()
}

/// Children of this process, zombies included.
fn children() -> usize {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&own))
        })
        .count()
}

/// Reads a terminal or pipe until it has shown `text`, and not a byte more: what comes with it is for the next to read.
fn read_until(file: &mut std::fs::File, text: &str) -> String {
    let mut shown = Vec::new();
    let mut byte = [0];
    while !shown.ends_with(text.as_bytes()) {
        match file.read(&mut byte) {
            Ok(1) => shown.extend(byte),
            end => panic!("{end:?} before {text:?}: {:?}", String::from_utf8_lossy(&shown)),
        }
    }
    String::from_utf8_lossy(&shown).into_owned()
}

fn exec_of(script: &str) -> Exec {
    Exec {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        working_directory: "/".into(),
    }
}

/// `nohup stoke up &` ignores SIGHUP, SIGINT and SIGQUIT; its containers must not.
fn ignored_signals_and_open_files_stay_outside() {
    const INSIDE: &str = "STOKE_TEST_GIVEN";
    if std::env::var_os(INSIDE).is_none() {
        let again = "trap '' HUP INT QUIT TERM USR1; exec \"$0\" ignored_signals 9</dev/null";
        let executable = std::env::current_exe().unwrap();
        let status = std::process::Command::new("sh")
            .args(["-c", again])
            .arg(executable)
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    // The first 31; those of real time are the C library's.
    let ignored = |text: &str| {
        let mask = text.split("SigIgn:\t").nth(1).unwrap().split_whitespace().next();
        u64::from_str_radix(mask.unwrap(), 16).unwrap() & 0x7fff_ffff
    };
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    assert_ne!(ignored(&own), 0, "the test itself ignores signals");
    let bench = Bench::new();
    let exit = bench
        .start(&bench.shell("grep SigIgn /proc/self/status; ls /proc/$$/fd; kill -INT $$"))
        .wait();
    assert_eq!((exit.code, exit.signal), (None, Some(2)), "{}", bench.output());
    assert!(
        Path::new("/proc/self/fd/9").exists(),
        "the test itself was given an open file"
    );
    assert!(!bench.output().contains("F 9\n"), "{}", bench.output());
    assert_eq!(ignored(&bench.output()), 0, "{}", bench.output());
}

fn commands_run_on_terminals() {
    let bench = Bench::new();
    let sandbox = bench.start(&bench.shell("sleep 60"));
    let (ended, end) = std::sync::mpsc::channel();
    let script = "tty; echo $TERM; trap 'echo interrupted' INT; trap 'stty size' WINCH; echo ready; \
                  while :; do read line && test \"$line\" = done && exit 7; done";
    let (_handle, terminal) = sandbox
        .exec_on_terminal(exec_of(script), move |exit| ended.send(exit).unwrap())
        .unwrap();
    stoke_sandbox::resize(&terminal, 33, 111).unwrap();
    let mut terminal = std::fs::File::from(terminal);
    let shown = read_until(&mut terminal, "ready");
    assert!(shown.contains("/dev/pts/") && shown.contains("xterm"), "{shown}");
    terminal.write_all(b"\x03").unwrap();
    read_until(&mut terminal, "interrupted");
    stoke_sandbox::resize(&terminal, 50, 100).unwrap();
    terminal.write_all(b"\n").unwrap();
    read_until(&mut terminal, "50 100");
    terminal.write_all(b"done\n").unwrap();
    assert_eq!(end.recv().unwrap().unwrap().code, Some(7));
    // All that was shown can be read, then comes the end.
    let mut rest = Vec::new();
    while matches!(terminal.read_to_end(&mut rest), Ok(count) if count > 0) {}

    let nothing = Exec {
        command: vec!["no-such-program".into()],
        ..exec_of("")
    };
    let error = sandbox
        .exec_on_terminal(nothing, |_| panic!("it ended though it never began"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "exec: \"no-such-program\": executable file not found in $PATH"
    );
}

fn a_main_process_is_typed_to_and_listened_to() {
    for input in [Input::Pipe, Input::Terminal] {
        let bench = Bench::new();
        let spec = Spec {
            input,
            ..bench.shell("printf 'name? '; read name; echo hello $name; echo aside >&2; read more || echo over")
        };
        let sandbox = bench.start(&spec);
        let (out_reader, out_writer) = std::io::pipe().unwrap();
        let (err_reader, err_writer) = std::io::pipe().unwrap();
        sandbox
            .attach(Some(out_writer.into()), Some(err_writer.into()))
            .unwrap();
        let mut typing = std::fs::File::from(sandbox.input().unwrap());
        let (mut out, mut err) = (
            std::fs::File::from(OwnedFd::from(out_reader)),
            std::fs::File::from(OwnedFd::from(err_reader)),
        );
        typing.write_all(b"world\n").unwrap();
        read_until(&mut out, "hello world");
        read_until(if input == Input::Pipe { &mut err } else { &mut out }, "aside");
        if input == Input::Terminal {
            typing.write_all(b"\x04").unwrap();
        }
        drop(typing);
        sandbox.close_input();
        assert_eq!(sandbox.wait().code, Some(0));
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("over"), "{rest}");
        let log = bench.output();
        assert!(log.contains("hello world") && log.contains("over"), "{log}");
        assert_eq!(log.contains("stderr F aside"), input == Input::Pipe, "{log}");
    }
}

fn a_listener_who_does_not_listen_holds_nothing_up() {
    let bench = Bench::new();
    let spec = Spec {
        input: Input::Pipe,
        // In pieces: a listener who listens may still be late when the machine is busy, and more so the faster this is written.
        ..bench.shell("read go; i=0; while [ $i -lt 80 ]; do head -c 100000 /dev/zero | tr '\\0' x; sleep 0.01; i=$((i+1)); done; echo; echo through")
    };
    let sandbox = bench.start(&spec);
    let (mut deaf, writer) = std::io::pipe().unwrap();
    sandbox.attach(Some(writer.into()), None).unwrap();
    let (mut keen, writer) = std::io::pipe().unwrap();
    sandbox.attach(Some(writer.into()), None).unwrap();
    let heard = std::thread::spawn(move || {
        let mut heard = Vec::new();
        keen.read_to_end(&mut heard).unwrap();
        heard
    });
    // Whether both listen already can only be told by what they hear.
    std::thread::sleep(Duration::from_millis(50));
    std::fs::File::from(sandbox.input().unwrap())
        .write_all(b"go\n")
        .unwrap();
    assert_eq!(sandbox.wait().code, Some(0));
    let heard = heard.join().unwrap();
    assert_eq!(heard.len(), 8_000_000 + "\nthrough\n".len());
    let mut rest = Vec::new();
    deaf.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 2 << 20, "{}", rest.len());
}

fn ports_belong_to_the_container_that_listens() {
    let bench = Bench::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let script = format!(
        "python3 -c 'import socket,time; s=socket.socket(); s.bind((\"127.77.1.1\",{port})); s.listen(); print(\"up\",flush=True); time.sleep(60)'"
    );
    let (listens, other) = (Bench::new(), bench);
    let sandbox = listens.start(&listens.shell(&script));
    let stranger = other.start(&other.shell("sleep 60"));
    listens.wait_for_output("up");
    assert_eq!(
        sandbox.listeners(port).unwrap(),
        [format!("127.77.1.1:{port}").parse().unwrap()]
    );
    assert!(sandbox.listeners(port + 1).unwrap().is_empty());
    assert!(stranger.listeners(port).unwrap().is_empty());
}
