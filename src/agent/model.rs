//! Readings, faults, restarts and clock steps at random, through the pipeline and the keeper, against a simple model: what was
//! sampled, and what is told to be lost of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use crate::alarm::Options;
use crate::journal::{self, Limits};
use crate::keeper::{Fate, Keeper, Outgoing, REQUEST_MAX, RequestLimits, Step};
use crate::metric::{
    Content, Datapoint, Distribution, Metric, Reading, Resolution, Sample, Timestamp, Unit,
};
use crate::pipeline::{Pipeline, Snapshot};
use crate::stats::Stats;

use super::restore::snapshot;

/// The clock is never further off than this, in minutes: then CloudWatch takes everything.
const OFF_MAX: i64 = 50;

#[derive(Clone, Debug)]
enum Event {
    /// So many minutes with a look each.
    Minutes(u8),
    /// The clock is set by so many minutes.
    Clock(i64),
    Taken(usize, Fate),
    Killed,
    Stopped,
}

fn event() -> impl Strategy<Value = Event> {
    let fates = vec![Fate::Accepted, Fate::AnswerLost, Fate::NotSent];
    prop_oneof![
        4 => (1..6_u8).prop_map(Event::Minutes),
        1 => prop::sample::select(vec![-30, -3, -1, 2, 25]).prop_map(Event::Clock),
        2 => (1..9_usize, prop::sample::select(fates)).prop_map(|(most, fate)| Event::Taken(most, fate)),
        1 => Just(Event::Killed),
        1 => Just(Event::Stopped),
    ]
}

struct World {
    dir: PathBuf,
    stats: Arc<Stats>,
    metric: Arc<Metric>,
    pipeline: Pipeline,
    keeper: Keeper,
    /// True time, in minutes, and how far the clock is off.
    minute: i64,
    off: i64,
    /// Each sample has a value of its own. Those since the newest step that was kept are lost with the program.
    sampled: Vec<f64>,
    open: Vec<f64>,
    lost: Vec<f64>,
    /// How often the slot of each instant was closed, but for those that ended with the program before their time.
    closed: BTreeMap<Timestamp, usize>,
    ended_early: Vec<Timestamp>,
    /// How often each value arrived, and how often it may have without anybody knowing.
    arrived: BTreeMap<u64, usize>,
    untold: BTreeMap<u64, usize>,
}

