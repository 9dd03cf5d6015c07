//! A screen to test on: draws after every key, as the real one does, and remembers what was asked for.

use collab_core::lab::Lab;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::screen::request::{Request, refuse};
use crate::screen::ui::{Ui, View};
use crate::screen::{draw, input};
use crate::stage::{Extent, Playback, Recording, Shown};
use crate::theme::{Depth, Theme};

/// The screen, the operator's choices, and what came of them.
pub(super) struct Desk {
    pub(super) shown: Shown,
    pub(super) ui: Ui,
    pub(super) asked: Vec<Request>,
    theme: Theme,
    terminal: Terminal<TestBackend>,
}

impl Desk {
    /// A live lab that is recorded, on a screen of this size.
    pub(super) fn new(lab: &Lab, (width, height): (u16, u16)) -> Self {
        let recording = Recording { path: "upconv7.mcap".to_owned(), bytes: 812_345, failed: None };
        let shown = Shown { lab: lab.clone(), recording: Some(recording), playback: None };
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let theme = Theme::new(Depth::True);
        let mut desk = Self { shown, ui: Ui::new(View::Overview), asked: Vec::new(), theme, terminal };
        desk.draw();
        desk
    }

    /// The same lab in a replay, half an hour into the session.
    pub(super) fn replaying(lab: &Lab, size: (u16, u16)) -> Self {
        let mut desk = Self::new(lab, size);
        desk.shown.recording = None;
        desk.shown.playback = Some(Playback {
            path: "sessions/upconv7.mcap".to_owned(),
            position: lab.now,
            length: collab_core::time::Micros(lab.now.0 * 3 / 2),
            speed: 1.0,
            playing: true,
            following: false,
            extent: Extent::Recovered,
            bytes: 812_345,
            moments: vec![
                (collab_core::time::Micros(lab.now.0 / 4), '◆'),
                (collab_core::time::Micros(lab.now.0), '▲'),
            ],
        });
        desk.draw();
        desk
    }

    /// Without colours.
    pub(super) fn mono(mut self) -> Self {
        self.theme = Theme::new(Depth::Mono);
        self.draw();
        self
    }

    pub(super) fn draw(&mut self) {
        let Self { shown, ui, theme, terminal, .. } = self;
        terminal.draw(|frame| draw(frame, shown, ui, *theme)).unwrap();
    }

    fn take(&mut self, event: Event) {
        if let Some(request) = input::handle(&event, &mut self.ui, &self.shown) {
            match refuse(&request, &self.shown, self.ui.lab(&self.shown)) {
                Some(sentence) => self.ui.message = Some(sentence.to_owned()),
                None => self.asked.push(request),
            }
        }
        self.draw();
    }

    pub(super) fn press(&mut self, code: KeyCode) -> &mut Self {
        self.take(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        self
    }

    /// Types characters; `\n` is Enter.
    pub(super) fn type_text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            self.press(if character == '\n' { KeyCode::Enter } else { KeyCode::Char(character) });
        }
        self
    }

    pub(super) fn paste(&mut self, text: &str) -> &mut Self {
        self.take(Event::Paste(text.to_owned()));
        self
    }

    pub(super) fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> &mut Self {
        self.take(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
        self
    }

    pub(super) fn click(&mut self, column: u16, row: u16) -> &mut Self {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row)
    }

    /// What was asked for since last asked.
    pub(super) fn asked(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.asked)
    }

    /// Where the cursor is, column and row.
    pub(super) fn cursor(&self) -> (u16, u16) {
        let position = self.terminal.backend().cursor_position();
        (position.x, position.y)
    }

    pub(super) fn buffer(&self) -> &Buffer {
        self.terminal.backend().buffer()
    }

    /// The screen's characters, spaces at the ends of lines left out.
    pub(super) fn text(&self) -> String {
        let buffer = self.buffer();
        let rows = (0..buffer.area.height).map(|y| {
            let row: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
            row.trim_end().to_owned()
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    /// Where `text` begins on the screen.
    pub(super) fn find(&self, text: &str) -> (u16, u16) {
        let screen = self.text();
        let found = screen.lines().enumerate().find_map(|(y, line)| {
            let byte = line.find(text)?;
            Some((line[..byte].chars().count() as u16, y as u16))
        });
        found.unwrap_or_else(|| panic!("'{text}' is not on the screen:\n{screen}"))
    }
}
