//! The help: every key, made from the keymap, and what the signs mean.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::ui::Hits;
use super::{Scene, WIDE, text};
use crate::keys::{KEYMAP, Scope};

/// Signs and their meanings.
const SIGNS: [(&str, &str); 9] = [
    ("█ ━ ●", "measured, acknowledged"),
    ("░ ┄ ○", "predicted, or asked for"),
    ("▒ ╌", "sending, measured and predicted"),
    ("·", "waiting for rows"),
    ("▲", "look here: a sentence says why"),
    ("≈", "emulated: slowed down on purpose"),
    ("✓ ✗", "output as one device's, or not"),
    ("A B C", "workers, from the uppermost rows down"),
    ("#37", "a partition's number"),
];

/// Draws the help over all of `area`.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let keys = key_lines(scene);
    let signs = sign_lines(scene);
    let title = "Keys";
    // Only one column can be scrolled.
    if area.width >= WIDE && signs.len() <= usize::from(area.height.saturating_sub(2)) {
        let [left, right] =
            area.layout(&Layout::horizontal([Constraint::Percentage(56), Constraint::Percentage(44)]));
        column(scene, title, &keys, left, buf, hits);
        let inner = Panel::new(scene.theme, "Signs and words").draw(scene.theme, right, buf);
        panel::write(signs, inner, buf);
        return;
    }
    let both: Vec<Line> = keys.into_iter().chain([Line::default()]).chain(signs).collect();
    column(scene, title, &both, area, buf, hits);
}

fn column(scene: &Scene, title: &str, lines: &[Line], area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let page = usize::from(area.height.saturating_sub(2));
    let more = lines.len() > page;
    let panel = Panel::new(scene.theme, title);
    let remark = if more { "↑↓ more   Esc closes" } else { "Esc closes" };
    let inner = panel.remark(Line::styled(remark, scene.theme.dim())).draw(scene.theme, area, buf);
    let first = scene.ui.help_line.min(lines.len().saturating_sub(page));
    panel::write(lines.iter().skip(first).cloned(), inner, buf);
    super::widgets::table::scrollbar(
        Rect { width: inner.width + 1, ..inner },
        first,
        lines.len(),
        page,
        scene.theme.dim(),
        buf,
    );
    (hits.rows, hits.page) = (lines.len(), page);
}

fn key_lines(scene: &Scene) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let mut lines = Vec::new();
    for scope in [Scope::Everywhere, scene.mode(), scene.mode().other()] {
        let valid = scope == Scope::Everywhere || scope == scene.mode();
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        let heading = if valid { scope.name().to_owned() } else { format!("{}, not now", scope.name()) };
        lines.push(Line::styled(heading, theme.dim()));
        for binding in KEYMAP.iter().filter(|it| it.scope == scope && !it.words.is_empty()) {
            let views: Vec<&str> = binding.views.iter().map(|view| view.name()).collect();
            let place = if views.is_empty() { String::new() } else { format!("  ({})", views.join(", ")) };
            let keys = format!("{:>10}", binding.keys());
            let (key, words) =
                if valid { (theme.accent(), theme.text()) } else { (theme.line(), theme.line()) };
            lines.push(Line::from(vec![
                Span::styled(keys, key),
                Span::raw("  "),
                Span::styled(binding.words, words),
                Span::styled(place, theme.dim()),
            ]));
        }
    }
    lines
}

fn sign_lines(scene: &Scene) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let mut lines: Vec<Line> = SIGNS
        .iter()
        .map(|(sign, words)| {
            let pad = " ".repeat(7usize.saturating_sub(text::width(sign)));
            Line::from(vec![Span::raw(format!("{pad}{sign}  ")), Span::styled(*words, theme.text())])
        })
        .collect();
    lines.push(Line::default());
    lines.push(Line::styled("after :", theme.dim()));
    for (word, after) in super::words::WORDS {
        lines.push(Line::from(vec![
            Span::styled(format!("  {word} "), theme.accent()),
            Span::styled(after, theme.dim()),
        ]));
    }
    lines.push(Line::from(vec![
        Span::styled("  4:47 ", theme.accent()),
        Span::styled("in a replay: that moment", theme.dim()),
    ]));
    lines
}
