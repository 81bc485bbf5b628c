//! The `stoke` binary: parses the command line, calls a room, renders what comes back. No logic of its own.
//!
//! The same file is re-executed inside pods: `__sandbox` sets a container up, `__entrypoint` is the image's entrypoint.

mod cli;
mod codes;
mod commands;
mod failure;
mod input;
mod report_file;
mod run_source;
mod shown;
mod summary;
mod terminal;

use std::process::ExitCode;

/// musl's own allocator has one lock for all threads: what allocates much took four times as long.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    stoke_sandbox::main_if_sandboxed();
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == "__entrypoint") {
        return stoke_runtime::entrypoint::main(arguments.collect());
    }
    cli::run()
}
