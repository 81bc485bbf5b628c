//! The init: process 1 of the container. It builds the file tree, starts the main process, reaps, passes signals on to the main
//! process only, runs further commands, and kills everything when memory is exceeded or the launcher is gone.
//! Its end is the end of every process in its PID namespace: the kernel sees to that.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, kill_process, pidfd_open, setrlimit, wait,
};

use crate::error::{Error, plain};
use crate::memory::{Detail, Exact, Signs, available, measure, next_look, wants_exact};
use crate::namespace::{die_with_parent, enter_inner};
use crate::sockets::own_listeners;
use crate::spec::{Exec, Exit, Input, Source, Spec};
use crate::terminal;
use crate::wire::{Order, Report, receive, report_failure, send};

/// The kernel should rather end a workload than Stoke when the machine itself is out of memory.
const OOM_SCORE: &str = "800";

/// Runs the init on the control socket at standard input; the result is the exit code.
pub(crate) fn main() -> i32 {
    report_failure(run)
}

fn run(socket: BorrowedFd<'_>) -> Result<(), Error> {
    die_with_parent(None)?;
    let (spec, files) = receive::<Spec>(socket)
        .map_err(|error| Error::start("read the specification", error))?
        .ok_or(Error::Gone)?;
    rustix::system::sethostname(spec.hostname.as_bytes()).map_err(|error| Error::start("sethostname", error))?;
    crate::rootfs::build(&spec)?;
    enter_inner(spec.user, spec.group)?;
    die_with_parent(None)?;
    rustix::thread::set_no_new_privs(true).map_err(|error| Error::start("prctl(PR_SET_NO_NEW_PRIVS)", error))?;
    // Neither is worth failing for: the first protects Stoke when memory is short, the second saves disk.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    // Who started Stoke may have left it open files of its own, which are nothing to the workload.
    close_fds::set_fds_cloexec(3, &[]);
    crate::signals::default_in_children().map_err(|error| Error::start("sigaction", error))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));

    let main = Exec {
        command: spec.command.clone(),
        environment: spec.environment.clone(),
        working_directory: spec.working_directory.clone(),
    };
    let (main, held) = match spec.input {
        Input::Terminal => spawn_on_terminal(&main).map(|(main, terminal)| (main, Some(terminal)))?,
        Input::Closed | Input::Pipe => (spawn(&main, Streams::Own(files.into_iter().next()))?, None),
    };
    let carried: Vec<BorrowedFd<'_>> = held.iter().map(AsFd::as_fd).collect();
    send(socket, &Report::Started, &carried).map_err(|_| Error::Gone)?;
    drop(held);
    Supervisor::new(main, &spec).serve(socket)
}

/// The standard streams of a command.
enum Streams {
    /// Output and error are the container's own; input is this file, or nothing.
    Own(Option<OwnedFd>),
    /// These.
    Given([OwnedFd; 3]),
    /// A terminal, all three.
    Terminal(OwnedFd),
}

/// Starts a command on a terminal of its own; the terminal's other side is returned.
fn spawn_on_terminal(exec: &Exec) -> Result<(Pid, OwnedFd), Error> {
    let (ours, theirs) = terminal::open()?;
    let mut exec = exec.clone();
    if !exec.environment.iter().any(|(name, _)| name == "TERM") {
        exec.environment.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    spawn(&exec, Streams::Terminal(theirs)).map(|process| (process, ours))
}

/// Starts a command.
fn spawn(exec: &Exec, streams: Streams) -> Result<Pid, Error> {
    let name = exec.command.first().cloned().unwrap_or_default();
    let failed = |cause: String| Error::Command {
        program: name.clone(),
        cause,
    };
    let program = find_program(&name, &exec.environment).map_err(failed)?;
    let direct = || {
        let mut command = Command::new(&program);
        command.arg0(&name).process_group(0);
        command
    };
    // A program cannot be given a terminal to control: this executable takes it and then becomes the program.
    let stepped = || {
        let mut step = Command::new("/proc/self/exe");
        step.args([crate::ARGUMENT, "terminal"]).arg(&program).arg(&name);
        step
    };
    let common = |command: &mut Command| {
        command
            .args(exec.command.iter().skip(1))
            .env_clear()
            .envs(exec.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&exec.working_directory)
            .stdin(Stdio::null());
    };
    let spawned = match streams {
        Streams::Own(input) => {
            let mut command = direct();
            common(&mut command);
            if let Some(input) = input {
                command.stdin(input);
            }
            command.spawn()
        }
        Streams::Given([input, output, error]) => {
            let mut command = direct();
            common(&mut command);
            command.stdin(input).stdout(output).stderr(error).spawn()
        }
        Streams::Terminal(terminal) => {
            let on_terminal = |mut command: Command| {
                common(&mut command);
                let copy = || terminal.try_clone();
                command.stdin(copy()?).stdout(copy()?).stderr(copy()?).spawn()
            };
            match on_terminal(stepped()) {
                // A tree without the loader that this executable needs: the program has the terminal, and does not control it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && exec.working_directory.is_dir() => {
                    on_terminal(direct())
                }
                spawned => spawned,
            }
        }
    };
    let child = spawned.map_err(|error| {
        if exec.working_directory.is_dir() {
            failed(plain(&error).to_lowercase())
        } else {
            failed(format!(
                "chdir to cwd (\"{}\"): no such file or directory",
                exec.working_directory.display()
            ))
        }
    })?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| failed("no process id".to_owned()))
}

