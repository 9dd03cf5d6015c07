//! Snapshots of every view at both sizes, and laws that hold for all of them.

use collab_core::command::{Settled, Verb};
use collab_core::event::{Answer, Host, Level, Proposal, What, WorkerInfo};
use collab_core::id::{RunId, WorkerId};
use crossterm::event::KeyCode;
use ratatui::style::{Color, Modifier};

use super::desk::Desk;
use super::networks;
use super::story::{self, Story};

const LARGE: (u16, u16) = (120, 35);
const SMALL: (u16, u16) = (80, 24);

fn snapshot(name: &str, desk: &Desk) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, desk.text());
    });
}

#[test]
fn every_view_at_both_sizes() {
    let mut story = story::demo();
    story.propose("0-2:90,52,0/3-6:100,42,0");
    for (size, word) in [(LARGE, "large"), (SMALL, "small")] {
        for (key, view) in ('1'..='5').zip(["overview", "layers", "partition", "training", "log"]) {
            let mut desk = Desk::new(&story.lab, size);
            desk.press(KeyCode::Char(key));
            snapshot(&format!("{view}-{word}"), &desk);
        }
    }
}

#[test]
fn an_enlarged_picture_stands_beside_its_original() {
    let story = story::demo();
    snapshot("picture-large", &Desk::new(&story.lab, LARGE));
    snapshot("picture-small", &Desk::new(&story.lab, SMALL));
}

#[test]
fn classes_have_bars_and_every_layer_an_error() {
    let story = story::classes();
    snapshot("classes-large", &Desk::new(&story.lab, LARGE));
    snapshot("classes-small", &Desk::new(&story.lab, SMALL));
    let mut desk = Desk::new(&story.lab, LARGE);
    desk.press(KeyCode::Char('2'));
    snapshot("classes-layers", &desk);
    desk.press(KeyCode::Char('3'));
    snapshot("classes-partition", &desk);
}

#[test]
fn a_machine_too_busy_to_emulate_its_devices_says_so() {
    let mut story = story::demo();
    let told = |story: &Story| Desk::new(&story.lab, LARGE).text().contains("this machine is too busy");
    assert!(!told(&story));
    let mut status = story.lab.workers[1].status.clone().expect("it reported");
    status.delayed_percent = 32.4;
    story.tell(What::WorkerStatus(status));
    assert!(told(&story));
    // In full also on a small screen.
    assert!(Desk::new(&story.lab, SMALL).text().contains("computing takes 32 % longer than emulated."));
}

#[test]
fn under_the_running_partition_stands_what_it_saves_how_busy_it_keeps_workers_and_who_is_done_last() {
    let mut desk = Desk::new(&story::classes().lab, LARGE);
    desk.press(KeyCode::Char('3'));
    let text = desk.text();
    let line = text.lines().find(|line| line.contains("over A alone")).unwrap_or_default();
    for part in ["×", "computing A ", " % of the run", " is done last", "exchanged "] {
        assert!(line.contains(part), "{part} is not in '{line}':\n{text}");
    }
}

#[test]
fn a_lost_worker_says_why_in_its_own_row() {
    let desk = Desk::new(&story::lost().lab, LARGE).mono();
    snapshot("lost-mono", &desk);
    assert!(desk.text().contains("✗  lost: no heartbeat for 1 s"));
    assert!(desk.text().contains("▲ 2/3 workers"));
}

#[test]
fn the_start_shows_what_is_being_waited_for() {
    let mut story = Story::new();
    snapshot("starting-nothing", &Desk::new(&story.lab, SMALL));
    story.connect(networks::enlarging(), 3);
    story.tell(What::WorkerReady { worker: WorkerId(0) });
    story.tell(What::WorkerLoading { worker: WorkerId(1), done: 1_300_000, total: 2_200_000 });
    snapshot("starting-loading", &Desk::new(&story.lab, LARGE));
}

#[test]
fn the_start_waits_for_nobody_who_is_lost_and_shows_the_one_that_has_least() {
    let mut story = Story::new();
    story.connect(networks::enlarging(), 3);
    story.tell(What::WorkerLost { worker: WorkerId(0), reason: "nobody listens".to_owned() });
    for (worker, done) in [(1, 2_200_000), (2, 1_300_000)] {
        story.tell(What::WorkerLoading { worker: WorkerId(worker), done, total: 2_200_000 });
    }
    let shown = Desk::new(&story.lab, LARGE).text();
    assert!(shown.contains("C has 1.2 MiB of 2.1 MiB"), "{shown}");
    for worker in [1, 2] {
        story.tell(What::WorkerReady { worker: WorkerId(worker) });
    }
    let shown = Desk::new(&story.lab, LARGE).text();
    assert!(shown.contains("● send them the network 2 of 2"), "{shown}");
}

