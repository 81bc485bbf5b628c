//! How fast a log becomes a run: `collect DIRECTORY [THREADS]`. One JSON object a log; its memory is what the process takes at most.

use std::io::Write;
use std::time::Instant;

use stoke_eventlog::{Options, Source};
use stoke_insight::facts::collect;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = Source::directory(arguments.next().unwrap_or_default());
    let options = match arguments.next() {
        Some(threads) => Options {
            threads: threads.parse()?,
        },
        None => Options::default(),
    };
    for log in source.logs()? {
        let begin = Instant::now();
        let run = collect::run(&source, &log, options)?;
        let tasks: usize = run.stages.values().map(|stage| stage.tasks.len()).sum();
        writeln!(
            std::io::stdout().lock(),
            "{{\"log\": {:?}, \"bytes\": {}, \"events\": {}, \"tasks\": {tasks}, \"seconds\": {:.3}}}",
            log.path,
            run.reading.bytes,
            run.reading.events,
            begin.elapsed().as_secs_f64(),
        )?;
    }
    Ok(())
}
