//! The fifth view: everything worth a sentence, and the commands with what they did.

use collab_core::command::Settled;
use collab_core::event::Level;
use collab_core::lab::{CommandState, Lab, LogLine, Progress};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::ui::{Hits, Target, Ui};
use super::widgets::table;
use super::{SOUGHT, Scene, text};

/// Cells before a line's words.
const BEFORE: usize = 13;
/// Rows of the commands' panel.
const COMMANDS: u16 = 9;

/// The lines the operator asked for, oldest first.
fn lines<'a>(ui: &Ui, lab: &'a Lab) -> Vec<&'a LogLine> {
    let wanted = ui.find_line.to_lowercase();
    let of_level = lab.log.iter().filter(|line| !ui.severe || line.level > Level::Info);
    of_level.filter(|line| wanted.is_empty() || line.text.to_lowercase().contains(&wanted)).collect()
}

/// The selected line.
pub(super) fn selected<'a>(ui: &Ui, lab: &'a Lab) -> Option<&'a LogLine> {
    let lines = lines(ui, lab);
    let last = lines.len().checked_sub(1)?;
    lines.get(ui.line.unwrap_or(last).min(last)).copied()
}

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let commands = match scene.lab.commands.len() {
        0 => 0,
        count => (count as u16 + 3).min(COMMANDS).min(area.height / 2),
    };
    let [top, bottom] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(commands)]));
    draw_lines(scene, top, buf, hits);
    if commands > 0 {
        draw_commands(scene, bottom, buf);
    }
}

fn draw_lines(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let theme = scene.theme;
    let ui = scene.ui;
    let lines = lines(ui, scene.lab);
    let mut remarks = Vec::new();
    if ui.severe {
        remarks.push("▲ only".to_owned());
    }
    if !ui.find_line.is_empty() {
        remarks.push(format!("'{}'", text::shorten(&ui.find_line, SOUGHT)));
    }
    remarks.push(format!(
        "{} of {} lines",
        text::thousands(lines.len() as u64),
        text::thousands(scene.lab.log.len() as u64)
    ));
    let panel = Panel::new(theme, "Log").remark(Line::styled(remarks.join("   "), theme.dim()));
    let inner = panel.draw(theme, area, buf);
    hits.rows = lines.len();
    if lines.is_empty() {
        panel::write([Line::styled("Nothing like that happened.", theme.dim())], inner, buf);
        return;
    }
    let last = lines.len() - 1;
    let selected = ui.line.unwrap_or(last).min(last);
    let inner = draw_whole(scene, lines[selected], area, inner, buf);
    let page = usize::from(inner.height);
    hits.page = page;
    let first = if ui.line.is_none() {
        lines.len().saturating_sub(page)
    } else {
        table::first_row(selected, lines.len(), page)
    };
    for (offset, line) in lines.iter().skip(first).take(page).enumerate() {
        let row = Rect { y: inner.y + offset as u16, height: 1, ..inner };
        let is_selected = first + offset == selected;
        let (sign, style) = match line.level {
            Level::Info => ("·", theme.dim()),
            Level::Warning => ("▲", theme.warning()),
            Level::Error => ("✗", theme.error()),
        };
        let time = format!("{:>7}", line.at.to_string());
        let time_style = if is_selected { theme.selected(theme.text()) } else { theme.dim() };
        let words = if line.level == Level::Info { theme.text() } else { style };
        let room = usize::from(inner.width) - BEFORE;
        let shown = Line::from(vec![
            Span::raw(if is_selected { "▸ " } else { "  " }),
            Span::styled(time, time_style),
            Span::styled(format!(" {sign} "), style),
            Span::styled(text::shorten(&line.text, room), words),
        ]);
        buf.set_line(row.x, row.y, &shown, row.width);
        hits.add(row, Target::Row(first + offset));
    }
    let track = Rect { width: inner.width + 1, ..inner };
    table::scrollbar(track, first, lines.len(), page, theme.dim(), buf);
}

/// The selected line in full at the lower end, if it is too long for a row; what is left above it.
fn draw_whole(scene: &Scene, line: &LogLine, area: Rect, inner: Rect, buf: &mut Buffer) -> Rect {
    let wide = usize::from(inner.width);
    if text::width(&line.text) + BEFORE <= wide {
        return inner;
    }
    let mut lines = text::wrap(&line.text, wide);
    let most = usize::from(inner.height / 3).max(1);
    if lines.len() > most {
        let rest = lines.split_off(most - 1).join(" ");
        lines.push(text::shorten(&rest, wide));
    }
    let rows = lines.len() as u16 + 1;
    let [rest, below] = inner.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(rows)]));
    let rule = format!("├{}┤", "─".repeat(usize::from(area.width) - 2));
    buf.set_string(area.x, below.y, rule, scene.theme.line());
    let below = Rect { y: below.y + 1, height: below.height - 1, ..below };
    panel::write(lines.into_iter().map(Line::raw), below, buf);
    rest
}

/// Commands, the latest first, with the latency predicted and the latency measured after them.
fn draw_commands(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let count = scene.lab.commands.len();
    let panel = Panel::new(theme, "Commands").remark(Line::styled(format!("{count} given"), theme.dim()));
    let inner = panel.draw(theme, area, buf);
    let columns = [
        table::right("time", 7, 0),
        table::left("", 1, 0),
        table::left("by", 8, 4),
        table::growing("command", 18, 0),
        table::growing("before → after", 14, 2),
        table::right("predicted", 9, 1),
        table::right("measured", 9, 1),
    ];
    let fitted = table::Fitted::new(&columns, table::GAP, inner.width);
    fitted.head(inner, theme.dim(), buf);
    for (offset, command) in scene.lab.commands.iter().rev().take(usize::from(inner.height) - 1).enumerate() {
        let row = Rect { y: inner.y + 1 + offset as u16, height: 1, ..inner };
        fitted.row(&command_cells(scene, command, &fitted), row, buf);
    }
}

fn command_cells(scene: &Scene, command: &CommandState, fitted: &table::Fitted) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let (sign, style) = match &command.progress {
        Progress::Pending => ("○", theme.text()),
        Progress::Settled(Settled::Done) => ("●", theme.good()),
        Progress::Settled(Settled::Refused(_)) => ("✗", theme.error()),
    };
    let change = match &command.progress {
        Progress::Settled(Settled::Refused(reason)) => reason.clone(),
        _ if command.before.is_empty() && command.after.is_empty() => String::new(),
        _ => format!("{} → {}", command.before, command.after),
    };
    let number =
        |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |ms| format!("{} ms", text::ms(ms)));
    let fit = |value: String, column: usize| text::shorten(&value, fitted.width(column).unwrap_or(0));
    vec![
        Line::styled(command.at.to_string(), theme.dim()),
        Line::styled(sign, style),
        Line::styled(fit(command.who.clone(), 2), theme.dim()),
        Line::raw(fit(command.verb.to_string(), 3)),
        Line::styled(fit(change, 4), theme.dim()),
        Line::styled(number(command.predicted_ms), theme.dim()),
        Line::raw(number(command.measured_ms)),
    ]
}