#[test]
fn while_workers_are_measured_the_start_goes_on_and_nothing_can_be_accepted() {
    let mut story = Story::new();
    story.connect(networks::enlarging(), 3).ready();
    let planned = story.propose("equal");
    let offered = story.lab.partitions[&planned].clone();
    let (planner, reason) = (Proposal::ALONE.to_owned(), "measuring A alone".to_owned());
    story.tell(What::PartitionProposed(Proposal { planner, reason, ..offered }));
    for size in [SMALL, LARGE] {
        let mut measuring = story.clone();
        let waits = Desk::new(&measuring.lab, size).text();
        assert!(waits.contains("○ run what is planned") && !waits.contains("accept"), "{waits}");
        measuring.tell(What::PartitionSwitched { partition: planned, run: RunId(1) }).run(2);
        let runs = Desk::new(&measuring.lab, size).text();
        assert!(runs.contains("○ run what is planned") && !runs.contains("accept"), "{runs}");
        measuring.switch("equal").run(1);
        let planned = Desk::new(&measuring.lab, size).text();
        assert!(!planned.contains("Starting"), "{planned}");
    }
}

#[test]
fn what_is_too_long_for_its_line_says_so() {
    let mut story = Story::new();
    story.connect(networks::enlarging(), 2).ready().switch("equal").run(5);
    let reason = "nobody listens at 192.168.178.42:4100: start the worker there with worker --listen";
    story.tell(What::WorkerLost { worker: WorkerId(0), reason: format!("{reason} 192.168.178.42:4100") });
    let desk = Desk::new(&story.lab, SMALL);
    let shown = desk.text();
    let row = shown.lines().find(|line| line.contains("✗  lost: nobody listens")).expect("its row");
    assert!(row.ends_with("… │"), "{shown}");
    story.tell(What::Noted { level: Level::Warning, text: "word ".repeat(400) });
    let mut desk = Desk::new(&story.lab, SMALL);
    desk.press(KeyCode::Char('5'));
    let shown = desk.text();
    let whole = shown.split("├──").nth(1).expect("the line in full, as far as there is room");
    assert!(whole.lines().any(|line| line.ends_with("… │")), "{shown}");
}

#[test]
fn of_a_device_that_never_answered_nothing_is_claimed() {
    let mut story = Story::new();
    story.connect(networks::enlarging(), 2);
    let unmet = WorkerInfo { host: Host::default(), ..story.lab.workers[0].info.clone() };
    story.tell(What::WorkerJoined(unmet));
    story.tell(What::WorkerLost { worker: WorkerId(0), reason: "nobody listens".to_owned() });
    let mut desk = Desk::new(&story.lab, LARGE);
    desk.press(KeyCode::Enter);
    let shown = desk.text();
    assert!(shown.contains("✗ lost: nobody listens") && !shown.contains("0 cores"), "{shown}");
}

#[test]
fn one_worker_and_eight_workers_fit() {
    let mut one = Story::new();
    one.connect(networks::enlarging(), 1).ready().switch("best-single").run(20);
    one.answer(Answer::Values { count: 121_104, min: -0.1, max: 1.02 });
    snapshot("one-worker", &Desk::new(&one.lab, SMALL));
    let mut eight = Story::new();
    eight.connect(networks::enlarging(), 8).ready().switch("proportional").run(40);
    snapshot("eight-workers", &Desk::new(&eight.lab, SMALL));
}

#[test]
fn a_replay_has_its_bar_and_greys_what_cannot_be_done() {
    let mut desk = Desk::replaying(&story::demo().lab, LARGE);
    snapshot("replay", &desk);
    desk.press(KeyCode::Char('?'));
    assert!(desk.text().contains("recovered"), "the bar stays under the help");
    desk.press(KeyCode::End);
    assert!(desk.text().contains("live, not now"));
}

#[test]
fn the_help_lists_the_keymap() {
    let mut desk = Desk::new(&story::demo().lab, LARGE);
    desk.press(KeyCode::Char('?'));
    snapshot("help-large", &desk);
    let mut desk = Desk::new(&story::demo().lab, SMALL);
    desk.press(KeyCode::F(1)).press(KeyCode::End);
    snapshot("help-small-end", &desk);
    let mut desk = Desk::new(&story::demo().lab, (120, 24));
    desk.press(KeyCode::F(1)).press(KeyCode::End);
    assert!(desk.text().contains("in a replay: that moment"), "a wide screen may be flat:\n{}", desk.text());
}

#[test]
fn a_workers_details_take_the_right_panel() {
    let mut desk = Desk::new(&story::demo().lab, LARGE);
    desk.press(KeyCode::Down).press(KeyCode::Enter);
    snapshot("details", &desk);
    desk.press(KeyCode::Esc);
    assert!(desk.text().contains("─ Answer"));
}

