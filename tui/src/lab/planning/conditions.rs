//! What planning depends on and the lab can see change: who is there, CPU shares, links.

use collab_core::event::LinkShape;
use collab_core::id::WorkerId;
use collab_core::lab::Lab;

/// A worker's conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worker {
    ready: bool,
    percent: f64,
    link: Option<LinkShape>,
}

/// Everybody's conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions(Vec<Worker>);

impl Conditions {
    /// As the lab knows them.
    pub fn of(lab: &Lab) -> Self {
        let worker = |worker: &collab_core::lab::WorkerState| Worker {
            ready: worker.is_ready(),
            percent: worker.throttle.percent,
            link: worker.link_asked.or(worker.info.emulation.as_ref().map(|emulation| emulation.link)),
        };
        Self(lab.workers.iter().map(worker).collect())
    }

    /// Whether a worker that was there before is not any more.
    pub fn misses_some_of(&self, before: &Self) -> bool {
        before
            .0
            .iter()
            .enumerate()
            .any(|(at, then)| then.ready && !self.0.get(at).is_some_and(|now| now.ready))
    }

    /// What is different since `before`, in words; `None` if nothing is.
    pub fn changed(&self, before: &Self) -> Option<String> {
        let mut told = Vec::new();
        for (at, now) in self.0.iter().enumerate() {
            let name = WorkerId::at(at);
            let Some(then) = before.0.get(at) else {
                told.push(format!("{name} joined"));
                continue;
            };
            match (then.ready, now.ready) {
                (true, false) => told.push(format!("{name} is lost")),
                (false, true) => told.push(format!("{name} joined")),
                _ => {}
            }
            if (then.percent - now.percent).abs() > 0.05 {
                told.push(format!("{name} runs at {:.0} %", now.percent));
            }
            if then.link != now.link {
                told.push(format!("the link of {name} changed"));
            }
        }
        (!told.is_empty()).then(|| told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(percent: f64) -> Worker {
        Worker { ready: true, percent, link: None }
    }

    #[test]
    fn every_change_is_told_in_words_and_nothing_is_not() {
        let before = Conditions(vec![worker(100.0), worker(50.0)]);
        assert_eq!(before.changed(&before), None);
        let link = Some(LinkShape { rate_mbps: Some(40.0), delay_ms: 3.0 });
        let now = Conditions(vec![
            Worker { ready: false, ..worker(100.0) },
            Worker { link, ..worker(80.0) },
            worker(100.0),
        ]);
        let told = now.changed(&before).unwrap();
        assert_eq!(told, "A is lost, B runs at 80 %, the link of B changed, C joined");
    }
}
