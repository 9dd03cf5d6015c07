//! The closing table of a report for people.

use std::fmt::Write as _;

use collab_core::event::{Answer, Verdict};
use collab_core::id::WorkerId;
use collab_core::lab::{Lab, WorkerState};

use super::{Summary, plain};
use crate::screen;

/// The closing table of a text report.
pub fn table(lab: &Lab, session: Option<&str>) -> String {
    let summary = Summary::of(lab, None);
    let mut text = String::new();
    let name = lab.network.as_ref().map_or("no network", |network| network.name.as_str());
    let plural = if lab.workers.len() == 1 { "worker" } else { "workers" };
    let _ = writeln!(text, "\n{name} on {} {plural}", lab.workers.len());
    for line in aligned(&fleet(lab)) {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(running) = lab.running() {
        let predicted = ms(running.predicted_ms);
        let _ = writeln!(text, "  partition {} by {}: {}", running.partition, running.planner, running.plan);
        let why = if running.reason.is_empty() { String::new() } else { format!(" ({})", running.reason) };
        let _ = writeln!(text, "  predicted {predicted} ms{why}");
    }
    let speedup = summary.speedup.map_or("–".to_owned(), |speedup| format!("×{speedup:.2}"));
    let _ = writeln!(
        text,
        "  {} runs, {} lost   p50 {} ms   p95 {} ms   best single {} ms   {speedup}   {}",
        summary.runs,
        summary.lost,
        ms(summary.p50_ms),
        ms(summary.p95_ms),
        ms(summary.best_single_ms),
        summary.verdict
    );
    match &lab.answer {
        Some(Answer::Classes(classes)) => {
            for class in classes {
                let _ = writeln!(text, "  {:>5.1} %  {} ({})", class.p * 100.0, class.label, class.class);
            }
        }
        Some(Answer::Picture { psnr_db: Some(psnr), bicubic_psnr_db }) => {
            let bicubic = bicubic_psnr_db.map_or("–".to_owned(), |psnr| format!("{psnr:.2}"));
            let _ = writeln!(text, "  PSNR {psnr:.2} dB, bicubic {bicubic} dB");
        }
        Some(Answer::Boxes(boxes)) => {
            for found in boxes {
                let _ = writeln!(
                    text,
                    "  {} at {:.2}, {:.2}, {:.2} wide, {:.2} high, {:.0} %",
                    found.label,
                    found.x,
                    found.y,
                    found.width,
                    found.height,
                    found.p * 100.0
                );
            }
        }
        _ => {}
    }
    if summary.runs > 0 && lab.verdict == Verdict::Unchecked {
        let _ = writeln!(text, "  the output was not compared with the single device's");
    }
    if let Some(session) = session {
        let _ = writeln!(text, "  session {session}\n  show it again: collab-tui replay {session}");
    }
    text
}

fn ms(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.1}"))
}

/// Cells of a worker's name that are told.
const NAME: usize = 40;

/// The head of the table, and a row for each worker.
fn fleet(lab: &Lab) -> Vec<[String; 5]> {
    let percent = |part: Option<f64>| part.map_or("–".to_owned(), |part| format!("{:.0} %", part * 100.0));
    let row = |(index, worker): (usize, &WorkerState)| {
        let name = format!("{} {}", WorkerId::at(index), plain(&worker.info.name));
        [
            screen::shorten(&name, NAME),
            ms(worker.single_ms),
            percent(lab.share(index)),
            percent(worker.mean_busy()),
            percent(worker.mean_wait()),
        ]
    };
    let head = ["worker", "alone ms", "rows", "busy", "wait"].map(str::to_owned);
    [head].into_iter().chain(lab.workers.iter().enumerate().map(row)).collect()
}

/// Rows as lines whose columns stand one under the other: the first to the left, numbers to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let wide = |column: usize| rows.iter().map(|row| screen::width(&row[column])).max().unwrap_or(0);
    let wide: [usize; N] = std::array::from_fn(wide);
    let line = |row: &[String; N]| {
        let cell = |(column, text): (usize, &String)| {
            let air = " ".repeat(wide[column] - screen::width(text));
            if column == 0 { screen::padded(text, wide[column]) } else { format!("{air}{text}") }
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("   ")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_one_under_the_other_whatever_devices_are_called() {
        let rows = [["worker", "alone ms"], ["A 网络", "9.5"], ["B e\u{301}tage-2-kitchen", "1200.0"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let lines = aligned(&rows);
        assert_eq!(lines[1], format!("A 网络{}9.5", " ".repeat(19)));
        assert!(lines.iter().all(|line| screen::width(line) == 28), "{lines:#?}");
    }
}
