use std::io::Write as _;

use super::*;
use crate::config::StartAt;

use super::super::file::{mark_of_copy, originals};
use super::super::lines;

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

const ROOM: Room = Room {
    requests: 16,
    bytes: 1 << 20,
};

struct World {
    dir: PathBuf,
    files: Files,
    now: Timestamp,
    sent: Vec<String>,
    times: Vec<Timestamp>,
}

impl World {
    fn new(name: &str, glob: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("d")).unwrap();
        let files = files(&dir.join("d").join(glob), &BTreeMap::new());
        Self {
            dir,
            files,
            now: START,
            sent: Vec::new(),
            times: Vec::new(),
        }
    }

    /// As if the program had ended and begun again, with a section of its configuration changed.
    fn restart(&mut self, change: impl Fn(&mut LogFiles)) {
        let changes = self.files.take_changes().into_iter();
        let kept = changes.filter_map(|(key, text)| Some((key, text?)));
        self.files = files_of(self.config(change), &kept.collect());
    }

    fn config(&self, change: impl Fn(&mut LogFiles)) -> LogFiles {
        let mut config = LogFiles {
            paths: self.files.entries[0].config.paths.clone(),
            ..lines::tests::files()
        };
        change(&mut config);
        config
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join("d").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).append(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// As if a file had last been written then.
    fn made(&self, name: &str, at: Timestamp) {
        let file = fs::OpenOptions::new().write(true).open(self.path(name));
        let since = std::time::Duration::from_secs(u64::try_from(at.seconds()).unwrap());
        let at = std::time::SystemTime::UNIX_EPOCH + since;
        file.unwrap().set_modified(at).unwrap();
    }

    /// So many seconds with a look each; what is sent is taken.
    fn run(&mut self, seconds: i64) {
        self.run_with(seconds, &Fate::Accepted(crate::aws::Rejected::default()));
    }

    fn run_with(&mut self, seconds: i64, fate: &Fate) {
        for _ in 0..seconds {
            self.now = self.now + 1;
            for ready in self.files.look(self.now, ROOM) {
                let Ready { id, taken, .. } = ready;
                let done = (taken.place, taken.counts);
                let is_taken = matches!(fate, Fate::Accepted(_));
                for event in taken.batch.into_events().into_iter().filter(|_| is_taken) {
                    self.sent.push(event.message);
                    self.times.push(event.at);
                }
                self.files.settle(id, done, fate, self.now);
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn files(glob: &Path, kept: &BTreeMap<String, String>) -> Files {
    let config = LogFiles {
        paths: vec![glob.display().to_string()],
        ..lines::tests::files()
    };
    files_of(config, kept)
}

fn files_of(config: LogFiles, kept: &BTreeMap<String, String>) -> Files {
    let resolve = |_: &LogFiles, path: &Path| {
        Ok(Stream {
            group: "g".to_owned(),
            name: path.display().to_string(),
            retention: None,
            tags: BTreeMap::new(),
        })
    };
    Files::new(vec![config], kept, Arc::new(resolve), Arc::default())
}

/// It was idle for long when it is renamed: it is neither sent anew, nor is what is still written to it lost.
#[test]
fn a_quiet_file_that_is_renamed_is_known_still() {
    for glob in ["a.log*", "a.log"] {
        let mut world = World::new(&format!("quiet-{}", glob.len()), glob);
        world.append("a.log", "one\n");
        world.run(80);
        fs::rename(world.path("a.log"), world.path("a.log.1")).unwrap();
        world.run(1);
        world.append("a.log.1", "two\n");
        world.append("a.log", "three\n");
        world.run(90);
        world.sent.sort();
        assert_eq!(world.sent, ["one", "three", "two"], "{glob}");
    }
}

#[test]
fn a_folder_that_comes_back_is_not_sent_anew() {
    let mut world = World::new("folder", "*.log");
    world.append("a.log", "one\n");
    world.run(10);
    let away = world.dir.join("away");
    fs::rename(world.dir.join("d"), &away).unwrap();
    // As if it had not been open.
    for source in world.files.sources.values_mut() {
        source.file = None;
    }
    world.run(20);
    assert!(world.files.sources.is_empty());
    fs::rename(&away, world.dir.join("d")).unwrap();
    world.append("a.log", "two\n");
    world.run(20);
    assert_eq!(world.sent, ["one", "two"]);
}

#[test]
fn a_file_whose_end_is_cut_off_is_not_sent_anew() {
    let mut world = World::new("cut", "*.log");
    let long = "x".repeat(2_000);
    world.append("a.log", &format!("{long}\none\n"));
    world.run(10);
    let file = fs::OpenOptions::new().write(true).open(world.path("a.log"));
    file.unwrap().set_len(2_001).unwrap();
    world.run(3);
    world.append("a.log", "two\n");
    world.run(10);
    assert_eq!(world.sent, [long.as_str(), "one", "two"]);
}

#[test]
fn a_file_that_begins_like_another_one_is_sent_as_well() {
    let mut world = World::new("header", "worker*");
    world.append("worker", "header\n");
    world.append("worker-1", "header\nrow\n");
    world.run(20);
    world.sent.sort();
    assert_eq!(world.sent, ["header", "header", "row"]);
}

/// Another file has the number of one that was watched before: it is sent whole, to a stream of its own.
#[test]
fn a_number_that_is_used_again_is_another_file() {
    let mut world = World::new("reused", "*.log");
    world.append("a.log", "one\n");
    world.run(10);
    let changes = world.files.take_changes().into_iter();
    let kept = changes.filter_map(|(key, text)| Some((key, text?)));
    let kept: BTreeMap<String, String> = kept.collect();
    fs::remove_file(world.path("a.log")).unwrap();
    world.append("b.log", "two\n");
    let id = FileId::of(&fs::metadata(world.path("b.log")).unwrap());
    // Whether the file system gives the number again is its own affair.
    let text = kept.values().next().unwrap().clone();
    let kept = BTreeMap::from([(id.key(), text)]);
    world.files = files(&world.path("*.log"), &kept);
    world.run(10);
    assert_eq!(world.sent, ["one", "two"]);
    let source = world.files.sources.values().next().unwrap();
    assert!(source.stream.name.ends_with("b.log"), "{:?}", source.stream);
}

/// What comes while the program is away is new, also where nothing was there before.
#[test]
fn only_what_is_there_at_the_very_first_look_is_passed_by_start_at_end() {
    let at_end = |config: &mut LogFiles| config.start_at = StartAt::End;
    let mut world = World::new("end", "*.log");
    world.append("a.log", "one\n");
    world.restart(at_end);
    world.run(10);
    world.append("a.log", "two\n");
    world.run(10);
    fs::remove_file(world.path("a.log")).unwrap();
    world.run(90);
    world.append("b.log", "three\n");
    world.restart(at_end);
    world.run(10);
    assert_eq!(world.sent, ["two", "three"]);
    // Files that are looked for elsewhere are not known.
    world.append("c.txt", "four\n");
    let elsewhere = world.path("*.txt").display().to_string();
    world.restart(|config| {
        at_end(config);
        config.paths = vec![elsewhere.clone()];
    });
    world.run(10);
    assert_eq!(world.sent.len(), 2);
}

/// Then everything may have been sent, and is counted if it is sent again; what comes later is not.
#[test]
fn where_positions_are_unknown_what_is_there_counts_as_sent_before() {
    let mut world = World::new("unknown", "*.log");
    world.append("a.log", "one\ntwo\n");
    let kept = BTreeMap::from([(POSITIONS_UNKNOWN.to_owned(), String::new())]);
    world.files = files(&world.path("*.log"), &kept);
    world.run(1);
    world.append("a.log", "three\n");
    world.append("b.log", "four\n");
    world.run(20);
    world.sent.sort();
    assert_eq!(world.sent, ["four", "one", "three", "two"]);
    assert_eq!(world.files.stats.logs.get().resent["file"], 2);
    assert_eq!(world.files.take_changes()[POSITIONS_UNKNOWN], None);
}

/// Also where the two are sent by different requests, but not after a silence.
#[test]
fn a_line_without_a_time_has_that_of_the_line_before() {
    let mut world = World::new("times", "*.log");
    world.restart(|config| config.timestamp_format = Some("rfc3339".to_owned()));
    world.append("a.log", "2027-01-15T07:59:00Z boom\n");
    for _ in 0..5 {
        world.run(2);
        world.append("a.log", "  at somewhere\n");
    }
    world.run(30);
    assert_eq!(world.sent.len(), 6);
    assert!(
        world.times.iter().all(|at| *at == START - 60),
        "{:?}",
        world.times
    );
    world.append("a.log", "starting\n");
    world.run(10);
    assert!(world.times[6] > START, "{:?}", world.times);
}

/// What is too much for the way to AWS is sent in parts, with everything in it and in its order.
#[test]
fn requests_become_smaller_while_answers_are_lost() {
    let mut world = World::new("slow", "*.log");
    let lines: Vec<String> = (0..400).map(|it| format!("{it:0>2000}")).collect();
    world.append("a.log", &format!("{}\n", lines.join("\n")));
    let mut sizes = Vec::new();
    while sizes.len() < 4 {
        world.now = world.now + 1;
        for ready in world.files.look(world.now, ROOM) {
            sizes.push(ready.taken.batch.bytes());
            let done = (ready.taken.place, ready.taken.counts);
            let lost = Fate::Failed { answer_lost: true };
            world.files.settle(ready.id, done, &lost, world.now);
        }
    }
    assert_eq!(sizes[0], 800_000);
    for (size, most) in sizes[1..].iter().zip([524_288, 262_144, 131_072]) {
        assert!((most - 10_000..most).contains(size), "{sizes:?}");
    }
    world.run(60);
    assert_eq!(world.sent, lines);
    let resent = world.files.stats.logs.get().resent["file"];
    assert!(resent >= 400, "{resent}");
}

#[test]
fn ten_thousand_files_are_watched_and_few_of_them_are_open() {
    let mut world = World::new("many", "*.log");
    for number in 0..FILES_MAX + 50 {
        world.append(&format!("{number}.log"), &format!("{number}\n"));
    }
    world.run(700);
    let sent: BTreeSet<&String> = world.sent.iter().collect();
    assert_eq!((world.sent.len(), sent.len()), (FILES_MAX, FILES_MAX));
    world.append("7.log", "more\n");
    world.run(30);
    assert_eq!(world.sent.last().unwrap(), "more");
    let open = world.files.sources.values().filter(|it| it.file.is_some());
    assert!(open.count() <= OPEN_MAX);
    let counts = world.files.stats.logs.get().files;
    assert_eq!((counts.watched, counts.ignored), (FILES_MAX, 50));
}

/// As logrotate names them with `extension`, and with `dateext`.
#[test]
fn copies_that_keep_the_ending_of_the_name_are_known() {
    for name in ["a.1.log", "a-20270115.log", "a.log.1"] {
        let mut world = World::new("extension", "a*");
        world.append("a.log", "one\n");
        world.run(10);
        world.append("a.log", "two\n");
        world.run(1);
        fs::copy(world.path("a.log"), world.path(name)).unwrap();
        world.run(20);
        world.append("a.log", "three\n");
        fs::copy(world.path("a.log"), world.path(name)).unwrap();
        fs::write(world.path("a.log"), "").unwrap();
        world.append("a.log", "four\n");
        world.run(90);
        world.sent.sort();
        assert_eq!(world.sent, ["four", "one", "three", "two"], "{name}");
    }
}

/// Files that all begin with the same words.
#[test]
fn of_copies_that_begin_alike_that_of_the_last_rotation_is_taken() {
    for (old, new) in [("a.log.1", "a.log.2"), ("a.log.2", "a.log.1")] {
        let mut world = World::new("alike", "a.log");
        world.append(old, "banner\nold\n");
        world.made(old, START - 1_000);
        world.append("a.log", "banner\n");
        world.run(10);
        world.append("a.log", "one\n");
        fs::copy(world.path("a.log"), world.path(new)).unwrap();
        world.made(new, world.now);
        fs::write(world.path("a.log"), "").unwrap();
        world.run(90);
        assert_eq!(world.sent, ["banner", "one"], "{old}");
        // Several rotations between two looks: all of it is in the copies.
        world.append("a.log", "banner\n");
        world.run(10);
        for (name, line, later) in [("a.log-3", "two", 0), ("a.log-4", "three", 1)] {
            world.append(name, &format!("banner\n{line}\n"));
            world.made(name, world.now + later);
        }
        fs::write(world.path("a.log"), "").unwrap();
        world.run(90);
        // Which of them is looked at first is told by their numbers.
        world.sent.sort();
        let all = ["banner", "banner", "banner", "one", "three", "two"];
        assert_eq!(world.sent, all, "{old}");
    }
}

/// What is left of a line after the start that is sent may be more than is read at once.
#[test]
fn after_a_line_of_many_megabytes_everything_goes_on() {
    let mut world = World::new("huge", "*.log");
    world.append("a.log", &"x".repeat(9_000_000));
    world.run(8);
    world.append("a.log", &"x".repeat(9_000_000));
    world.run(8);
    // As a hole, which a program leaves that writes on where its file ended before it was emptied.
    let file = fs::OpenOptions::new().write(true).open(world.path("a.log"));
    file.unwrap().set_len(40_000_000).unwrap();
    world.append("a.log", "\nnext\n");
    world.run(20);
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.sent[1], "next");
    let unread = world.files.sources.values().next().unwrap();
    assert_eq!(unread.place.offset, unread.size);
}

/// Where a reading ends an event does not, also if most of it is not wanted.
#[test]
fn an_event_is_whole_wherever_a_reading_ends() {
    let mut world = World::new("parts", "*.log");
    world.restart(|config| {
        config.multi_line_start = Some("^\\S".to_owned());
        config.filter.include = vec!["ERROR".to_owned()];
    });
    // Of which length lines are, some end where a reading does.
    let events = (0..90_000).map(|it| format!("event {it}{}\n  with more\n", " ".repeat(it % 70)));
    let wanted = |it: usize| format!("event {it} ERROR\n  at a\n  at b\n");
    let mut text = String::new();
    for (number, event) in events.enumerate() {
        text.push_str(&event);
        if number % 9 == 0 {
            text.push_str(&wanted(number));
        }
    }
    world.append("a.log", &text);
    // Until nothing has come for a while.
    world.run_with(10, &Fate::Failed { answer_lost: false });
    world.run(40);
    let expected: Vec<String> = (0..90_000)
        .step_by(9)
        .map(|it| wanted(it).trim().to_owned())
        .collect();
    assert_eq!(world.sent, expected);
    let dropped = &world.files.stats.logs.get().dropped;
    assert_eq!(dropped[&("file", "filtered")], 90_000);
}

#[test]
fn a_copy_is_known_by_its_name_either_way() {
    let of = Path::new("/d/a.log");
    for (copy, mark) in [
        ("/d/a.log.1", Some(".1")),
        ("/d/a.log-old", Some("-old")),
        ("/d/a.1.log", Some(".1")),
        ("/d/a-20270115.log", Some("-20270115")),
        ("/d/a.log", None),
        ("/d/a.logs", None),
        ("/d/a-error.log", None),
        ("/d/a1.log", None),
        ("/d/b.log", None),
        ("/e/a.log.1", None),
    ] {
        let copy = Path::new(copy);
        assert_eq!(mark_of_copy(copy, of), mark.map(str::as_bytes), "{copy:?}");
        let is_one = originals(copy).iter().any(|original| original == of);
        assert_eq!(is_one, mark.is_some(), "{copy:?}");
    }
}

#[test]
fn what_cannot_be_read_is_counted_until_it_is_over() {
    let mut world = World::new("unreadable", "*.log");
    std::os::unix::fs::symlink("loop.log", world.path("loop.log")).unwrap();
    world.append("a.log", "one\n");
    world.run(200);
    let unreadable = |world: &World| world.files.stats.logs.get().files.unreadable;
    assert_eq!(unreadable(&world), 1);
    fs::remove_file(world.path("loop.log")).unwrap();
    world.run(200);
    assert_eq!((unreadable(&world), world.sent.len()), (0, 1));
}

/// What is not sent under any name is not passed either.
#[test]
fn nothing_is_decided_of_files_that_have_no_name_yet() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    let mut world = World::new("nameless", "*.log");
    world.append("a.log", "one\n");
    let config = world.config(|config| config.start_at = StartAt::End);
    let is_known = Arc::new(AtomicBool::new(false));
    let knows = Arc::clone(&is_known);
    let named = Arc::clone(&world.files.resolve);
    let resolve = move |files: &LogFiles, path: &Path| match knows.load(Relaxed) {
        true => named(files, path),
        false => Err("not known".to_owned()),
    };
    let kept = BTreeMap::from([(POSITIONS_UNKNOWN.to_owned(), String::new())]);
    world.files = Files::new(vec![config], &kept, Arc::new(resolve), Arc::default());
    world.run(10);
    assert!(world.files.take_changes().is_empty());
    assert_eq!(world.files.stats.logs.get().files.unreadable, 1);
    is_known.store(true, Relaxed);
    world.run(10);
    world.append("a.log", "two\n");
    world.run(10);
    assert_eq!(world.sent, ["two"]);
    assert_eq!(world.files.take_changes()[POSITIONS_UNKNOWN], None);
}

/// A copy was made, and its file not emptied: not before the end of the program, and not after it.
#[test]
fn a_copy_is_known_after_a_restart_too() {
    for name in ["a.1.log", "a.log.1"] {
        let mut world = World::new("copied", "a*");
        world.append("a.log", "one\n");
        world.run(10);
        fs::copy(world.path("a.log"), world.path(name)).unwrap();
        world.run(10);
        world.restart(|_| {});
        world.run(10);
        assert_eq!(world.sent, ["one"], "{name}");
    }
}

/// The file is copied, emptied and written anew while nothing can be sent.
#[test]
fn a_rotation_by_copy_is_seen_also_while_it_is_waited() {
    let mut world = World::new("waiting", "a*");
    world.append("a.log", "one\n");
    world.run(10);
    world.append("a.log", "two\n");
    world.run_with(10, &Fate::Failed { answer_lost: false });
    world.files.backoffs.values_mut().for_each(|backoff| {
        for _ in 0..9 {
            world.now = world.now + 300;
            backoff.failed(world.now, false);
        }
    });
    fs::copy(world.path("a.log"), world.path("a.log.1")).unwrap();
    world.run(6);
    fs::write(world.path("a.log"), "").unwrap();
    world.run(6);
    // More than was sent of the file before, and less than it had.
    world.append("a.log", "three\n");
    world.run(30);
    world.append("a.log", "four\nfive\n");
    world.run(400);
    world.sent.sort();
    assert_eq!(world.sent, ["five", "four", "one", "three", "two"]);
}

#[test]
fn a_file_that_is_written_anew_after_all_was_sent_loses_nothing() {
    let mut world = World::new("anew", "*.log");
    world.append("a.log", "one\n");
    world.run(10);
    fs::write(world.path("a.log"), "another beginning\nand more of it\n").unwrap();
    world.run(10);
    assert_eq!(world.sent, ["one", "another beginning", "and more of it"]);
    assert_eq!(world.files.stats.logs.get().lost_files, 0);
    world.append("a.log", "late\n");
    world.run(1);
    fs::write(world.path("a.log"), "x\n").unwrap();
    world.run(10);
    assert_eq!(world.files.stats.logs.get().lost_files, 1);
}

/// Attempts that did not get out do not make it more.
#[test]
fn what_is_sent_again_is_counted_each_time_it_may_have_arrived() {
    let mut world = World::new("again", "*.log");
    world.append("a.log", "one\n");
    let resent = |world: &World| world.files.stats.logs.get().resent.get("file").copied();
    world.run_with(7, &Fate::Failed { answer_lost: true });
    assert_eq!(resent(&world), Some(1));
    world.run_with(400, &Fate::Failed { answer_lost: false });
    assert!(resent(&world).unwrap() <= 3);
    let before = resent(&world);
    world.run(400);
    assert_eq!((resent(&world), world.sent.len()), (before, 1));
}
