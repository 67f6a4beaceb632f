//! Composite alarms: judged when they are new and when a child changes (SPEC section 7.2).

use crate::metric::Timestamp;

use super::super::contributors::on_contributors;
use super::super::decision::{Verdict, alarm_if};
use super::super::judge::Judged;
use super::super::reason::{of_child, of_created, of_updated};
use super::super::tracked::{Kind, Tracked};
use super::super::{AlarmRule, Certainty, ReasonData, Rule, StateValue, Transition};
use super::{Changed, Evaluator, Events};

/// What a rule comes to on the states of its children.
enum Outcome {
    State(StateValue),
    /// It depends on a child that is not judged here.
    DependsOn(String),
}

impl Evaluator {
    /// Judges every composite alarm that is new or was changed. Returns how many there were.
    pub(super) fn evaluate_new_composites(&mut self, now: Timestamp, events: &mut Events) -> usize {
        let mut evaluated = 0;
        for rank in 0..self.graph.order.len() {
            let place = self.graph.order[rank];
            if self.alarms[place].due.is_some_and(|due| due <= now) {
                evaluated += 1;
                self.alarms[place].due = None;
                if let Some(transition) = self.evaluate_new(place, now) {
                    self.changed(place, transition, events);
                }
            }
        }
        evaluated
    }

    /// Finds the composite alarms that depend on something not judged here, before they are judged.
    pub(super) fn find_what_is_left_open(&mut self) {
        for rank in 0..self.graph.order.len() {
            let _ = self.outcome(self.graph.order[rank]);
        }
    }

    /// Judges a new composite alarm; all of its children are behind the state.
    fn evaluate_new(&mut self, place: usize, now: Timestamp) -> Option<Transition> {
        let (state, certainty) = self.outcome(place)?;
        let arn = self.alarms[place].arn(&self.options);
        let is_new = self.is_new(place);
        self.alarms[place].kind = Kind::Composite { is_new: false };
        let triggering = self
            .children(place)
            .map(|child| child.triggering(&self.options));
        let data = ReasonData::TriggeringAlarms(triggering.collect());
        let judged = judged(state, certainty, now);
        self.alarms[place].found(judged, |state| {
            let reason = match is_new {
                true => of_created(&arn, state),
                false => of_updated(&arn, state),
            };
            (reason, Some(data))
        })
    }

    /// Judges a composite alarm some of whose children have changed. The one that brought a new state about is behind it.
    pub(super) fn follow_children(
        &mut self,
        place: usize,
        changed: &[Changed],
    ) -> Option<Transition> {
        let now = changed.last()?.at;
        let is_transition = |changed: &Changed| changed.from != self.alarms[changed.place].state;
        if self.is_new(place) || !changed.iter().any(is_transition) {
            // Where children only came to be known, none of them brought the state about.
            return self.evaluate_new(place, now);
        }
        let (state, certainty) = self.outcome(place)?;
        let child = self.decisive(place, state, changed)?;
        let child = self.alarms[child].triggering(&self.options);
        let judged = judged(state, certainty, now);
        self.alarms[place].found(judged, |_| {
            let reason = of_child(&child.arn, child.state, child.at);
            (reason, Some(ReasonData::TriggeringAlarms(vec![child])))
        })
    }

    /// Whether the rule has come to nothing yet since the alarm was created.
    fn is_new(&self, place: usize) -> bool {
        matches!(self.alarms[place].kind, Kind::Composite { is_new: true })
    }

    /// The first of the changed children with whose change the rule comes to `state`, taken one after the other.
    fn decisive(&self, place: usize, state: StateValue, changed: &[Changed]) -> Option<usize> {
        let rule = self.rule(place)?;
        let decides = |(i, _): &(usize, &Changed)| {
            let not_yet = &changed[i + 1..];
            let state_of = |name: &str| {
                let child = self.graph.place(name)?;
                let before = not_yet.iter().find(|changed| changed.place == child);
                before
                    .map(|before| before.from)
                    .or_else(|| self.known_state(child))
            };
            rule.evaluate(state_of).map(alarm_if) == Some(state)
        };
        let decisive = changed.iter().enumerate().find(decides);
        decisive
            .map(|(_, child)| child.place)
            .or(Some(changed.last()?.place))
    }

    /// What the rule comes to, and how certain that is. An alarm for which that is not known is not mirrored.
    fn outcome(&mut self, place: usize) -> Option<(StateValue, Certainty)> {
        if self.alarms[place].alarm.not_here.is_some() {
            return None;
        }
        let outcome = self.evaluate_rule(place)?;
        let tracked = &mut self.alarms[place];
        match outcome {
            Outcome::State(state) => {
                tracked.not_mirrored = None;
                Some((state, self.certainty_of(place)))
            }
            Outcome::DependsOn(child) => {
                tracked.not_mirrored = Some(format!(
                    "it depends on alarm `{child}`, which is not judged here"
                ));
                None
            }
        }
    }

    fn evaluate_rule(&self, place: usize) -> Option<Outcome> {
        let rule = self.rule(place)?;
        let state_of = |name: &str| self.known_state(self.graph.place(name)?);
        Some(match rule.evaluate(state_of) {
            Some(value) => Outcome::State(alarm_if(value)),
            None => {
                let children = rule.children();
                let unknown = children
                    .iter()
                    .find(|child| state_of(child.name()).is_none());
                Outcome::DependsOn(
                    unknown.map_or_else(String::new, |child| child.name().to_owned()),
                )
            }
        })
    }

    fn rule(&self, place: usize) -> Option<&AlarmRule> {
        match &self.alarms[place].alarm.rule {
            Rule::Composite(composite) => Some(&composite.rule),
            _ => None,
        }
    }

    /// The state of an alarm that is judged here.
    fn known_state(&self, place: usize) -> Option<StateValue> {
        let tracked = &self.alarms[place];
        tracked.not_mirrored.is_none().then_some(tracked.state)
    }

    fn children(&self, place: usize) -> impl Iterator<Item = &Tracked> {
        let children = self
            .rule(place)
            .map(AlarmRule::children)
            .unwrap_or_default();
        let places: Vec<usize> = children
            .iter()
            .filter_map(|child| self.graph.place(child.name()))
            .collect();
        places.into_iter().map(|place| &self.alarms[place])
    }

    /// No more certain than the least certain child; one that is not judged here has no part in what is known.
    fn certainty_of(&self, place: usize) -> Certainty {
        let doubt = self.rule(place).and_then(AlarmRule::uncertain);
        let own = match doubt {
            Some(_) => Certainty::Undetermined,
            None => Certainty::Determined,
        };
        self.children(place)
            .filter(|child| child.not_mirrored.is_none())
            .fold(own, |certainty, child| certainty.and(&child.certainty()))
    }
}

fn judged(state: StateValue, certainty: Certainty, now: Timestamp) -> Judged {
    Judged {
        at: now,
        end: now,
        decision: on_contributors(Verdict::State(state)),
        certainty,
    }
}
