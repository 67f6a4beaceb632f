//! Which alarms follow which others.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::order::{Order, order};

use super::{Alarm, ChildRef, Rule};

/// The alarms by their place, with what composite alarms have to do with others.
#[derive(Debug, Default)]
pub(super) struct Graph {
    places: HashMap<String, usize>,
    /// Every composite alarm that is in no cycle, children before parents.
    pub(super) order: Vec<usize>,
    /// For each alarm its place in `order`, if it has one.
    pub(super) rank: Vec<Option<usize>>,
    /// For each alarm the composite alarms that follow it.
    pub(super) parents: Vec<Vec<usize>>,
    /// For each alarm the composite alarms whose actions it suppresses.
    pub(super) suppresses: Vec<Vec<usize>>,
    /// For each composite alarm where its suppressor is, if it is here.
    pub(super) suppressor: Vec<Option<usize>>,
    /// For each alarm the cycle that it is part of.
    pub(super) cycles: Vec<Option<Arc<str>>>,
}

impl Graph {
    pub(super) fn new<'a>(alarms: impl Iterator<Item = &'a Alarm> + Clone) -> Self {
        let places: HashMap<String, usize> = alarms
            .clone()
            .enumerate()
            .map(|(place, alarm)| (alarm.name.clone(), place))
            .collect();
        let place = |child: &ChildRef| places.get(child.name()).copied();
        let needs: Vec<Vec<usize>> = alarms
            .clone()
            .map(|alarm| match &alarm.rule {
                Rule::Composite(composite) => composite
                    .rule
                    .children()
                    .into_iter()
                    .filter_map(place)
                    .collect(),
                _ => Vec::new(),
            })
            .collect();
        let names: Vec<&str> = alarms.clone().map(|alarm| alarm.name.as_str()).collect();
        let (order, cycles) = ordered(&needs, &names);
        let is_composite: Vec<bool> = alarms
            .clone()
            .map(|alarm| matches!(alarm.rule, Rule::Composite(_)))
            .collect();
        let suppressor: Vec<Option<usize>> =
            alarms.map(|alarm| suppressor(alarm, &places)).collect();
        let order: Vec<usize> = order
            .into_iter()
            .filter(|place| is_composite[*place])
            .collect();
        let mut rank = vec![None; needs.len()];
        for (position, place) in order.iter().enumerate() {
            rank[*place] = Some(position);
        }
        Self {
            order,
            rank,
            parents: inverse(needs.iter().map(|needs| needs.iter().copied())),
            suppresses: inverse(
                suppressor
                    .iter()
                    .map(|suppressor| suppressor.iter().copied()),
            ),
            suppressor,
            cycles,
            places,
        }
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }
}

fn suppressor(alarm: &Alarm, places: &HashMap<String, usize>) -> Option<usize> {
    let suppressor = alarm.suppressor()?;
    places.get(super::alarm_name(&suppressor.alarm)).copied()
}

/// The order in which alarms can be judged, without those in a cycle, and for each of these how it goes round.
fn ordered(needs: &[Vec<usize>], names: &[&str]) -> (Vec<usize>, Vec<Option<Arc<str>>>) {
    let Order { order: all, cycles } = order(needs);
    let mut in_cycle: Vec<Option<Arc<str>>> = vec![None; needs.len()];
    if cycles.is_empty() {
        return (all, in_cycle);
    }
    let mark = |cycle: Vec<usize>, in_cycle: &mut Vec<Option<Arc<str>>>| {
        let round = cycle.iter().chain(cycle.first());
        let way: Vec<String> = round.map(|place| format!("`{}`", names[*place])).collect();
        let way: Arc<str> = way.join(" → ").into();
        for place in cycle {
            in_cycle[place].get_or_insert_with(|| Arc::clone(&way));
        }
    };
    for cycle in cycles {
        mark(cycle, &mut in_cycle);
    }
    // Those that share members with a cycle which was found are not found with it.
    for place in 0..needs.len() {
        if in_cycle[place].is_none()
            && let Some(cycle) = way_round(needs, place)
        {
            mark(cycle, &mut in_cycle);
        }
    }
    // Whatever follows an alarm in a cycle is judged on what is known of its other children.
    let sound = |place: &usize| in_cycle[*place].is_none();
    let needs: Vec<Vec<usize>> = needs
        .iter()
        .enumerate()
        .map(|(place, needs)| match sound(&place) {
            true => needs.iter().copied().filter(sound).collect(),
            false => Vec::new(),
        })
        .collect();
    let order = order(&needs).order.into_iter().filter(sound).collect();
    (order, in_cycle)
}

/// The shortest way from `start` along needs back to it, without its end; `None` if there is none.
fn way_round(needs: &[Vec<usize>], start: usize) -> Option<Vec<usize>> {
    let mut came_from: HashMap<usize, usize> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(place) = queue.pop_front() {
        for &next in &needs[place] {
            if next == start {
                let before = |place: &usize| came_from.get(place).copied();
                let mut way: Vec<usize> = std::iter::successors(Some(place), before).collect();
                way.reverse();
                return Some(way);
            }
            if let Entry::Vacant(entry) = came_from.entry(next) {
                entry.insert(place);
                queue.push_back(next);
            }
        }
    }
    None
}

/// For each place those that name it.
fn inverse(named: impl ExactSizeIterator<Item = impl Iterator<Item = usize>>) -> Vec<Vec<usize>> {
    let mut inverse = vec![Vec::new(); named.len()];
    for (place, named) in named.enumerate() {
        named.for_each(|other| inverse[other].push(place));
    }
    inverse
}
