//! Snapshots of training and of an offered partition beside the running one.

use collab_core::command::{Settled, Verb};
use collab_core::event::{Candidate, Comparison, OperatorSuccess, Opponent, Origin, Trained, What};
use crossterm::event::KeyCode;

use super::desk::Desk;
use super::story::{self, Story};

const LARGE: (u16, u16) = (120, 35);
const SMALL: (u16, u16) = (80, 24);

fn snapshot(name: &str, desk: &Desk) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, desk.text());
    });
}

/// So many reports of a trainer that gets better.
fn train(story: &mut Story, reports: u64) {
    for report in 1..=reports {
        let left = (-(report as f64) / 12.0).exp();
        let best = 92.0 + 14.0 * left;
        let origins = [Origin::Cross, Origin::Mutate, Origin::Agent, Origin::Start];
        let member = |at: u64| Candidate {
            origin: origins[at as usize % 4],
            plan: format!("0-2:90,52,50/3-6:{},42,50/7:=", 100 + at / 3),
            predicted_ms: best + (at / 3) as f64 * (0.2 + left),
            age: (at * 7) % 23,
        };
        let opponent = |(name, over, evaluations, plan_ms): (&str, f64, u64, f64)| Opponent {
            planner: name.to_owned(),
            predicted_ms: 91.5 * over,
            evaluations,
            plan_ms,
        };
        let planners = [
            ("erl", 1.0, 28_067, 51.2),
            ("auto", 1.002, 27_998, 55.0),
            ("beam", 1.006, 1_456, 5.6),
            ("dp", 1.041, 5, 0.2),
            ("greedy", 1.1, 12, 0.3),
            ("proportional", 1.12, 5, 0.1),
            ("equal", 1.9, 1, 0.1),
            ("best-single", 2.1, 3, 0.0),
        ];
        let trained = Trained {
            generation: 3 * report,
            best_ms: best,
            mean_ms: best + 7.5 * (0.2 + left),
            agent_ms: Some(best + 3.0 * left),
            actor_loss: Some(-0.0182),
            critic_loss: (report > 20).then_some(0.0009),
            evaluations: 950 * report,
            evaluations_per_s: 1583.0,
            operators: Origin::OPERATORS
                .map(|operator| OperatorSuccess { operator, made: 11 * report, kept: 2 * report })
                .to_vec(),
            population: (0..16).map(member).collect(),
            running_ms: Some(101.5),
            best_known_ms: Some(91.5),
            planners: planners.map(opponent).to_vec(),
        };
        story.wait(0.6).tell(What::Trained(Box::new(trained)));
    }
}

#[test]
fn training_shows_curves_planners_and_the_population() {
    let mut story = story::demo();
    train(&mut story, 60);
    for (size, word) in [(LARGE, "large"), (SMALL, "small")] {
        let mut desk = Desk::new(&story.lab, size);
        desk.press(KeyCode::Char('4'));
        snapshot(&format!("trained-{word}"), &desk);
    }
    let pause = story.command(Verb::PauseTraining, "training", "paused");
    story.settle(pause, Settled::Done);
    let mut desk = Desk::new(&story.lab, LARGE).mono();
    desk.press(KeyCode::Char('4'));
    assert!(desk.text().contains("▲ paused, b resumes"));
}

#[test]
fn the_first_report_alone_draws_as_well() {
    let mut story = story::demo();
    train(&mut story, 1);
    let mut desk = Desk::new(&story.lab, SMALL);
    desk.press(KeyCode::Char('4'));
    assert!(desk.text().contains("generation 3"), "{}", desk.text());
}

#[test]
fn an_offered_partition_says_why_it_is_faster_and_what_it_answers() {
    let mut story = story::demo();
    let running = story.lab.current.unwrap_or_default();
    let partition = story.propose("0-2:90,52,0/3-6:100,42,0");
    story.tell(What::ProposalCompared(Comparison {
        partition,
        running,
        now_ms: 127.3,
        now_measured: true,
        new_ms: 112.0,
        correction: 1.04,
        compute_ms: vec![11.1, -19.1, -40.2],
        transfer_ms: -1.0,
        halo_ms: -0.8,
        wait_ms: 2.2,
        after_ms: Some(12.5),
        because: "B runs at 60 %".to_owned(),
    }));
    for (size, word) in [(LARGE, "large"), (SMALL, "small")] {
        for (key, view) in [('1', "overview"), ('3', "partition")] {
            let mut desk = Desk::new(&story.lab, size);
            desk.press(KeyCode::Char(key));
            snapshot(&format!("compared-{view}-{word}"), &desk);
        }
    }
}
