//! Real containers. The sandbox starts this very executable again, so it has its own `main`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test, though without the harness"
)]

mod files;
mod terminals;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stoke_sandbox::{Changes, Exec, Input, Launcher, Mount, Root, Sandbox, Spec, remove_tree, system_mounts};

fn main() {
    stoke_sandbox::main_if_sandboxed();
    match std::env::args().nth(1).as_deref() {
        Some("hold") => return hold(),
        Some("look") => return files::look(),
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
        ("mounts_are_as_asked_for", files::mounts_are_as_asked_for),
        ("a_loader_of_musl_is_not_seen", files::a_loader_of_musl_is_not_seen),
        ("a_tree_of_an_image_is_the_root", files::a_tree_of_an_image_is_the_root),
        (
            "links_of_an_image_lead_nowhere_else",
            files::links_of_an_image_lead_nowhere_else,
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
        (
            "looking_at_many_forked_processes_costs_little",
            looking_at_many_forked_processes_costs_little,
        ),
        (
            "forked_memory_that_is_written_to_is_out_of_memory",
            forked_memory_that_is_written_to_is_out_of_memory,
        ),
        ("further_commands_run_inside", further_commands_run_inside),
        ("errors_say_what_is_wrong", errors_say_what_is_wrong),
        ("commands_run_on_terminals", terminals::commands_run_on_terminals),
        (
            "ignored_signals_and_open_files_stay_outside",
            ignored_signals_and_open_files_stay_outside,
        ),
        (
            "a_main_process_is_typed_to_and_listened_to",
            terminals::a_main_process_is_typed_to_and_listened_to,
        ),
        (
            "a_listener_who_does_not_listen_holds_nothing_up",
            terminals::a_listener_who_does_not_listen_holds_nothing_up,
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

/// Hundredths of a second that process 1, which looks at memory, took in some seconds beside 40 processes that share 200 MiB.
fn looking_at_many_forked_processes_costs_little() {
    const SECONDS: u32 = 5;
    let bench = Bench::new();
    let script = format!(
        "import os, time
x = b'x' * (200 << 20)
for _ in range(40):
  if os.fork() == 0: time.sleep(60); os._exit(0)
taken = lambda: sum(int(part) for part in open('/proc/1/stat').read().rpartition(')')[2].split()[11:13])
time.sleep(1)
before = taken()
time.sleep({SECONDS})
print(taken() - before)"
    );
    let mut spec = bench.spec(&["python3", "-c", &script]);
    spec.memory_limit = Some(1 << 30);
    let exit = bench.start(&spec).wait();
    assert_eq!(exit.code, Some(0), "{}", bench.output());
    let taken: u32 = bench.output().split_whitespace().next_back().unwrap().parse().unwrap();
    println!("{taken} of {} hundredths of a second", SECONDS * 100);
    assert!(
        taken < SECONDS * 100 / 10,
        "{taken} hundredths of a second in {SECONDS} s"
    );
}

/// The quick figure stays what it was when a process writes to what it shared; the machine has less.
fn forked_memory_that_is_written_to_is_out_of_memory() {
    let bench = Bench::new();
    let script = "import os, time
x = bytearray(b'x' * (100 << 20))
def write():
  time.sleep(2)
  for at in range(0, len(x), 4096): x[at] = 1
  time.sleep(20)
  os._exit(0)
for _ in range(10):
  if os.fork() == 0: write()
time.sleep(20)";
    let mut spec = bench.spec(&["python3", "-c", script]);
    spec.memory_limit = Some(500 << 20);
    let start = Instant::now();
    assert!(bench.start(&spec).wait().out_of_memory, "{}", bench.output());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
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
