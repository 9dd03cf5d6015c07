//! The frame every panel has: rounded, a title to the left, a remark to the right, both on the border.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Widget};

use crate::theme::Theme;

/// What stands on a panel's border.
#[derive(Clone, Debug, Default)]
pub(super) struct Panel<'a> {
    title: Line<'a>,
    remark: Line<'a>,
    foot: Line<'a>,
}

impl<'a> Panel<'a> {
    /// With a title, bold.
    pub(super) fn new(theme: Theme, title: impl Into<String>) -> Self {
        Self { title: Line::from(Span::styled(title.into(), theme.strong())), ..Self::default() }
    }

    /// Adds words to the title, in another style.
    pub(super) fn with(mut self, text: impl Into<String>, style: Style) -> Self {
        self.title.push_span(Span::styled(format!("   {}", text.into()), style));
        self
    }

    /// Sets the remark at the upper right.
    pub(super) fn remark(mut self, remark: impl Into<Line<'a>>) -> Self {
        self.remark = remark.into();
        self
    }

    /// Sets the remark at the lower left.
    pub(super) fn foot(mut self, foot: impl Into<Line<'a>>) -> Self {
        self.foot = foot.into();
        self
    }

    /// Draws the frame; returns what it surrounds, one column of air on both sides left out.
    pub(super) fn draw(self, theme: Theme, area: Rect, buf: &mut Buffer) -> Rect {
        if area.width < 5 || area.height < 2 {
            return Rect { width: 0, height: 0, ..area };
        }
        Block::bordered().border_type(BorderType::Rounded).border_style(theme.line()).render(area, buf);
        let room = area.width - 4;
        let bottom = area.bottom() - 1;
        let taken = put(&self.title, area.x + 2, area.y, room, buf);
        let wide = self.remark.width() as u16 + 2;
        if self.remark.width() > 0 && taken + wide < room {
            put(&self.remark, area.right() - 2 - wide, area.y, wide, buf);
        }
        put(&self.foot, area.x + 2, bottom, room, buf);
        Rect { x: area.x + 2, y: area.y + 1, width: area.width - 4, height: area.height - 2 }
    }
}

/// Writes ` line ` over a border; returns the cells taken.
fn put(line: &Line, x: u16, y: u16, room: u16, buf: &mut Buffer) -> u16 {
    if line.width() == 0 || room < 3 {
        return 0;
    }
    let wide = (line.width() as u16 + 2).min(room);
    buf.set_style(Rect { x, y, width: wide, height: 1 }, Style::reset());
    let (end, _) = buf.set_span(x, y, &Span::raw(" "), 1);
    let (end, _) = buf.set_line(end, y, line, room - 2);
    let (end, _) = buf.set_span(end, y, &Span::raw(" "), 1);
    end - x
}

/// Writes a line in the middle of `area`.
pub(super) fn centred(text: &str, style: Style, area: Rect, buf: &mut Buffer) {
    Line::styled(text, style).alignment(Alignment::Center).render(area, buf);
}

/// Writes `lines` from the top of `area`, as many as fit; returns what is left below them.
pub(super) fn write<'a>(lines: impl IntoIterator<Item = Line<'a>>, area: Rect, buf: &mut Buffer) -> Rect {
    let mut rest = area;
    for line in lines {
        if rest.height == 0 {
            break;
        }
        buf.set_line(rest.x, rest.y, &line, rest.width);
        rest = Rect { y: rest.y + 1, height: rest.height - 1, ..rest };
    }
    rest
}
