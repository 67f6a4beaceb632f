//! In which order things can be done that need each other.

/// What [`order`] found.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    /// Everything that is in no cycle and needs none, each after what it needs.
    pub order: Vec<usize>,
    /// Each as the members in the order in which one needs the next.
    pub cycles: Vec<Vec<usize>>,
}

/// Orders `0..needs.len()`, where `needs[i]` are those that `i` needs.
///
/// Not by recursion, so that a long chain does no harm. When nothing more can be done there is a cycle among the rest; it is
/// reported and taken out, and the search goes on without it, so that every mistake is found.
pub fn order(needs: &[Vec<usize>]) -> Order {
    let mut order = Vec::new();
    let mut cycles = Vec::new();
    let mut open: Vec<usize> = (0..needs.len()).collect();
    let mut done = vec![false; needs.len()];
    let mut broken = vec![false; needs.len()];
    while !open.is_empty() {
        let before = open.len();
        open.retain(|&i| {
            let ready = needs[i].iter().all(|&need| done[need]);
            if ready {
                done[i] = true;
                broken[i] |= needs[i].iter().any(|&need| broken[need]);
                if !broken[i] {
                    order.push(i);
                }
            }
            !ready
        });
        if open.len() == before {
            let cycle = cycle(needs, &done, open[0]);
            for &i in &cycle {
                done[i] = true;
                broken[i] = true;
            }
            open.retain(|&i| !done[i]);
            cycles.push(cycle);
        }
    }
    Order { order, cycles }
}

/// Goes from `start` along needs that are not done, of which each has one, until the way meets itself.
fn cycle(needs: &[Vec<usize>], done: &[bool], start: usize) -> Vec<usize> {
    let mut way = vec![start];
    loop {
        let last = way[way.len() - 1];
        let next = needs[last].iter().copied().find(|&need| !done[need]);
        let Some(next) = next else {
            return way;
        };
        if let Some(first) = way.iter().position(|&i| i == next) {
            return way.split_off(first);
        }
        way.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(needs: &[&[usize]], expected_order: &[usize], expected_cycles: &[&[usize]]) {
        let needs: Vec<Vec<usize>> = needs.iter().map(|needs| needs.to_vec()).collect();
        let Order { order, cycles } = order(&needs);
        assert_eq!(order, expected_order);
        assert_eq!(cycles, expected_cycles);
    }

    #[test]
    fn what_is_needed_comes_first() {
        check(&[], &[], &[]);
        check(&[&[1], &[2], &[]], &[2, 1, 0], &[]);
        check(&[&[1, 2], &[2], &[]], &[2, 1, 0], &[]);
    }

    #[test]
    fn every_cycle_is_found() {
        check(&[&[0]], &[], &[&[0]]);
        check(&[&[1], &[2], &[1], &[]], &[3], &[&[1, 2]]);
        check(&[&[1], &[0], &[3], &[2], &[0]], &[], &[&[0, 1], &[2, 3]]);
    }
}
