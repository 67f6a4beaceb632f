//! Who is told when: ahead of CloudWatch, while it is out of reach, after a while, again and again, when it is certain.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;
use crate::endpoint::Cbor;

const LONG: Duration = Duration::from_mins(3);

/// What each path was sent, with the times at which that was.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(f64, String, Value)>>>);

impl Heard {
    fn serve(&self) -> String {
        let heard = self.clone();
        serve(move |path, body| {
            let body = serde_json::from_str(body).unwrap();
            heard
                .0
                .lock()
                .unwrap()
                .push((seconds(), path.to_owned(), body));
            json("200 OK", "")
        })
    }

    /// The states of which a path was told.
    fn states(&self, path: &str) -> Vec<String> {
        let heard = self.0.lock().unwrap();
        let states = heard.iter().filter(|(_, to, _)| to == path);
        let state = |body: &Value| body["NewStateValue"].as_str().unwrap().to_owned();
        states.map(|(_, _, body)| state(body)).collect()
    }

    fn wait_for(&self, path: &str, states: &[&str]) {
        wait(LONG, &format!("{states:?} at {path}"), || {
            (self.states(path) == states).then_some(())
        });
    }

    /// How long after the change of its state a path was told something for the nth time.
    fn delay(&self, path: &str, nth: usize) -> f64 {
        let heard = self.0.lock().unwrap();
        let (at, _, body) = heard
            .iter()
            .filter(|(_, to, _)| to == path)
            .nth(nth)
            .unwrap();
        let changed = body["StateChangeTime"].as_str().unwrap();
        let changed: jiff::Timestamp = changed.replace("+0000", "Z").parse().unwrap();
        at - changed.as_duration().as_secs_f64()
    }
}

fn seconds() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

fn hook(name: &str, url: &str, keys: &str) -> String {
    format!("[[notify]]\nname = \"{name}\"\nwebhook = \"{url}/{name}\"\n{keys}\n")
}

impl World {
    /// The alarm is in ALARM if CPU was used at all, and in OK otherwise, from the next period on.
    fn set(&self, program: &Process, state: &str) {
        let threshold = if state == "ALARM" { "0" } else { "200" };
        let changed = ALARM.replace("\"Threshold\": 0", &format!("\"Threshold\": {threshold}"));
        self.folder.write("alarms.json", &changed);
        program.signal("HUP");
        self.wait_for_state("cpu", state);
    }

    fn wait_for_state(&self, alarm: &str, state: &str) {
        let series = format!("cwbridge_alarm_state{{alarm=\"{alarm}\",state=\"{state}\"}}");
        self.wait_for(&series, 1.0);
    }
}

