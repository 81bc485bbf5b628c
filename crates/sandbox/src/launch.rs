//! Starting sandboxes and holding on to them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::spec::{Exec, Exit, Input, Root, Spec, Usage};
use crate::warden::Orders;
use crate::wire::{Guest, Order, Report, receive, send};

/// Starts sandboxes from an executable that calls [`crate::main_if_sandboxed`] first in its `main`.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
}

impl Default for Launcher {
    /// The running executable itself.
    fn default() -> Launcher {
        Launcher {
            program: PathBuf::from("/proc/self/exe"),
        }
    }
}

/// Called with the end of a container, after the last byte of its log is written.
type OnExit = Box<dyn FnOnce(Exit) + Send>;
/// Called with the end of a further command, or why it did not start.
type OnExecEnd = Box<dyn FnOnce(Result<Exit, Error>) + Send>;

impl Launcher {
    /// A launcher that uses another executable, for programs whose `main` is not their own (test harnesses).
    pub fn with_program(program: impl Into<PathBuf>) -> Launcher {
        Launcher {
            program: program.into(),
        }
    }

    /// Starts a container and returns once its main process executes (a few milliseconds). Blocking.
    ///
    /// `on_exit` is called exactly once if and only if this returns `Ok`, on a thread of its own, when every process of the
    /// container is gone and its log is complete.
    ///
    /// # Errors
    /// Why the container could not start; then nothing of it is left.
    pub fn start(&self, spec: &Spec, on_exit: impl FnOnce(Exit) + Send + 'static) -> Result<Sandbox, Error> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| Error::start("socketpair", error))?;
        let mut command = Command::new(&self.program);
        command
            .args([crate::ARGUMENT, "warden"])
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in the terminal is for the process that runs the cluster, which then stops its containers in order.
            .process_group(0);
        let mut warden = spawn(command)?;
        let (gallery, input) = match begin(&ours, spec) {
            Ok(begun) => begun,
            Err(error) => {
                let _ = warden.kill();
                let _ = warden.wait();
                return Err(error);
            }
        };
        let process = warden.id();
        let reader = ours.try_clone().map_err(|error| Error::start("dup", error))?;
        let shared = Arc::new(Shared {
            socket: Mutex::new(ours),
            warden: Mutex::new(warden),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&shared);
        let on_exit: OnExit = Box::new(on_exit);
        std::thread::Builder::new()
            .name(format!("sandbox-{process}"))
            .stack_size(256 << 10)
            .spawn(move || watched.follow(&reader, on_exit))
            .map_err(|error| Error::start("start a thread", error))?;
        Ok(Sandbox {
            shared,
            gallery,
            input: Mutex::new(input),
            terminal: spec.input == Input::Terminal,
        })
    }

    /// Checks that this machine and user can run a container at all.
    ///
    /// # Errors
    /// What stands in the way and the command that lifts it.
    pub fn check(&self, log: PathBuf) -> Result<(), Error> {
        let spec = Spec {
            hostname: "check".to_owned(),
            user: 185,
            group: 185,
            command: vec!["/bin/true".to_owned()],
            environment: Vec::new(),
            working_directory: PathBuf::from("/"),
            root: Root::Memory { size: 1 << 20 },
            mounts: crate::host::system_mounts(),
            read_only_root: false,
            memory_limit: None,
            log,
            input: Input::Closed,
        };
        self.start(&spec, |_| {}).map(|sandbox| {
            sandbox.wait();
        })
    }
}

/// Sends the warden and the init what they need, and waits for the main process to execute. What comes back is the way to
/// the warden and the main process's input.
fn begin(socket: &UnixStream, spec: &Spec) -> Result<(UnixStream, Option<OwnedFd>), Error> {
    let (gallery, theirs) = UnixStream::pair().map_err(|error| Error::start("socketpair", error))?;
    let orders = Orders {
        parent: std::process::id(),
        log: spec.log.clone(),
        terminal: spec.input == Input::Terminal,
    };
    let (reader, writer) = match spec.input {
        Input::Pipe => std::io::pipe()
            .map(|(reader, writer)| (Some(reader), Some(OwnedFd::from(writer))))
            .map_err(|error| Error::start("pipe", error))?,
        Input::Closed | Input::Terminal => (None, None),
    };
    let input: Vec<BorrowedFd<'_>> = reader.iter().map(AsFd::as_fd).collect();
    let sent = send(socket.as_fd(), &orders, &[theirs.as_fd()]).and_then(|()| send(socket.as_fd(), spec, &input));
    // When sending fails because the other side gave up, its report says why.
    match (receive::<Report>(socket.as_fd()), sent) {
        (Ok(Some((Report::Started, files))), Ok(())) => {
            let terminal = files.into_iter().next();
            if let Some(terminal) = &terminal {
                send(gallery.as_fd(), &Guest::Terminal, &[terminal.as_fd()])
                    .map_err(|error| Error::start("hand over the terminal", error))?;
            }
            Ok((gallery, writer.or(terminal)))
        }
        (Ok(Some((Report::Failed(error), _))), _) => Err(error),
        (_, Err(error)) | (Err(error), _) => Err(Error::start("start the sandbox", error)),
        (Ok(_), Ok(())) => Err(Error::Start {
            step: "start the sandbox".to_owned(),
            cause: "its process ended without a word (killed, or the executable does not call main_if_sandboxed)"
                .to_owned(),
        }),
    }
}

/// Spawns from a thread that lives as long as this process, because the parent-death signal of a child fires when the
/// *thread* that made it ends.
fn spawn(command: Command) -> Result<Child, Error> {
    type Job = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = channel();
    let stopped = || Error::start("start a process", std::io::Error::other("the spawner thread is gone"));
    lock(spawner).send((command, reply)).map_err(|_| stopped())?;
    answer
        .recv()
        .map_err(|_| stopped())?
        .map_err(|error| Error::start("start a process", error))
}

/// A running container. Dropping the last handle kills it.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    gallery: UnixStream,
    input: Mutex<Option<OwnedFd>>,
    terminal: bool,
}