impl World {
    fn new(case: usize) -> Self {
        let dir = std::env::temp_dir().join(format!("model-{}-{case}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let stats = Arc::new(Stats::default());
        let now = Timestamp::from_seconds(1_700_000_040);
        let keeper = Keeper::open(
            Some(dir.clone()),
            Limits::default(),
            Arc::clone(&stats),
            now,
        );
        Self {
            dir,
            stats,
            metric: Arc::new(Metric::new("n", "m", vec![])),
            pipeline: Pipeline::new(Options::default()),
            keeper: keeper.unwrap(),
            minute: 0,
            off: 0,
            sampled: Vec::new(),
            open: Vec::new(),
            lost: Vec::new(),
            closed: BTreeMap::new(),
            ended_early: Vec::new(),
            arrived: BTreeMap::new(),
            untold: BTreeMap::new(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_700_000_040 + 60 * (self.minute + self.off))
    }

    fn look(&mut self) {
        self.minute += 1;
        let value = self.sampled.len() as f64 + 1.0;
        self.sampled.push(value);
        let at = self.now();
        let sample = Sample {
            metric: Arc::clone(&self.metric),
            unit: Unit::NONE,
            resolution: Resolution::Standard,
            at,
            content: Content::Value(value),
        };
        let outcome = self.pipeline.advance(&Reading {
            at,
            samples: vec![sample],
        });
        self.open.push(value);
        // This one, or what was open when the clock was set back.
        for _ in &outcome.dropped {
            let dropped = self.dropped(&outcome.datapoints);
            self.lost.extend(dropped);
        }
        self.keep(outcome.datapoints);
    }

    /// What is open neither in the pipeline nor among what was closed now.
    fn dropped(&mut self, closed: &[Datapoint]) -> Option<f64> {
        let kept: Vec<f64> = closed.iter().flat_map(values).collect();
        let place = self.open.iter().position(|value| !kept.contains(value))?;
        Some(self.open.remove(place))
    }

    fn keep(&mut self, datapoints: Vec<Datapoint>) {
        let closed: Vec<f64> = datapoints.iter().flat_map(values).collect();
        self.open.retain(|value| !closed.contains(value));
        for datapoint in &datapoints {
            *self.closed.entry(datapoint.start).or_default() += 1;
        }
        let step = Step {
            datapoints: datapoints
                .into_iter()
                .map(|datapoint| (datapoint, true))
                .collect(),
            snapshot: snapshot(&self.pipeline, true),
            ..Step::default()
        };
        let now = self.now();
        self.keeper.append(step, now);
    }

    fn take(&mut self, most: usize, fate: Fate) -> usize {
        let limits = RequestLimits {
            datapoints: most,
            ..REQUEST_MAX
        };
        let now = self.now();
        let batch: Vec<Outgoing> = self.keeper.take(now, limits);
        for value in batch
            .iter()
            .flat_map(|outgoing| values(&outgoing.datapoint))
        {
            if fate != Fate::NotSent {
                *self.arrived.entry(value as u64).or_default() += 1;
            }
            if fate == Fate::AnswerLost {
                *self.untold.entry(value as u64).or_default() += 1;
            }
        }
        let keys: Vec<_> = batch.iter().map(|outgoing| outgoing.key).collect();
        self.keeper.settle(&keys, fate, now);
        batch.len()
    }

    fn restart(mut self, is_killed: bool) -> Self {
        let now = self.now();
        let (dir, stats) = (self.dir.clone(), Arc::clone(&self.stats));
        if is_killed {
            self.lost.append(&mut self.open);
            drop(self.keeper);
        } else {
            let open = self.pipeline.finish();
            self.ended_early
                .extend(open.iter().map(|datapoint| datapoint.start));
            self.keep(open);
            self.keeper.close(now);
        }
        let mut keeper = Keeper::open(Some(dir), Limits::default(), stats, now).unwrap();
        let mut pipeline = Pipeline::new(Options::default());
        if let Some(past) = keeper.past(0) {
            let at = past.snapshot.at;
            // Whether it was closed as it was, because the program ended, or before, is not told by what is kept.
            self.ended_early.push(at.floor(60));
            let closed_ahead = Some(now.min(at) - 60);
            keeper.datapoints_since(&[].into(), closed_ahead, |datapoint| {
                pipeline.take_up(&datapoint, at);
                true
            });
            pipeline.restore(&restored(&past.snapshot));
        }
        Self {
            pipeline,
            keeper,
            ..self
        }
    }
}

fn restored(kept: &journal::Snapshot) -> Snapshot {
    Snapshot {
        watched_since: Timestamp::MIN,
        at: kept.at,
        alarms: Vec::new(),
    }
}

fn values(datapoint: &Datapoint) -> Vec<f64> {
    let values = datapoint.values.as_ref().map(Distribution::values);
    values
        .into_iter()
        .flatten()
        .map(|(value, _)| value)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every sample arrives unless it is told to be lost, and once unless an answer was lost; no slot is closed twice.
    #[test]
    fn what_was_sampled_arrives(events in prop::collection::vec(event(), 1..40)) {
        static CASE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let case = CASE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut world = World::new(case);
        for event in events {
            match event {
                Event::Minutes(count) => (0..count).for_each(|_| world.look()),
                Event::Clock(by) if (world.off + by).abs() <= OFF_MAX => world.off += by,
                Event::Clock(_) => {}
                Event::Taken(most, fate) => drop(world.take(most, fate)),
                Event::Killed => world = world.restart(true),
                Event::Stopped => world = world.restart(false),
            }
        }
        world = world.restart(false);
        while world.take(5, Fate::Accepted) > 0 {}
        for value in &world.sampled {
            let arrived = world.arrived.get(&(*value as u64)).copied().unwrap_or(0);
            let untold = world.untold.get(&(*value as u64)).copied().unwrap_or(0);
            match world.lost.contains(value) {
                true => prop_assert_eq!(arrived, 0, "sample {} was said to be lost", value),
                false => prop_assert!((1..=1 + untold).contains(&arrived), "sample {} arrived {} times of {} untold", value, arrived, untold),
            }
        }
        for (start, times) in &world.closed {
            let is_once = *times == 1 || world.ended_early.contains(start);
            prop_assert!(is_once, "the slot of {} was closed {} times", start, times);
        }
        let _ = std::fs::remove_dir_all(&world.dir);
    }
}
