//! What the operator has chosen to look at. Owns selection, filters, prompt and messages; knows no keys and
//! draws nothing.

use collab_core::id::WorkerId;
use collab_core::lab::Lab;
use ratatui::layout::{Position, Rect};

use super::words;
use crate::stage::Shown;

/// A page of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Workers, latency, proposal or answer.
    #[default]
    Overview,
    /// Predicted against measured, layer by layer.
    Layers,
    /// Who computes which rows, and when.
    Partition,
    /// The search for better partitions.
    Training,
    /// What happened.
    Log,
}

impl View {
    /// In the order of the tabs.
    pub const ALL: [View; 5] = [View::Overview, View::Layers, View::Partition, View::Training, View::Log];

    /// Its tab.
    pub fn name(self) -> &'static str {
        match self {
            View::Overview => "Overview",
            View::Layers => "Layers",
            View::Partition => "Partition",
            View::Training => "Training",
            View::Log => "Log",
        }
    }

    /// The view `by` tabs further, around the end.
    pub fn turned(self, by: i64) -> Self {
        let here = Self::ALL.iter().position(|view| *view == self).unwrap_or(0) as i64;
        Self::ALL[(here + by).rem_euclid(Self::ALL.len() as i64) as usize]
    }
}

/// The order of the layers' rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LayerSort {
    /// As they are computed.
    #[default]
    Layer,
    /// Slowest first.
    Time,
    /// Worst predicted first.
    Error,
    /// Worker by worker.
    Worker,
}

impl LayerSort {
    /// For the panel's title.
    pub(super) fn name(self) -> &'static str {
        match self {
            LayerSort::Layer => "by layer",
            LayerSort::Time => "by time",
            LayerSort::Error => "by error",
            LayerSort::Worker => "by worker",
        }
    }

    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            LayerSort::Layer => LayerSort::Time,
            LayerSort::Time => LayerSort::Error,
            LayerSort::Error => LayerSort::Worker,
            LayerSort::Worker => LayerSort::Layer,
        }
    }
}

/// What a line of input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A command in words.
    Command,
    /// A text that rows must hold.
    Find,
}

/// Bytes that a line of input may have: what is pasted by mistake must not hold up the screen.
const LONGEST: usize = 1 << 13;

/// A line of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// What for.
    pub(super) ask: Ask,
    /// What was typed.
    pub(super) text: String,
    /// Where the cursor is, in characters.
    pub(super) cursor: usize,
    /// How many characters at the end are only offered: typing replaces them.
    pub(super) offered: usize,
    /// Why the last Enter was not taken.
    pub(super) error: Option<String>,
}

impl Prompt {
    /// With `text` typed already.
    pub(super) fn new(ask: Ask, text: &str) -> Self {
        Self { ask, text: text.to_owned(), cursor: text.chars().count(), offered: 0, error: None }
    }

    /// With `text` typed already and its last word offered: typing replaces that word, anything else takes it.
    pub(super) fn offering(ask: Ask, text: &str) -> Self {
        let offered = text.rsplit(' ').next().map_or(0, |word| word.chars().count());
        Self { offered, ..Self::new(ask, text) }
    }

    fn byte(&self, at: usize) -> usize {
        self.text.char_indices().nth(at).map_or(self.text.len(), |(byte, _)| byte)
    }

    /// What stands before the cursor and what after it.
    pub(super) fn around_cursor(&self) -> (&str, &str) {
        self.text.split_at(self.byte(self.cursor))
    }

    /// Deletes what is only offered.
    fn decline(&mut self) {
        self.cursor -= std::mem::take(&mut self.offered);
        self.text.truncate(self.byte(self.cursor));
    }

    /// Types a character; nothing once the line is as long as any command can be.
    pub(super) fn insert(&mut self, character: char) {
        if self.offered > 0 {
            self.decline();
        }
        if self.text.len() >= LONGEST {
            return;
        }
        let byte = self.byte(self.cursor);
        self.text.insert(byte, character);
        self.cursor += 1;
        self.error = None;
    }

    /// Deletes the character before the cursor.
    pub(super) fn delete(&mut self) {
        self.error = None;
        if self.offered > 0 {
            self.decline();
        } else if self.cursor > 0 {
            self.cursor -= 1;
            let byte = self.byte(self.cursor);
            self.text.remove(byte);
        }
    }

    /// Deletes the character behind the cursor; what is only offered stands before it, and is taken.
    pub(super) fn delete_next(&mut self) {
        self.error = None;
        self.offered = 0;
        if self.cursor < self.text.chars().count() {
            let byte = self.byte(self.cursor);
            self.text.remove(byte);
        }
    }

    /// Deletes back to the start of the word before the cursor.
    pub(super) fn delete_word(&mut self) {
        let before: Vec<char> = self.text.chars().take(self.cursor).collect();
        let solid = before.iter().rposition(|character| *character != ' ').map_or(0, |at| at + 1);
        let start = before[..solid].iter().rposition(|character| *character == ' ').map_or(0, |at| at + 1);
        self.text.replace_range(self.byte(start)..self.byte(self.cursor), "");
        self.cursor = start;
        self.offered = 0;
        self.error = None;
    }

