//! Many deliveries at once, over kills at any moment.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const ALARMS: usize = 100;
const TARGETS: usize = 2;

/// What arrived: the id of each event, with the target and the alarm.
type Arrived = Arc<Mutex<Vec<(String, String, String)>>>;

fn world(name: &str) -> (World, Arrived) {
    let arrived = Arrived::default();
    let record = Arc::clone(&arrived);
    let url = serve(move |path, body| {
        let event: Value = serde_json::from_str(body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let alarm = text(&event["detail"]["alarmName"]);
        let one = (text(&event["id"]), path.to_owned(), alarm);
        record.lock().unwrap().push(one);
        pause(Duration::from_millis(5));
        json("200 OK", "")
    });
    let hooks = (0..TARGETS).map(|target| {
        format!("[[notify]]\nname = \"hook-{target}\"\nwebhook = \"{url}/{target}\"\nshape = \"eventbridge\"\nwhen = \"always\"\n{ALL}")
    });
    let world = World::new(name, &hooks.collect::<String>());
    let alarms = (0..ALARMS).map(|alarm| ALARM.replace("\"cpu\"", &format!("\"cpu-{alarm}\"")));
    let alarms: Vec<String> = alarms.collect();
    world
        .folder
        .write("alarms.json", &format!("[{}]", alarms.join(",")));
    (world, arrived)
}

impl World {
    fn sum(&self, family: &str) -> Option<f64> {
        let of = |target| self.metric(&format!("{family}{{target=\"hook-{target}\"}}"));
        (0..TARGETS).map(of).sum()
    }

    fn wait_until_all_are_told(&self, arrived: &Arrived) {
        wait(LIMIT, "all to be told", || {
            let told = arrived.lock().unwrap();
            let told = told.iter().map(|(_, path, alarm)| (path, alarm));
            let all = told.collect::<BTreeSet<_>>().len() == ALARMS * TARGETS;
            (all && self.sum("cwbridge_notifications_waiting")? == 0.0).then_some(())
        });
    }
}

/// How often a target was told what it had been told before; each was told of one change of each alarm.
fn told_again(arrived: &Arrived) -> usize {
    let arrived = arrived.lock().unwrap();
    let mut counts: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    for (id, path, alarm) in arrived.iter() {
        let ids = counts.entry((path, alarm)).or_default();
        *ids.entry(id).or_default() += 1;
    }
    assert!(counts.values().all(|ids| ids.len() == 1), "{counts:?}");
    arrived.len() - ALARMS * TARGETS
}

/// Killed while hundreds of deliveries are made, and what became of some is written: all are made, and more than once only where
/// that is counted.
#[test]
fn of_many_none_is_lost_and_what_is_told_twice_is_counted() {
    std::thread::scope(|scope| {
        for milliseconds in [0, 20, 50, 100, 200, 400] {
            scope.spawn(move || kill_amid(milliseconds));
        }
    });
}

fn kill_amid(milliseconds: u64) {
    let (world, arrived) = world(&format!("notify-many-{milliseconds}"));
    let mut first = world.start();
    first.wait_for_line("alarm changed state", LIMIT);
    pause(Duration::from_millis(milliseconds));
    first.stop("KILL");
    let before = arrived.lock().unwrap().len();
    let second = world.start();
    world.wait_until_all_are_told(&arrived);
    let extra = f64::from(u32::try_from(told_again(&arrived)).unwrap());
    let resent = world.sum("cwbridge_notifications_resent_total").unwrap();
    assert!(
        extra <= resent,
        "{before} before, {extra} twice: {}",
        second.log()
    );
}

/// Killed again and again, while it takes up what the one before left, too: nothing is lost.
#[test]
fn of_many_none_is_lost_over_many_kills() {
    let (world, arrived) = world("notify-kills");
    let mut first = world.start();
    first.wait_for_line("alarm changed state", LIMIT);
    first.stop("KILL");
    for milliseconds in [5, 10, 20, 40, 80, 160] {
        let mut next = world.start();
        pause(Duration::from_millis(milliseconds));
        next.stop("KILL");
    }
    let _last = world.start();
    world.wait_until_all_are_told(&arrived);
    told_again(&arrived);
}