#[test]
fn a_recording_that_failed_is_told_with_its_reason() {
    let mut desk = Desk::new(&story::demo().lab, SMALL);
    desk.shown.recording.as_mut().unwrap().failed = Some("no space left on device".to_owned());
    desk.draw();
    assert!(desk.text().contains("▲ not recorded"));
    assert!(desk.text().contains("▲ the session is no longer recorded: no space left on device"));
}

#[test]
fn a_line_of_the_log_that_is_too_long_is_told_in_full_below() {
    let mut story = story::demo();
    let text = format!("partition #9 proposed by erl: {} and that is all", "0-8:A/9-10:B/".repeat(8));
    story.tell(What::Noted { level: Level::Info, text });
    let mut desk = Desk::new(&story.lab, SMALL);
    desk.press(KeyCode::Char('5'));
    assert!(desk.text().contains("and that is all"), "{}", desk.text());
    desk.press(KeyCode::Up);
    assert!(!desk.text().contains("and that is all"), "{}", desk.text());
}

#[test]
fn a_command_is_hollow_until_its_worker_acknowledged_it() {
    let mut story = story::demo();
    let verb = Verb::Throttle { worker: WorkerId(0), percent: 40.0 };
    let command = story.command(verb, "100 %", "40 %");
    let row = |desk: &Desk| desk.text().lines().find(|line| line.contains("pi5-kitchen")).unwrap().to_owned();
    let pending = row(&Desk::new(&story.lab, LARGE));
    assert!(pending.contains("▇▇▇▇░░░░░░○  40 %"), "{pending}");
    story.settle(command, Settled::Done);
    let settled = row(&Desk::new(&story.lab, LARGE));
    assert!(settled.contains("▇▇▇▇······   40 %"), "{settled}");
}

#[test]
fn without_colours_nothing_is_coloured_and_the_selection_is_still_reversed() {
    let mut story = story::demo();
    story.propose("0-2:90,52,0/3-6:100,42,0");
    for key in '1'..='5' {
        let mut desk = Desk::new(&story.lab, LARGE).mono();
        desk.press(KeyCode::Char(key)).press(KeyCode::Up);
        let cells = desk.buffer().content();
        assert!(cells.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "view {key}");
        let is_list = matches!(key, '1' | '2' | '3' | '5');
        let reversed = cells.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED));
        assert_eq!(reversed, is_list, "view {key}");
    }
}

#[test]
fn a_screen_too_small_says_so_in_one_line() {
    let desk = Desk::new(&story::demo().lab, (60, 10));
    let text = desk.text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("collab needs 80×24 cells, this screen has 60×10"));
    let narrow = Desk::new(&story::demo().lab, (40, 12)).text();
    assert!(narrow.contains("needs 80×24, has 40×12"), "{narrow}");
}

#[test]
fn nothing_panics_at_any_size() {
    let stories = [Story::new(), story::demo(), story::classes(), story::lost()];
    for story in &stories {
        for size in
            [(1, 1), (2, 200), (79, 24), (80, 24), (81, 25), (99, 40), (100, 24), (300, 24), (120, 100)]
        {
            for desk in [Desk::new(&story.lab, size), Desk::replaying(&story.lab, size).mono()] {
                let mut desk = desk;
                desk.type_text("12345?");
                desk.press(KeyCode::Esc).type_text("1\n2/x");
            }
        }
    }
}

#[test]
fn a_lab_in_which_nothing_ran_for_a_minute_says_so_where_latencies_were() {
    let mut story = story::demo();
    story.wait(100.0);
    for size in [LARGE, SMALL] {
        let desk = Desk::new(&story.lab, size);
        assert!(desk.text().contains("No run ended in the last 60 s."), "{}", desk.text());
    }
}

#[test]
fn a_partition_of_more_blocks_than_there_is_room_for_says_so() {
    let network = collab_core::network::samples::chain(64, 60);
    let mut story = Story::new();
    story.connect(network, 3).ready();
    let plan: Vec<String> = (0..60).map(|unit| format!("{unit}:22,22,20")).collect();
    story.switch(&plan.join("/")).run(5);
    let mut desk = Desk::new(&story.lab, SMALL);
    desk.press(crossterm::event::KeyCode::Char('3'));
    assert!(desk.text().contains("60 blocks are too many to draw here"), "{}", desk.text());
}

#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    let mut story = story::demo();
    story.propose("0-2:90,52,0/3-6:100,42,0");
    for size in [(1, 1), (2, 1), (1, 9), (39, 12), (79, 24), (80, 23), SMALL, (81, 24), (101, 24), (300, 90)]
    {
        for mut desk in [Desk::new(&story.lab, size), Desk::replaying(&story.lab, size)] {
            for keys in ["1", "2", "3", "4", "5", "1\n", "?", "q?", ":mark 网络", "\n"] {
                desk.type_text(keys);
            }
            let is_told = size.0 < 80 || size.1 < 24;
            assert!(!is_told || !desk.text().contains("╭"), "{size:?}: {}", desk.text());
        }
    }
}
