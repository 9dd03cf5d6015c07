//! The fourth view: how the population and the agent do by generation, who they are, and planners beside them.

use collab_core::event::{Candidate, OperatorSuccess, Opponent, Origin, Trained};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::widgets::table::{self, Fitted};
use super::{Scene, candidates, learning_curve, text};

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let Some(last) = scene.lab.training.last.as_deref() else {
        candidates::draw(scene, area, buf);
        return;
    };
    let is_wide = area.width >= super::WIDE;
    let (curve, planners, population) = if is_wide {
        // As tall as the population needs, at most half: curves are the better the taller they are.
        let wanted = kinships(&last.population).len().max(4) as u16 + 3;
        let below = Constraint::Length(wanted.min(area.height / 2));
        let [top, bottom] = area.layout(&Layout::vertical([Constraint::Fill(1), below]));
        let [left, right] = top.layout(&Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]));
        (left, right, bottom)
    } else {
        let [top, bottom] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]));
        let [left, right] = bottom.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
        (top, left, right)
    };
    learning_curve::draw(scene, last, curve, buf);
    draw_planners(scene, last, planners, buf);
    draw_population(scene, last, population, buf);
}

/// The fastest plan that anyone found, ms.
fn best_known(last: &Trained) -> f64 {
    last.best_known_ms.unwrap_or(last.best_ms).min(last.best_ms)
}

fn gap(ms: f64, best: f64) -> String {
    format!("{:.1} %", 100.0 * (ms / best - 1.0).max(0.0))
}

/// Planners with their gap to the fastest partition known.
fn draw_planners(scene: &Scene, last: &Trained, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let best = best_known(last);
    let mut panel = Panel::new(theme, "Planners");
    if area.width >= 44 {
        panel = panel.with("for the fleet as it is", theme.dim());
    }
    let known = Line::styled(format!("best known ○ {} ms", text::ms(best)), theme.dim());
    let inner = panel.remark(known).draw(theme, area, buf);
    let columns = [
        table::left("planner", 14, 0),
        table::right("predicted", 9, 0),
        table::right("gap", 8, 0),
        table::right("evaluated", 9, 2),
        table::right("ms", 6, 1),
    ];
    let fitted = Fitted::new(&columns, 1, inner.width);
    fitted.head(inner, theme.dim(), buf);
    let asked = last.planners.iter();
    let mut rows: Vec<(String, f64, Option<&Opponent>)> =
        asked.map(|it| (it.planner.clone(), it.predicted_ms, Some(it))).collect();
    rows.push(("○ population".to_owned(), last.best_ms, None));
    rows.extend(last.agent_ms.map(|ms| ("○ agent alone".to_owned(), ms, None)));
    let running = scene.lab.current.map_or_else(String::new, |current| current.to_string());
    rows.extend(last.running_ms.map(|ms| (format!("○ running {running}"), ms, None)));
    rows.sort_by(|a, b| a.1.total_cmp(&b.1));
    let room = usize::from(inner.height.saturating_sub(1));
    // The population, the agent and the running partition are never what is left out.
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
            Line::raw(gap(ms, best)),
            Line::styled(count, theme.dim()),
            Line::styled(time, theme.dim()),
        ];
        fitted.row(&cells, row, buf);
    }
}

/// Members that have the same plan.
#[derive(Debug, PartialEq)]
struct Kin<'a> {
    first: &'a Candidate,
    /// Members by origin, the commonest first.
    origins: Vec<(Origin, usize)>,
    youngest: u64,
    oldest: u64,
}

/// The members by plan, the best first.
fn kinships(population: &[Candidate]) -> Vec<Kin<'_>> {
    let mut kinships: Vec<Kin> = Vec::new();
    for member in population {
        let at = kinships.iter().position(|kin| kin.first.plan == member.plan).unwrap_or_else(|| {
            let (youngest, oldest) = (member.age, member.age);
            kinships.push(Kin { first: member, origins: Vec::new(), youngest, oldest });
            kinships.len() - 1
        });
        let kin = &mut kinships[at];
        (kin.youngest, kin.oldest) = (kin.youngest.min(member.age), kin.oldest.max(member.age));
        match kin.origins.iter_mut().find(|(origin, _)| *origin == member.origin) {
            Some((_, count)) => *count += 1,
            None => kin.origins.push((member.origin, 1)),
        }
    }
    kinships.iter_mut().for_each(|kin| kin.origins.sort_by_key(|(_, count)| std::cmp::Reverse(*count)));
    kinships
}