/// Finds a program as a shell would, and says what is wrong in the words of container runtimes.
fn find_program(name: &str, environment: &[(String, String)]) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("no command specified".to_owned());
    }
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(PathBuf::from(name)),
            Err(rustix::io::Errno::NOENT) => Err(format!("stat {name}: no such file or directory")),
            Err(error) => Err(plain(&error.into()).to_lowercase()),
        };
    }
    const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let path = environment
        .iter()
        .rev()
        .find(|(key, _)| key == "PATH")
        .map_or(DEFAULT_PATH, |(_, value)| value.as_str());
    std::env::split_paths(OsStr::new(path))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file() && executable(candidate).is_ok())
        .ok_or_else(|| "executable file not found in $PATH".to_owned())
}

fn executable(path: &Path) -> rustix::io::Result<()> {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK)?;
    if path.is_dir() {
        Err(rustix::io::Errno::ACCESS)
    } else {
        Ok(())
    }
}

fn tell(socket: BorrowedFd<'_>, report: &Report) -> Result<(), Error> {
    send(socket, report, &[]).map_err(|_| Error::Gone)
}

/// The running container as the init sees it.
struct Supervisor {
    main: Pid,
    main_watch: Option<OwnedFd>,
    main_ended: Option<Exit>,
    commands: HashMap<Pid, (u64, Option<OwnedFd>)>,
    limit: Option<u64>,
    memory_directories: Vec<PathBuf>,
    own_proc: bool,
    out_of_memory: bool,
    /// The last exact look at memory, and when it ended.
    exact: Option<(Exact, Instant)>,
}

impl Supervisor {
    fn new(main: Pid, spec: &Spec) -> Supervisor {
        let mut memory_directories = vec![PathBuf::from("/dev/shm")];
        memory_directories.extend(spec.mounts.iter().filter_map(|mount| match mount.source {
            Source::Tmpfs { .. } if mount.target != Path::new("/dev/shm") => Some(mount.target.clone()),
            _ => None,
        }));
        Supervisor {
            main,
            main_watch: pidfd_open(main, PidfdFlags::empty()).ok(),
            main_ended: None,
            commands: HashMap::new(),
            limit: spec.memory_limit,
            memory_directories,
            // With a /proc of its own, this process sees itself as number 1 there.
            own_proc: std::fs::read_link("/proc/self").is_ok_and(|own| own == Path::new("1")),
            out_of_memory: false,
            exact: None,
        }
    }

    /// Serves until the main process ends or the launcher is gone.
    fn serve(&mut self, socket: BorrowedFd<'_>) -> Result<(), Error> {
        let mut look_at = Instant::now() + next_look(0, self.limit, Duration::ZERO);
        loop {
            let asked = self.wait_for_something(socket, look_at.saturating_duration_since(Instant::now()));
            if asked {
                match receive::<Order>(socket) {
                    Ok(Some((order, files))) => self.obey(socket, order, files)?,
                    _ => return Ok(()),
                }
            }
            self.reap(socket)?;
            if let Some(exit) = self.main_ended {
                let exit = Exit {
                    out_of_memory: self.out_of_memory,
                    ..exit
                };
                return tell(socket, &Report::Exited(exit));
            }
            if Instant::now() >= look_at {
                look_at = Instant::now() + self.look();
            }
        }
    }

