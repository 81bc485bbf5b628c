//! How fast logs are read, and into how much memory: `replay DIRECTORY [THREADS] [read|replay]`. One JSON object a log.

use std::io::Write;
use std::time::Instant;

use stoke_eventlog::{Options, Report, Source, read_log};
use stoke_history::model::Limits;
use stoke_history::replay::replay;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = Source::directory(arguments.next().unwrap_or_default());
    let options = match arguments.next() {
        Some(threads) => Options {
            threads: threads.parse()?,
        },
        None => Options::default(),
    };
    let only_read = arguments.next().as_deref() == Some("read");
    for log in source.logs()? {
        let begin = Instant::now();
        let (report, kept) = match only_read {
            true => {
                let mut report = Report::default();
                read_log(&source, &log, (0, 0), options, &mut report, drop)?;
                (report, 0)
            }
            false => {
                let replayed = replay(&source, &log, Limits::default(), options)?;
                (replayed.report, replayed.application.into_view(0).memory())
            }
        };
        writeln!(
            std::io::stdout().lock(),
            "{{\"log\": {:?}, \"bytes\": {}, \"events\": {}, \"seconds\": {:.3}, \"kept\": {kept}}}",
            log.path,
            report.bytes,
            report.events,
            begin.elapsed().as_secs_f64(),
        )?;
    }
    Ok(())
}
