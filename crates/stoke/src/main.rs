//! The `stoke` binary: parses the command line, calls a room, renders what comes back. No logic of its own.
//!
//! The same file is re-executed inside pods: `__sandbox` sets a container up, `__entrypoint` is the image's entrypoint.

mod cli;
mod codes;
mod commands;
mod failure;
mod fetch;
mod input;
mod report_file;
mod run_source;
mod shown;
mod summary;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    stoke_sandbox::main_if_sandboxed();
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == "__entrypoint") {
        return stoke_runtime::entrypoint::main(arguments.collect());
    }
    cli::run()
}