    /// Moves the cursor.
    pub(super) fn step(&mut self, by: i64) {
        self.offered = 0;
        self.cursor = self.cursor.saturating_add_signed(by as isize).min(self.text.chars().count());
    }

    /// Completes what is typed as a command.
    pub(super) fn complete(&mut self, lab: &Lab) {
        if let Some(text) = words::complete(&self.text, lab.workers.len()) {
            *self = Self::new(self.ask, &text);
        }
    }
}

/// What lies under a cell of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A tab.
    Tab(View),
    /// A worker's row.
    Worker(usize),
    /// A row of the view's list.
    Row(usize),
    /// The replay's bar.
    Bar,
}

/// Where things were drawn last, and how long the view's list is.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    areas: Vec<(Rect, Target)>,
    /// Rows of the view's list.
    pub(super) rows: usize,
    /// Rows of it that are seen at once.
    pub(super) page: usize,
}

impl Hits {
    /// Notes that `target` covers `area`.
    pub(super) fn add(&mut self, area: Rect, target: Target) {
        self.areas.push((area, target));
    }

    /// What lies at a cell, with the area it covers.
    pub(super) fn at(&self, column: u16, row: u16) -> Option<(Rect, Target)> {
        let position = Position::new(column, row);
        self.areas.iter().rev().find(|(area, _)| area.contains(position)).copied()
    }

    /// Where the replay's bar is.
    pub(super) fn bar(&self) -> Option<Rect> {
        self.areas.iter().find(|(_, target)| *target == Target::Bar).map(|(area, _)| *area)
    }
}

/// The operator's choices.
#[derive(Default)]
pub(super) struct Ui {
    /// The view shown.
    pub(super) view: View,
    /// The selected worker.
    pub(super) worker: usize,
    /// Whether its details are shown.
    pub(super) detail: bool,
    /// The selected row of the layers.
    pub(super) layer: usize,
    /// Their order.
    pub(super) sort: LayerSort,
    /// Whose layers are shown; all if `None`.
    pub(super) one_worker: Option<WorkerId>,
    /// The text that layers must hold.
    pub(super) find_layer: String,
    /// The selected line of the log; the latest if `None`.
    pub(super) line: Option<usize>,
    /// Whether only warnings and errors are shown.
    pub(super) severe: bool,
    /// The text that log lines must hold.
    pub(super) find_line: String,
    /// The line of input, if one is open.
    pub(super) prompt: Option<Prompt>,
    /// Whether the help is shown.
    pub(super) help: bool,
    /// How far the help is scrolled.
    pub(super) help_line: usize,
    /// A sentence for the operator, until the next key.
    pub(super) message: Option<String>,
    /// The lab as it was when the drawing was held.
    pub(super) held: Option<Box<Lab>>,
    /// Where things were drawn last.
    pub(super) hits: Hits,
    /// Whether the mouse drags along the replay's bar.
    pub(super) dragging: bool,
}

impl Ui {
    /// Starts in `view`.
    pub(super) fn new(view: View) -> Self {
        Self { view, ..Self::default() }
    }

    /// What is drawn: the lab, or the lab as it was when the drawing was held.
    pub(super) fn lab<'a>(&'a self, shown: &'a Shown) -> &'a Lab {
        self.held.as_deref().unwrap_or(&shown.lab)
    }

    /// The text that rows of the view must hold.
    pub(super) fn find(&mut self) -> Option<&mut String> {
        match self.view {
            View::Layers => Some(&mut self.find_layer),
            View::Log => Some(&mut self.find_line),
            _ => None,
        }
    }

    /// Moves the selection of the view by `by` rows.
    pub(super) fn select(&mut self, by: i64, lab: &Lab) {
        let step =
            |from: usize, count: usize| from.saturating_add_signed(by as isize).min(count.saturating_sub(1));
        match self.view {
            View::Layers => self.layer = step(self.layer.min(self.hits.rows), self.hits.rows),
            View::Log => {
                let last = self.hits.rows.saturating_sub(1);
                let line = step(self.line.unwrap_or(last), self.hits.rows);
                self.line = (line < last).then_some(line);
            }
            _ => self.worker = step(self.worker, lab.workers.len()),
        }
    }

    /// Closes the innermost thing that is open; clears the view's filters if nothing is.
    pub(super) fn leave(&mut self) {
        if self.help {
            self.help = false;
        } else if self.detail {
            self.detail = false;
        } else {
            match self.view {
                View::Layers => {
                    self.find_layer.clear();
                    self.one_worker = None;
                }
                View::Log => {
                    self.find_line.clear();
                    self.severe = false;
                    self.line = None;
                }
                _ => {}
            }
        }
    }
}