/// CloudWatch as a test wants it: out of reach, or with the alarm in some state since some time.
type Cloud = Arc<Mutex<Option<(&'static str, f64)>>>;

fn cloud() -> (Cloud, String) {
    let cloud: Cloud = Arc::new(Mutex::new(Some(("OK", seconds() - 3_600.0))));
    let shared = Arc::clone(&cloud);
    let url = serve(move |path, _| {
        let Some((state, since)) = *shared.lock().unwrap() else {
            return Answer::cbor("503 Service Unavailable", *b"\xa0");
        };
        if !path.ends_with("DescribeAlarms") {
            return Answer::cbor("200 OK", *b"\xa0");
        }
        let alarm = Cbor::Map(vec![
            ("AlarmName", Cbor::Text("cpu")),
            ("StateValue", Cbor::Text(state)),
            ("StateReason", Cbor::Text("Threshold Crossed")),
            ("StateUpdatedTimestamp", Cbor::Time(since)),
            ("StateTransitionedTimestamp", Cbor::Time(since)),
            ("Namespace", Cbor::Text("CWBridge")),
            ("MetricName", Cbor::Text("CPUUtilization")),
            ("Statistic", Cbor::Text("Minimum")),
            ("Period", Cbor::Count(10)),
            ("EvaluationPeriods", Cbor::Count(1)),
            ("Threshold", Cbor::Number(0.0)),
            ("ComparisonOperator", Cbor::Text("GreaterThanThreshold")),
        ]);
        let mut answer = Vec::new();
        Cbor::Map(vec![("MetricAlarms", Cbor::List(vec![alarm]))]).write(&mut answer);
        Answer::cbor("200 OK", answer)
    });
    (cloud, url)
}

#[test]
fn some_are_told_ahead_of_cloudwatch_or_while_it_is_out_of_reach() {
    let heard = Heard::default();
    let url = heard.serve();
    let ahead = hook("ahead", &url, &format!("when = \"ahead\"\n{ALL}"));
    let unreachable = hook(
        "unreachable",
        &url,
        &format!("when = \"unreachable\"\n{ALL}"),
    );
    let notify = format!("[mirror]\ninterval = \"10s\"\n{ahead}{unreachable}");
    let world = World::new("notify-when", &notify);
    let (cloud, endpoint) = cloud();
    let mut command = world.command();
    command.envs([
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", &endpoint),
    ]);
    let program = Process::start(&mut command);
    let withheld = |target: &str, reason: &str, count: f64| {
        let labels = format!("target=\"{target}\",reason=\"{reason}\"");
        world.wait_for(
            &format!("cwbridge_notifications_withheld_total{{{labels}}}"),
            count,
        );
    };
    // CloudWatch answers, and has the alarm in OK still.
    heard.wait_for("/ahead", &["ALARM"]);
    withheld("unreachable", "cloudwatch_reachable", 1.0);
    // CloudWatch is first.
    *cloud.lock().unwrap() = Some(("ALARM", seconds()));
    let theirs = |state: &str| {
        let series = format!("cwbridge_alarm_cloudwatch_state{{alarm=\"cpu\",state=\"{state}\"}}");
        world.wait_for(&series, 1.0);
    };
    theirs("ALARM");
    *cloud.lock().unwrap() = Some(("OK", seconds()));
    theirs("OK");
    world.set(&program, "OK");
    withheld("ahead", "cloudwatch_first", 1.0);
    withheld("unreachable", "cloudwatch_reachable", 2.0);
    // It is gone.
    *cloud.lock().unwrap() = None;
    world.set(&program, "ALARM");
    heard.wait_for("/ahead", &["ALARM", "ALARM"]);
    heard.wait_for("/unreachable", &["ALARM"]);
}

#[test]
fn some_are_told_after_a_while_and_again() {
    let heard = Heard::default();
    let url = heard.serve();
    let up = format!("delay_up = \"30s\"\nwhen = \"always\"\n{ALL}");
    let down = format!("delay_down = \"5s\"\nwhen = \"always\"\n{ALL}");
    let again =
        format!("states = [\"ALARM\"]\nrepeat = \"1m\"\nrepeat_max = 1\nwhen = \"always\"\n{ALL}");
    let notify = [
        hook("up", &url, &up),
        hook("down", &url, &down),
        hook("again", &url, &again),
    ];
    let world = World::new("notify-delay", &notify.concat());
    let program = world.start();
    world.wait_for_state("cpu", "ALARM");
    heard.wait_for("/down", &["ALARM"]);
    world.set(&program, "OK");
    heard.wait_for("/down", &["ALARM", "OK"]);
    assert!(heard.delay("/down", 0) < 5.0, "{:?}", heard.0);
    assert!(heard.delay("/down", 1) >= 5.0, "{:?}", heard.0);
    // It did not last: nobody hears of it who waits for a while.
    world.set(&program, "ALARM");
    heard.wait_for("/up", &["ALARM"]);
    assert!(heard.delay("/up", 0) >= 30.0, "{:?}", heard.0);
    // It lasts: it is told once more, and not again.
    heard.wait_for("/again", &["ALARM", "ALARM", "ALARM"]);
    assert!(heard.delay("/again", 2) >= 60.0, "{:?}", heard.0);
    pause(Duration::from_secs(62));
    assert_eq!(heard.states("/again").len(), 3);
    assert_eq!(heard.states("/down"), ["ALARM", "OK", "ALARM"]);
}

/// Whoever wants certain verdicts only is told as soon as there is one, of the state that was entered before.
#[test]
fn what_was_uncertain_is_told_late() {
    let heard = Heard::default();
    let url = heard.serve();
    let early = hook("early", &url, &format!("when = \"always\"\n{ALL}"));
    let late = hook("late", &url, "when = \"always\"");
    let world = World::new("notify-late", &(early + &late));
    // What was before the start is not known, and would be breaching if it was not there.
    let alarm = ALARM.replace(
        "\"EvaluationPeriods\": 1",
        "\"EvaluationPeriods\": 3, \"TreatMissingData\": \"breaching\"",
    );
    world.folder.write("alarms.json", &alarm);
    let program = world.start();
    heard.wait_for("/early", &["ALARM"]);
    let uncertain = "cwbridge_notifications_withheld_total{target=\"late\",reason=\"uncertain\"}";
    world.wait_for(uncertain, 1.0);
    assert_eq!(heard.states("/late").len(), 0, "{}", program.log());
    heard.wait_for("/late", &["ALARM"]);
    let changes = heard.0.lock().unwrap();
    let changed = changes.iter().map(|(_, _, body)| &body["StateChangeTime"]);
    let changed: Vec<_> = changed.collect();
    assert_eq!(changed[0], changed[1], "the same change");
}

/// Its suppressor withholds a composite alarm's actions: nobody is told of it until that is over.
#[test]
fn a_suppressed_composite_is_told_once_its_suppressor_is_over() {
    let heard = Heard::default();
    let url = heard.serve();
    let hook = hook("hook", &url, &format!("when = \"always\"\n{ALL}"));
    let world = World::new("notify-suppressed", &hook);
    let composite = r#"{"AlarmName": "both", "AlarmRule": "ALARM(cpu)", "ActionsSuppressor": "deploy",
        "ActionsSuppressorWaitPeriod": 1, "ActionsSuppressorExtensionPeriod": 1}"#;
    let all = |deploys: &str| {
        let deploy = ALARM
            .replace("\"cpu\"", "\"deploy\"")
            .replace("Threshold\": 0", deploys);
        world
            .folder
            .write("alarms.json", &format!("[{ALARM}, {deploy}, {composite}]"))
    };
    all("Threshold\": 0");
    let program = world.start();
    world.wait_for_state("both", "ALARM");
    let told_of = |alarm: &str| {
        let heard = heard.0.lock().unwrap();
        let told = heard
            .iter()
            .filter(|(_, _, body)| body["AlarmName"] == alarm && body["NewStateValue"] == "ALARM");
        told.count()
    };
    wait(LIMIT, "the others to be told", || {
        (told_of("cpu") == 1 && told_of("deploy") == 1).then_some(())
    });
    pause(Duration::from_secs(5));
    assert_eq!(told_of("both"), 0, "{}", program.log());
    all("Threshold\": 200");
    program.signal("HUP");
    world.wait_for_state("deploy", "OK");
    wait(LIMIT, "the composite to be told", || {
        (told_of("both") == 1).then_some(())
    });
}