/// Who is in the population: a row for each plan, with the members that have it.
fn draw_population(scene: &Scene, last: &Trained, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let pace =
        format!("{} partitions costed a second", text::thousands(last.evaluations_per_s.max(0.0) as u64));
    let panel =
        Panel::new(theme, "Population").with(format!("{} members", last.population.len()), theme.dim());
    let foot = success(scene, last, usize::from(area.width).saturating_sub(6));
    let inner = panel.remark(Line::styled(pace, theme.dim())).foot(foot).draw(theme, area, buf);
    if last.population.is_empty() {
        panel::write([Line::styled("No member has a plan.", theme.dim())], inner, buf);
        return;
    }
    let columns = [
        table::right("", 3, 0),
        table::left("made by", 30, 2),
        table::right("age", 7, 3),
        table::right("predicted", 9, 0),
        table::right("gap", 7, 1),
        table::growing("plan", 12, 0),
    ];
    let fitted = Fitted::new(&columns, table::GAP, inner.width);
    fitted.head(inner, theme.dim(), buf);
    let best = best_known(last);
    let room = usize::from(inner.height.saturating_sub(1));
    for (offset, kin) in kinships(&last.population).into_iter().take(room).enumerate() {
        let row = Rect { y: inner.y + 1 + offset as u16, height: 1, ..inner };
        let count: usize = kin.origins.iter().map(|(_, count)| count).sum();
        let named = |(origin, several): &(Origin, usize)| match (count, several) {
            (1, _) => origin.name().to_owned(),
            (_, several) => format!("{} {several}", origin.name()),
        };
        let origins: Vec<String> = kin.origins.iter().map(named).collect();
        let age = if kin.youngest == kin.oldest {
            text::thousands(kin.oldest)
        } else {
            format!("{}–{}", kin.youngest, kin.oldest)
        };
        let cells = [
            Line::styled(format!("×{count}"), theme.dim()),
            Line::raw(text::shorten(&origins.join(", "), fitted.width(1).unwrap_or(0))),
            Line::styled(age, theme.dim()),
            Line::raw(text::ms(kin.first.predicted_ms)),
            Line::raw(gap(kin.first.predicted_ms, best)),
            Line::styled(text::shorten(&kin.first.plan, fitted.width(5).unwrap_or(0)), theme.dim()),
        ];
        fitted.row(&cells, row, buf);
    }
}

/// How many of the children of each operator were kept, with counts where there is room for them.
fn success(scene: &Scene, last: &Trained, room: usize) -> Line<'static> {
    let theme = scene.theme;
    let told = |counts: bool| {
        let part = |success: &OperatorSuccess| {
            let share = success.kept as f64 / success.made.max(1) as f64;
            let name = Span::styled(format!("{} ", success.operator.name()), theme.dim());
            let mut part = vec![name, Span::raw(text::percent(Some(share)))];
            if counts {
                let (kept, made) = (text::thousands(success.kept), text::thousands(success.made));
                part.push(Span::styled(format!(" ({kept} of {made})"), theme.dim()));
            }
            part
        };
        let kept = vec![Span::styled("kept", theme.dim())];
        let parts = [kept].into_iter().chain(last.operators.iter().map(part)).collect();
        text::flow(parts, 2, room)
    };
    let lines = Some(told(true)).filter(|lines| lines.len() == 1).unwrap_or_else(|| told(false));
    lines.into_iter().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_with_one_plan_are_one_row() {
        let member =
            |origin, plan: &str, age| Candidate { origin, plan: plan.into(), predicted_ms: 1.0, age };
        let population = [
            member(Origin::Cross, "0-6:A", 3),
            member(Origin::Mutate, "0-6:A", 9),
            member(Origin::Start, "0-6:B", 1),
            member(Origin::Mutate, "0-6:A", 0),
        ];
        let kinships = kinships(&population);
        assert_eq!(kinships.len(), 2);
        assert_eq!(kinships[0].origins, [(Origin::Mutate, 2), (Origin::Cross, 1)]);
        assert_eq!((kinships[0].youngest, kinships[0].oldest), (0, 9));
        assert_eq!(kinships[1].first.plan, "0-6:B");
    }
}
