//! The partitions of this session side by side: what the fourth view shows where nobody trains.

use collab_core::event::Proposal;
use collab_core::lab::Lab;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::widgets::bar;
use super::widgets::table::{self, Fitted};
use super::{Scene, text};

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let lab = scene.lab;
    let inner = Panel::new(theme, "Planning").draw(theme, area, buf);
    let sentences = text::wrap(&sentence(lab), usize::from(inner.width));
    let rest = panel::write(sentences.into_iter().map(Line::raw).chain([Line::default()]), inner, buf);
    let mut candidates: Vec<&Proposal> = lab.partitions.values().collect();
    candidates.sort_by(|a, b| time(lab, a).total_cmp(&time(lab, b)));
    if candidates.is_empty() {
        panel::write([Line::styled("No candidate yet.", theme.dim())], rest, buf);
        return;
    }
    let columns = [
        table::left("  candidate", 11, 0),
        table::left("by", 13, 1),
        table::right("predicted", 9, 0),
        table::right("measured", 8, 0),
        table::left("", 24, 3),
        table::left("", 8, 2),
        table::growing("partition", 12, 1),
    ];
    let fitted = Fitted::new(&columns, table::GAP, rest.width);
    fitted.head(rest, theme.dim(), buf);
    let slowest = candidates
        .iter()
        .map(|candidate| time(lab, candidate))
        .filter(|ms| ms.is_finite())
        .fold(0.0, f64::max);
    for (offset, candidate) in candidates.iter().take(usize::from(rest.height.saturating_sub(1))).enumerate()
    {
        let row = Rect { y: rest.y + 1 + offset as u16, height: 1, ..rest };
        fitted.row(&cells(scene, candidate, slowest, &fitted), row, buf);
    }
}

/// What it took: the running one since conditions changed, others when they ran last.
fn measured(lab: &Lab, candidate: &Proposal) -> Option<f64> {
    let is_running = lab.current == Some(candidate.partition);
    if is_running { lab.measured_ms(0.5) } else { lab.runs.quantile_ms(candidate.partition, 0.5) }
}

/// What it takes, measured if it was, else predicted.
fn time(lab: &Lab, candidate: &Proposal) -> f64 {
    measured(lab, candidate).or(candidate.predicted_ms).unwrap_or(f64::INFINITY)
}

fn cells(scene: &Scene, candidate: &Proposal, slowest: f64, fitted: &Fitted) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let lab = scene.lab;
    let (sign, state) = if lab.current == Some(candidate.partition) {
        ("●", "runs")
    } else if lab.proposal == Some(candidate.partition) {
        ("○", "offered")
    } else {
        (" ", "ran")
    };
    let measured = measured(lab, candidate);
    let number = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), text::ms);
    let length = time(lab, candidate) / slowest.max(1e-9);
    let drawn = bar::thin(if length.is_finite() { length } else { 0.0 }, 24, measured.is_none());
    let plan = text::shorten(&candidate.plan.to_string(), fitted.width(6).unwrap_or(0));
    vec![
        Line::from(vec![
            Span::raw(format!("{sign} ")),
            Span::styled(candidate.partition.to_string(), theme.strong()),
        ]),
        Line::raw(candidate.planner.clone()),
        Line::raw(number(candidate.predicted_ms)),
        Line::raw(number(measured)),
        Line::raw(drawn),
        Line::styled(state, theme.dim()),
        Line::styled(plan, theme.dim()),
    ]
}

/// What plans here, without claiming more.
fn sentence(lab: &Lab) -> String {
    let planner = match lab.session.planner.as_str() {
        "" => "No planner runs yet".to_owned(),
        name => format!("The planner '{name}' proposes"),
    };
    format!(
        "{planner}: it computes a partition from the speeds and links measured here, whenever they change. Nobody \
         trains, so there is no population to draw. The candidates of this session, fastest first:"
    )
}
