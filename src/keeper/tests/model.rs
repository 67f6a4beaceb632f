//! Everything at random against a simple model.

use proptest::prelude::*;

use super::*;

/// A clock that is wrong by some hours, in seconds: more than there are minutes in a case.
const HOURS: i64 = 12_000;

/// What can happen to a keeper.
#[derive(Clone, Debug)]
enum Event {
    /// So many datapoints are closed.
    Closed(u8),
    /// So many are taken, and this becomes of them.
    Taken(usize, Fate),
    /// So many are taken and do not arrive, and nobody is told that they did not.
    Vanished(usize),
    /// So many are taken, and the program ends before it is known what became of them; whether they arrived.
    Killed(usize, bool),
    Stopped,
    /// The disk is full, or has room again.
    Full(bool),
    /// The clock is wrong by so much, or right.
    Clock(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let fate = prop::sample::select(vec![
        Fate::Accepted,
        Fate::Accepted,
        Fate::AnswerLost,
        Fate::NotSent,
    ]);
    prop_oneof![
        3 => (1..4_u8).prop_map(Event::Closed),
        3 => (1..5_usize, fate).prop_map(|(count, fate)| Event::Taken(count, fate)),
        1 => (1..5_usize).prop_map(Event::Vanished),
        1 => (0..5_usize, any::<bool>()).prop_map(|(count, arrived)| Event::Killed(count, arrived)),
        1 => Just(Event::Stopped),
        1 => any::<bool>().prop_map(Event::Full),
        1 => prop::sample::select(vec![0, 0, HOURS, -HOURS, 20 * YEAR, -20 * YEAR]).prop_map(Event::Clock),
    ]
}

/// What CloudWatch got, and what it may have got.
#[derive(Default)]
struct Model {
    /// Each as minutes before [`NOW`].
    closed: Vec<i64>,
    arrived: HashMap<i64, usize>,
    /// How often a datapoint may have arrived without anybody knowing.
    untold: HashMap<i64, usize>,
}

impl Model {
    fn arrive(&mut self, batch: &[Outgoing], told: bool) {
        for minute in taken(batch) {
            *self.arrived.entry(minute).or_default() += 1;
            *self.untold.entry(minute).or_default() += usize::from(!told);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every datapoint arrives; more than once only if an answer was lost. A full disk is survived as long as the program is. By
    /// a clock that is wrong nothing arrives, because CloudWatch refuses the signature, and nothing is dropped; what was
    /// closed by it is dropped once the clock is right.
    #[test]
    fn everything_arrives_whatever_happens(events in prop::collection::vec(event(), 1..40)) {
        static CASE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let dir = Dir::new(&format!("model-{}", CASE.fetch_add(1, Relaxed)));
        let stats = Arc::new(Stats::default());
        let open = |now| {
            Keeper::open(Some(dir.0.clone()), Limits::default(), Arc::clone(&stats), now).unwrap()
        };
        let (mut keeper, mut model, mut is_full, mut wrong) = (open(NOW), Model::default(), false, 0);
        let limits = |datapoints| RequestLimits { datapoints, ..REQUEST_MAX };
        for event in events {
            let now = NOW + wrong;
            match event {
                Event::Closed(count) => {
                    let first = 1_000 + model.closed.len() as i64 - wrong / 60;
                    let minutes: Vec<i64> = (0..i64::from(count)).map(|i| first + i).collect();
                    keeper.append(step(&minutes), now);
                    model.closed.extend(minutes);
                }
                Event::Taken(count, fate) => {
                    let fate = if wrong == 0 { fate } else { Fate::NotSent };
                    let batch = keeper.take(now, limits(count));
                    if fate != Fate::NotSent {
                        model.arrive(&batch, fate == Fate::Accepted);
                    }
                    keeper.settle(&keys(&batch), fate, now);
                }
                Event::Vanished(count) => {
                    let batch = keeper.take(now, limits(count));
                    keeper.settle(&keys(&batch), Fate::AnswerLost, now);
                }
                // What is in memory alone is not survived.
                Event::Killed(..) | Event::Stopped if is_full => {}
                Event::Killed(count, arrived) => {
                    // What the full disk left in memory is written first.
                    keeper.append(Step::default(), now);
                    let batch = keeper.take(now, limits(count));
                    if arrived && wrong == 0 {
                        model.arrive(&batch, false);
                    }
                    drop(keeper);
                    keeper = open(now);
                }
                Event::Stopped => {
                    keeper.close(now);
                    keeper = open(now);
                }
                Event::Full(full) => {
                    is_full = full;
                    if let Some(journal) = &mut keeper.journal {
                        journal.limit_pages(if full { 1 } else { 1_000_000 });
                    }
                }
                Event::Clock(seconds) => wrong = seconds,
            }
        }
        if let Some(journal) = &mut keeper.journal {
            journal.limit_pages(1_000_000);
        }
        // One more, so that the clock is known to be right.
        model.closed.push(-1);
        keeper.append(step(&[-1]), NOW);
        loop {
            let batch = keeper.take(NOW, limits(3));
            if batch.is_empty() {
                break;
            }
            model.arrive(&batch, true);
            keeper.settle(&keys(&batch), Fate::Accepted, NOW);
        }
        prop_assert_eq!(stats.outbox.load(Relaxed), 0);
        let is_known = |minute: &&i64| minute.abs() < YEAR / 60;
        for minute in model.closed.iter().filter(is_known) {
            let arrived = model.arrived.get(minute).copied().unwrap_or(0);
            let untold = model.untold.get(minute).copied().unwrap_or(0);
            prop_assert!(arrived >= 1, "minute {} is lost", minute);
            prop_assert!(arrived <= 1 + untold, "minute {} arrived {} times", minute, arrived);
        }
        let by_wrong_clocks = model.closed.iter().filter(|minute| !is_known(minute)).count();
        prop_assert_eq!(stats.dropped.get().values().sum::<u64>(), by_wrong_clocks as u64);
    }
}
