//! How fast logs are read, and into how much memory: `replay DIRECTORY [THREADS]`.

use std::time::Instant;

use stoke_eventlog::read::Input;
use stoke_eventlog::{Options, Report, Source, read};
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
    for log in source.logs()? {
        let begin = Instant::now();
        let mut report = Report::default();
        for part in &log.parts {
            let input = Input {
                name: &part.entry.path,
                offset: 0,
                text: source.text(part, 0)?,
            };
            read(input, options, &mut report, true, drop);
        }
        let alone = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let replayed = replay(&source, &log, Limits::default(), options)?;
        let all = begin.elapsed().as_secs_f64();
        let gigabytes = replayed.report.bytes as f64 / 1e9;
        let view = replayed.application.into_view(0);
        let mut out = std::io::stdout().lock();
        std::io::Write::write_fmt(
            &mut out,
            format_args!(
                "{}: {gigabytes:.3} GB, {} events; read {alone:.3} s ({:.2} GB/s), replayed {all:.3} s ({:.2} GB/s), {} MiB kept\n",
                log.path,
                report.events,
                gigabytes / alone,
                gigabytes / all,
                view.memory() >> 20
            ),
        )?;
    }
    Ok(())
}