/// A further command running in a container.
#[derive(Debug, Clone)]
pub struct ExecHandle {
    id: u64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: Mutex<UnixStream>,
    warden: Mutex<Child>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    exit: Option<Exit>,
    next: u64,
    commands: HashMap<u64, OnExecEnd>,
    usages: HashMap<u64, Sender<Usage>>,
    terminals: HashMap<u64, Sender<Result<OwnedFd, Error>>>,
    listeners: HashMap<u64, Sender<Vec<SocketAddr>>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Sends a signal (its number) to the main process only. A container that has ended takes it silently.
    ///
    /// # Errors
    /// [`Error::Gone`] when the container can no longer be reached.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        self.shared.order(&Order::Signal(signal), &[])
    }

    /// Kills the container: the main process gets SIGKILL, and with it everything ends.
    pub fn kill(&self) {
        if self.signal(9).is_err() {
            self.destroy();
        }
    }

    /// Kills the container from outside, even if its init does not answer. The end of its log may be lost.
    pub fn destroy(&self) {
        let mut warden = lock(&self.shared.warden);
        if lock(&self.shared.state).exit.is_none() {
            let _ = warden.kill();
        }
    }

    /// Waits for the end. Blocking.
    pub fn wait(&self) -> Exit {
        let mut state = lock(&self.shared.state);
        loop {
            match state.exit {
                Some(exit) => return exit,
                None => state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<Exit> {
        lock(&self.shared.state).exit
    }

    /// Runs a further command inside with the given standard input, output and error. `on_end` is called once, on another
    /// thread, when it ends, cannot start, or the container ends.
    ///
    /// # Errors
    /// [`Error::Gone`] when the container has ended; then `on_end` is not called.
    pub fn exec(
        &self,
        exec: Exec,
        files: [OwnedFd; 3],
        on_end: impl FnOnce(Result<Exit, Error>) + Send + 'static,
    ) -> Result<ExecHandle, Error> {
        let id = self.shared.register(|state, id| {
            state.commands.insert(id, Box::new(on_end));
        })?;
        let borrowed: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        let terminal = false;
        match self.shared.order(&Order::Exec { id, exec, terminal }, &borrowed) {
            Ok(()) => Ok(ExecHandle {
                id,
                shared: Arc::clone(&self.shared),
            }),
            Err(error) => {
                lock(&self.shared.state).commands.remove(&id);
                Err(error)
            }
        }
    }

    /// Runs a further command on a terminal of its own, which is returned: reading it gives what the command shows, writing
    /// it is typing. `on_end` as in [`Sandbox::exec`]. Blocking, a few milliseconds.
    ///
    /// # Errors
    /// Why the command did not start; then `on_end` is not called.
    pub fn exec_on_terminal(
        &self,
        exec: Exec,
        on_end: impl FnOnce(Result<Exit, Error>) + Send + 'static,
    ) -> Result<(ExecHandle, OwnedFd), Error> {
        let (sender, answer) = channel();
        let id = self.shared.register(|state, id| {
            state.commands.insert(id, Box::new(on_end));
            state.terminals.insert(id, sender);
        })?;
        let terminal = true;
        let started = match self.shared.order(&Order::Exec { id, exec, terminal }, &[]) {
            Ok(()) => answer.recv().unwrap_or(Err(Error::Gone)),
            Err(error) => Err(error),
        };
        match started {
            Ok(terminal) => {
                let shared = Arc::clone(&self.shared);
                Ok((ExecHandle { id, shared }, terminal))
            }
            Err(error) => {
                let mut state = lock(&self.shared.state);
                state.commands.remove(&id);
                state.terminals.remove(&id);
                Err(error)
            }
        }
    }

    /// Copies what the main process writes from now on to these files: standard output, standard error. A file that takes
    /// nothing for so long that a mebibyte waits is given up. The files are closed when the container has ended.
    ///
    /// # Errors
    /// [`Error::Gone`] when the container has ended.
    pub fn attach(&self, out: Option<OwnedFd>, err: Option<OwnedFd>) -> Result<(), Error> {
        let guest = Guest::Listener {
            out: out.is_some(),
            err: err.is_some(),
        };
        let files: Vec<BorrowedFd<'_>> = out.iter().chain(&err).map(AsFd::as_fd).collect();
        // The lock keeps two messages from being interleaved.
        let _turn = lock(&self.input);
        send(self.gallery.as_fd(), &guest, &files).map_err(|_| Error::Gone)
    }

    /// A copy of the main process's input: the pipe, or its terminal. None when it has none, or it was closed.
    pub fn input(&self) -> Option<OwnedFd> {
        lock(&self.input).as_ref().and_then(|input| input.try_clone().ok())
    }

    /// Ends the main process's input, once the copies given out are closed too. A terminal stays.
    pub fn close_input(&self) {
        if !self.terminal {
            lock(&self.input).take();
        }
    }

    /// Whether the main process runs on a terminal.
    pub fn has_terminal(&self) -> bool {
        self.terminal
    }

    /// The addresses at which processes of the container listen on a TCP port. Blocking, a millisecond.
    ///
    /// # Errors
    /// [`Error::Gone`] when the container has ended or does not answer within ten seconds.
    pub fn listeners(&self, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let (sender, answer) = channel();
        let id = self.shared.register(|state, id| {
            state.listeners.insert(id, sender);
        })?;
        self.shared.order(&Order::Listeners { id, port }, &[])?;
        answer.recv_timeout(Duration::from_secs(10)).map_err(|_| Error::Gone)
    }

    /// The memory in use now. Blocking, a millisecond.
    ///
    /// # Errors
    /// [`Error::Gone`] when the container has ended or does not answer within two seconds.
    pub fn usage(&self) -> Result<Usage, Error> {
        let (sender, answer) = channel();
        let id = self.shared.register(|state, id| {
            state.usages.insert(id, sender);
        })?;
        self.shared.order(&Order::Usage { id }, &[])?;
        answer.recv_timeout(Duration::from_secs(2)).map_err(|_| Error::Gone)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
    }
}

impl ExecHandle {
    /// Sends a signal (its number) to the command.
    ///
    /// # Errors
    /// [`Error::Gone`] when the container has ended.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        self.shared.order(&Order::SignalExec { id: self.id, signal }, &[])
    }
}

impl Shared {
    fn order(&self, order: &Order, files: &[BorrowedFd<'_>]) -> Result<(), Error> {
        send(lock(&self.socket).as_fd(), order, files).map_err(|_| Error::Gone)
    }

    fn register(&self, insert: impl FnOnce(&mut State, u64)) -> Result<u64, Error> {
        let mut state = lock(&self.state);
        if state.exit.is_some() {
            return Err(Error::Gone);
        }
        state.next += 1;
        let id = state.next;
        insert(&mut state, id);
        Ok(id)
    }

    /// Reads reports until the sandbox is gone, then tells everyone who waits.
    fn follow(&self, reader: &UnixStream, on_exit: OnExit) {
        let mut exit = None;
        while let Ok(Some((report, files))) = receive::<Report>(reader.as_fd()) {
            match report {
                Report::Exited(ended) => exit = Some(ended),
                Report::ExecEnded { id, result } => {
                    let (waiting, terminal) = {
                        let mut state = lock(&self.state);
                        (state.commands.remove(&id), state.terminals.remove(&id))
                    };
                    match (terminal, waiting, result) {
                        (Some(terminal), _, Err(error)) => drop(terminal.send(Err(error))),
                        (_, Some(on_end), result) => on_end(result),
                        _ => {}
                    }
                }
                Report::ExecTerminal { id } => {
                    let waiting = lock(&self.state).terminals.remove(&id);
                    if let (Some(waiting), Some(terminal)) = (waiting, files.into_iter().next()) {
                        let _ = waiting.send(Ok(terminal));
                    }
                }
                Report::Listeners { id, addresses } => {
                    if let Some(sender) = lock(&self.state).listeners.remove(&id) {
                        let _ = sender.send(addresses);
                    }
                }
                Report::Usage { id, usage } => {
                    if let Some(sender) = lock(&self.state).usages.remove(&id) {
                        let _ = sender.send(usage);
                    }
                }
                Report::Started | Report::Failed(_) => {}
            }
        }
        // The warden ends when the last writer of the log is gone. The lock is taken only once it can be reaped at once,
        // so that `destroy` is never kept waiting.
        self.await_warden();
        let exit = exit.unwrap_or_else(Exit::vanished);
        let waiting = {
            let mut state = lock(&self.state);
            state.exit = Some(exit);
            state.usages.clear();
            state.terminals.clear();
            state.listeners.clear();
            std::mem::take(&mut state.commands)
        };
        self.changed.notify_all();
        for on_end in waiting.into_values() {
            on_end(Err(Error::Gone));
        }
        on_exit(exit);
    }

    fn await_warden(&self) {
        let process = lock(&self.warden).id();
        let pid = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            use rustix::process::{WaitId, WaitIdOptions, waitid};
            let ended = || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            while matches!(ended(), Err(rustix::io::Errno::INTR)) {}
        }
        let _ = lock(&self.warden).wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
