//! Terminals, and those who type and listen.

use super::*;

pub fn commands_run_on_terminals() {
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

pub fn a_main_process_is_typed_to_and_listened_to() {
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

pub fn a_listener_who_does_not_listen_holds_nothing_up() {
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
