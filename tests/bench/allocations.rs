//! How often judging an alarm allocates: `cargo bench --bench allocations`. Apart from `evaluator`, because counting makes each
//! allocation some nanoseconds dearer.

#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
#![expect(
    clippy::unwrap_used,
    reason = "what is wrong here is a mistake in this file"
)]

#[path = "feed.rs"]
mod feed;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use feed::{DAY_MINUTES, Feed, HOT_MINUTES, alarm, float, metrics, stat};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often an alarm that stays in its state allocates when it is judged, and how often the whole step does.
fn main() {
    let metrics = metrics(1);
    let mut feed = Feed::new(vec![alarm(0, stat(&metrics[0]), 3)], &metrics, 60);
    for minute in 0..DAY_MINUTES {
        feed.record(minute);
        feed.evaluate(minute);
    }
    let mut counted = [0, 0];
    let steady = DAY_MINUTES + 10..DAY_MINUTES + 60 - HOT_MINUTES;
    let evaluations = float(steady.end - steady.start);
    for minute in DAY_MINUTES..steady.end {
        let whole = Region::new(ALLOCATOR);
        feed.record(minute);
        let judging = Region::new(ALLOCATOR);
        feed.evaluate(minute);
        if steady.contains(&minute) {
            let both = [judging.change(), whole.change()];
            counted = [0, 1].map(|i| counted[i] + both[i].allocations + both[i].reallocations);
        }
    }
    let [judging, whole] = counted.map(|count| float(i64::try_from(count).unwrap()) / evaluations);
    println!(
        "allocations in the steady state: {judging:.2} per evaluation, {whole:.2} with recording and closing one sample"
    );
}
