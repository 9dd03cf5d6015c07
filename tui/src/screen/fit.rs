//! How well predictions hold: layers, blocks, transfers and whole runs, each predicted before it was measured.

use collab_core::lab::{Lab, Tally};
use collab_core::predict::Interval;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::layers::Row;
use super::panel::{self, Panel};
use super::widgets::table::{self, Fitted};
use super::{Scene, terms, text};

/// Rows of the panel where every kind has a row of its own.
pub(super) const TALL: u16 = 7;

/// One kind of prediction.
struct Kind<'a> {
    name: &'static str,
    tally: Tally,
    intervals: Vec<&'a Interval>,
}

fn kinds(lab: &Lab) -> [Kind<'_>; 4] {
    let accuracy = &lab.accuracy;
    // Only of workers that compute something: the others' intervals are of partitions long gone.
    let busy = || (0..lab.workers.len()).filter(|worker| lab.worker_mape(*worker).is_some());
    let workers = || busy().filter_map(|worker| accuracy.worker(worker));
    let kind = |name, tally, intervals| Kind { name, tally, intervals };
    [
        kind("layers", accuracy.layers(), workers().map(|worker| &worker.layers).collect()),
        kind("blocks", accuracy.blocks(), workers().map(|worker| &worker.blocks).collect()),
        kind("transfers", accuracy.transfers(), Vec::new()),
        kind("runs", accuracy.runs(), vec![accuracy.run_interval()]),
    ]
}

impl Kind<'_> {
    fn part(&self, count: u32) -> String {
        text::percent((self.tally.count > 0).then(|| f64::from(count) / f64::from(self.tally.count)))
    }

    fn mape(&self) -> String {
        self.tally.mape().map_or_else(|| "—".to_owned(), |error| format!("{:.1} %", error * 100.0))
    }

    /// In words: a sign would leave open which of both is meant to be larger.
    fn bias(&self) -> String {
        match self.tally.bias().map(|bias| (bias * 100.0, bias > 0.0)) {
            None => "—".to_owned(),
            Some((bias, _)) if bias.abs() < 0.05 => "none".to_owned(),
            Some((bias, too_high)) => {
                format!("{:.1} % too {}", bias.abs(), if too_high { "high" } else { "low" })
            }
        }
    }

    /// The intervals' half-widths, from the narrowest worker's to the widest's.
    fn half(&self) -> String {
        let halves = || self.intervals.iter().map(|interval| interval.half() * 100.0);
        let (least, most) = (halves().fold(f64::INFINITY, f64::min), halves().fold(0.0, f64::max));
        match (self.tally.count, format!("{least:.0}"), format!("{most:.0}")) {
            (0, ..) => String::new(),
            _ if self.intervals.is_empty() => String::new(),
            (_, least, most) if least == most => {
                format!("±{:.1} %", halves().sum::<f64>() / halves().count() as f64)
            }
            (_, least, most) => format!("±{least}–{most} %"),
        }
    }

    /// How many of late measurements were inside of their intervals, and of how many.
    fn held(&self) -> Option<(f64, usize)> {
        let told = self.intervals.iter().filter_map(|interval| interval.coverage());
        let (inside, all) =
            told.fold((0.0, 0), |(inside, all), (part, count)| (inside + part * count as f64, all + count));
        (all > 0).then(|| (inside / all as f64, all))
    }
}

/// Draws it: a row for each kind if `area` is as tall as [`TALL`], else what matters in the lines there are.
pub(super) fn draw(scene: &Scene, rows: &[Row], area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let kinds = kinds(scene.lab);
    let panel = Panel::new(theme, "Fit").with("predicted before each of the last 15 runs", theme.dim());
    let inner = panel
        .remark(Line::styled(profile(scene.lab), theme.dim()))
        .foot(unreliable(scene, rows))
        .draw(theme, area, buf);
    if kinds.iter().all(|kind| kind.tally.count == 0) {
        panel::write([Line::styled("Nothing to compare yet.", theme.dim())], inner, buf);
    } else if area.height >= TALL {
        draw_table(scene, &kinds, inner, buf);
    } else {
        let lines = text::flow(words(scene, &kinds), 3, usize::from(inner.width));
        panel::write(lines, inner, buf);
    }
}

