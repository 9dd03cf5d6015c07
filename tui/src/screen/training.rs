//! The fourth view: how the population and the agent do by generation, who they are, and planners beside them.

use collab_core::event::{Opponent, Trained};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::widgets::bar;
use super::widgets::table::{self, Fitted};
use super::{Scene, candidates, learning_curve, text};

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let Some(last) = scene.lab.training.last.as_deref() else {
        candidates::draw(scene, area, buf);
        return;
    };
    if area.width >= super::WIDE {
        let [top, bottom] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]));
        let [left, right] = top.layout(&Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]));
        learning_curve::draw(scene, last, left, buf);
        draw_planners(scene, last, right, buf);
        draw_population(scene, last, bottom, buf);
    } else {
        let parts = [Constraint::Fill(5), Constraint::Length(8), Constraint::Fill(4)];
        let [top, middle, bottom] = area.layout(&Layout::vertical(parts));
        learning_curve::draw(scene, last, top, buf);
        draw_planners(scene, last, middle, buf);
        draw_population(scene, last, bottom, buf);
    }
}

/// Planners with their gap to the fastest partition known.
fn draw_planners(scene: &Scene, last: &Trained, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let best = last.best_known_ms.unwrap_or(last.best_ms);
    let panel = Panel::new(theme, "Planners").with("for the fleet as it is", theme.dim());
    let known = Line::styled(format!("best known ○ {} ms", text::ms(best)), theme.dim());
    let inner = panel.remark(known).draw(theme, area, buf);
    let columns = [
        table::left("planner", 13, 0),
        table::right("predicted", 9, 0),
        table::right("gap", 8, 0),
        table::right("evaluated", 9, 2),
        table::right("ms", 7, 1),
    ];
    let fitted = Fitted::new(&columns, 1, inner.width);
    fitted.head(inner, theme.dim(), buf);
    let asked = last.planners.iter();
    let mut rows: Vec<(String, f64, Option<&Opponent>)> =
        asked.map(|it| (it.planner.clone(), it.predicted_ms, Some(it))).collect();
    rows.push(("population".to_owned(), last.best_ms, None));
    rows.extend(last.agent_ms.map(|ms| ("agent alone".to_owned(), ms, None)));
    rows.extend(last.running_ms.map(|ms| ("● running".to_owned(), ms, None)));
    rows.sort_by(|a, b| a.1.total_cmp(&b.1));
    let room = usize::from(inner.height.saturating_sub(1));
    // The running partition is never what is left out.
    while rows.len() > room {
        let Some(slowest) = rows.iter().rposition(|row| row.2.is_some()).or(rows.len().checked_sub(1)) else {
            break;
        };
        rows.remove(slowest);
    }
    for (offset, (name, ms, effort)) in rows.into_iter().enumerate() {
        let row = Rect { y: inner.y + 1 + offset as u16, height: 1, ..inner };
        let style = if effort.is_some() { theme.text() } else { theme.strong() };
        let count = effort.map_or_else(String::new, |it| text::thousands(it.evaluations));
        let time = effort.map_or_else(String::new, |it| text::ms(it.plan_ms));
        let cells = [
            Line::styled(name, style),
            Line::raw(text::ms(ms)),
            Line::raw(format!("{:.1} %", 100.0 * (ms / best - 1.0).max(0.0))),
            Line::styled(count, theme.dim()),
            Line::styled(time, theme.dim()),
        ];
        fitted.row(&cells, row, buf);
    }
}

/// Who is in the population.
fn draw_population(scene: &Scene, last: &Trained, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let mut foot = Line::from(Span::styled("kept of made", theme.dim()));
    for success in &last.operators {
        foot.push_span(Span::styled(format!("   {} ", success.operator.name()), theme.dim()));
        foot.push_span(Span::raw(format!(
            "{} of {}",
            text::thousands(success.kept),
            text::thousands(success.made)
        )));
    }
    let pace =
        format!("{} partitions costed a second", text::thousands(last.evaluations_per_s.max(0.0) as u64));
    let panel = Panel::new(theme, "Population").remark(Line::styled(pace, theme.dim())).foot(foot);
    let inner = panel.draw(theme, area, buf);
    let columns = [
        table::right("", 2, 0),
        table::left("origin", 7, 0),
        table::right("age", 6, 0),
        table::right("predicted", 9, 0),
        table::left("", 16, 2),
        table::growing("plan for the fleet as it is", 20, 1),
    ];
    let fitted = Fitted::new(&columns, table::GAP, inner.width);
    fitted.head(inner, theme.dim(), buf);
    let slowest = last.population.iter().map(|member| member.predicted_ms).fold(0.0, f64::max);
    let room = usize::from(inner.height.saturating_sub(1));
    for (offset, member) in last.population.iter().take(room).enumerate() {
        let row = Rect { y: inner.y + 1 + offset as u16, height: 1, ..inner };
        let cells = [
            Line::styled((offset + 1).to_string(), theme.dim()),
            Line::raw(member.origin.name()),
            Line::raw(text::thousands(member.age)),
            Line::raw(text::ms(member.predicted_ms)),
            Line::raw(bar::thin(member.predicted_ms / slowest.max(1e-9), 16, true)),
            Line::styled(text::shorten(&member.plan, fitted.width(5).unwrap_or(0)), theme.dim()),
        ];
        fitted.row(&cells, row, buf);
    }
    if last.population.is_empty() {
        panel::write([Line::styled("No member has a plan.", theme.dim())], inner, buf);
    }
}