    /// Waits for an order, the end of a known process, or the time to look at memory; true when there is an order.
    fn wait_for_something(&self, socket: BorrowedFd<'_>, timeout: Duration) -> bool {
        let watches = self.commands.values().filter_map(|(_, watch)| watch.as_ref());
        let mut polled = vec![PollFd::from_borrowed_fd(socket, PollFlags::IN)];
        polled.extend(
            self.main_watch
                .iter()
                .chain(watches)
                .map(|watch| PollFd::new(watch, PollFlags::IN)),
        );
        // Without descriptors of processes (Linux before 5.3) their end is only seen by looking.
        let longest = if self.main_watch.is_some() {
            timeout
        } else {
            timeout.min(Duration::from_millis(20))
        };
        let longest = Timespec {
            tv_sec: longest.as_secs().try_into().unwrap_or(1),
            tv_nsec: longest.subsec_nanos().into(),
        };
        match poll(&mut polled, Some(&longest)) {
            Ok(count) => count > 0 && !polled[0].revents().is_empty(),
            Err(_) => false,
        }
    }

    fn obey(&mut self, socket: BorrowedFd<'_>, order: Order, files: Vec<OwnedFd>) -> Result<(), Error> {
        match order {
            Order::Signal(number) => {
                if let Some(signal) = Signal::from_named_raw(number) {
                    // The process may have ended a moment ago, which is what was wanted.
                    let _ = kill_process(self.main, signal);
                }
            }
            Order::SignalExec { id, signal } => {
                let target = self
                    .commands
                    .iter()
                    .find(|(_, (known, _))| *known == id)
                    .map(|(process, _)| *process);
                if let (Some(process), Some(signal)) = (target, Signal::from_named_raw(signal)) {
                    let _ = kill_process(process, signal);
                }
            }
            Order::Exec { id, exec, terminal } => {
                let started = if terminal {
                    spawn_on_terminal(&exec).and_then(|(process, terminal)| {
                        send(socket, &Report::ExecTerminal { id }, &[terminal.as_fd()]).map_err(|_| Error::Gone)?;
                        Ok(process)
                    })
                } else {
                    match files.try_into() {
                        Ok(files) => spawn(&exec, Streams::Given(files)),
                        Err(_) => Err(Error::Invalid("a command needs its three streams".to_owned())),
                    }
                };
                match started {
                    Ok(process) => {
                        self.commands
                            .insert(process, (id, pidfd_open(process, PidfdFlags::empty()).ok()));
                    }
                    Err(error) => tell(socket, &Report::ExecEnded { id, result: Err(error) })?,
                }
            }
            Order::Usage { id } => {
                let usage = measure(Detail::Quick, self.own_proc, &self.memory_directories);
                tell(socket, &Report::Usage { id, usage })?;
            }
            Order::Listeners { id, port } => {
                let addresses = own_listeners(port, self.own_proc);
                tell(socket, &Report::Listeners { id, addresses })?;
            }
        }
        Ok(())
    }

    /// Collects every ended process; those nothing waits for are thereby gone too.
    fn reap(&mut self, socket: BorrowedFd<'_>) -> Result<(), Error> {
        while let Ok(Some((process, status))) = wait(WaitOptions::NOHANG) {
            let exit = Exit {
                code: status.exit_status(),
                signal: status.terminating_signal(),
                out_of_memory: false,
            };
            if process == self.main {
                self.main_ended = Some(exit);
            } else if let Some((id, _)) = self.commands.remove(&process) {
                tell(socket, &Report::ExecEnded { id, result: Ok(exit) })?;
            }
        }
        Ok(())
    }

    /// Measures memory and kills the main process above the limit; says when to look again.
    fn look(&mut self) -> Duration {
        let Some(limit) = self.limit else {
            return next_look(0, None, Duration::ZERO);
        };
        let began = Instant::now();
        let signs = Signs {
            quick: measure(Detail::Quick, self.own_proc, &self.memory_directories).total(),
            available: available(),
        };
        let took = began.elapsed();
        // Pages shared between forked processes were counted more than once: look closely before killing.
        let last = self.exact.as_ref().map(|(exact, at)| (exact, at.elapsed()));
        if wants_exact(signs, limit, last) {
            let began = Instant::now();
            let used = measure(Detail::Exact, self.own_proc, &self.memory_directories).total();
            let exact = Exact {
                used,
                signs,
                took: began.elapsed(),
            };
            self.exact = Some((exact, Instant::now()));
            if used > limit && !self.out_of_memory {
                self.out_of_memory = true;
                let _ = kill_process(self.main, Signal::KILL);
            }
        }
        let used = self
            .exact
            .as_ref()
            .map_or(signs.quick, |(exact, _)| exact.estimate(signs));
        next_look(used, self.limit, took)
    }
}