/// As much of what matters as `room` cells hold, where there is none for a panel; nothing before there is anything to compare.
pub(super) fn in_a_line(scene: &Scene, room: usize) -> Line<'static> {
    let kinds = kinds(scene.lab);
    if kinds.iter().all(|kind| kind.tally.count == 0) {
        return Line::default();
    }
    text::flow(words(scene, &kinds), 3, room).into_iter().next().unwrap_or_default()
}

fn draw_table(scene: &Scene, kinds: &[Kind], area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let columns = [
        table::left("", 9, 0),
        table::right("compared", 8, 4),
        table::right("within ±5 %", 11, 1),
        table::right("±10 %", 6, 1),
        table::right("MAPE", 7, 0),
        table::right("bias", 16, 2),
        table::right("80 % interval", 13, 3),
        table::right("held", 16, 3),
    ];
    let fitted = Fitted::new(&columns, table::GAP, area.width);
    fitted.head(area, theme.dim(), buf);
    for (offset, kind) in kinds.iter().enumerate() {
        let row = Rect { y: area.y + 1 + offset as u16, height: 1, ..area };
        let held = kind.held().map_or_else(String::new, |(part, count)| {
            format!("{} of {}", text::percent(Some(part)), text::thousands(count as u64))
        });
        let cells = [
            Line::styled(kind.name, theme.dim()),
            Line::styled(text::thousands(u64::from(kind.tally.count)), theme.dim()),
            Line::raw(kind.part(kind.tally.within5)),
            Line::raw(kind.part(kind.tally.within10)),
            Line::styled(kind.mape(), theme.strong()),
            Line::raw(kind.bias()),
            Line::raw(kind.half()),
            Line::raw(held),
        ];
        fitted.row(&cells, row, buf);
    }
}

/// What matters, a part for each thing said.
fn words(scene: &Scene, kinds: &[Kind; 4]) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let part = |label: &'static str, value: String| {
        vec![Span::styled(label, theme.dim()), Span::raw(" "), Span::styled(value, theme.strong())]
    };
    let [layers, blocks, transfers, runs] = kinds;
    let mut parts = vec![
        part("layers ±5 %", layers.part(layers.tally.within5)),
        part("±10 %", layers.part(layers.tally.within10)),
        part("MAPE", layers.mape()),
        part("bias", layers.bias()),
    ];
    parts.extend(layers.held().map(|(held, _)| part("held", text::percent(Some(held)))));
    let others = [blocks, transfers, runs].into_iter().filter(|kind| kind.tally.count > 0);
    parts.extend(others.map(|kind| part(kind.name, kind.mape())));
    parts
}

/// What profiles were fitted on, and how well they predict layers left out of the fit.
fn profile(lab: &Lab) -> String {
    let Some(profile) = lab.workers.iter().find_map(|worker| worker.profile.as_ref()) else {
        return "no worker is calibrated: own times only".to_owned();
    };
    let held_out: Vec<f64> = lab.workers.iter().filter_map(|worker| worker.held_out).collect();
    let mean = held_out.iter().sum::<f64>() / held_out.len().max(1) as f64;
    let held_out =
        if held_out.is_empty() { String::new() } else { format!(", MAPE held out {:.1} %", mean * 100.0) };
    format!("{} terms of {} layers{held_out}", profile.coefficients.len(), profile.samples)
}

/// Kinds of this network's work that the profiles know from too few samples.
fn unreliable(scene: &Scene, rows: &[Row]) -> Line<'static> {
    let theme = scene.theme;
    let mut kinds: Vec<&str> =
        rows.iter().flat_map(|row| terms::unreliable(scene.lab, row)).map(|term| term.name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        return Line::default();
    }
    let sign = Span::styled("? ", theme.warning());
    Line::from(vec![sign, Span::styled(format!("too few samples of: {}", kinds.join(", ")), theme.dim())])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_head_says_which_interval_it_is() {
        assert_eq!(format!("{:.0} %", collab_core::predict::COVERAGE * 100.0), "80 %");
    }
}
