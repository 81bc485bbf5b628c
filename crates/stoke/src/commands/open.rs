//! `stoke open`: the pages of the embedded cluster.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::cli::Context;
use crate::commands::up::link_of;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke open`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only print the address
    #[arg(long)]
    print: bool,
}

/// Programs that open an address in the browser that the user likes.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// Runs the command: prints the address, and opens it where there is a program and a screen for it.
pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let address = link_of(&context.home.default_cluster());
    if address.is_empty() {
        return Err(Failure::environment(
            "stoke::open::not-up",
            "the embedded cluster is not up, and its pages not served",
        )
        .fix("`stoke up --detach` starts it; `stoke history serve --dir PLACE` serves other logs"));
    }
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({ "address": address })),
        Format::Text => context.terminal.out(&address),
    }
    let screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    if !arguments.print && (screen || cfg!(target_os = "macos")) {
        let opened = OPENERS.iter().any(|opener| {
            let mut command = Command::new(opener);
            command
                .arg(&address)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.spawn().is_ok()
        });
        if !opened {
            context
                .terminal
                .note("no program is here that opens addresses; open it yourself");
        }
    }
    Ok(0)
}
