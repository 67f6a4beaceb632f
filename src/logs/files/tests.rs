use std::io::Write as _;

use super::*;
use crate::config::{LogFilter, LogTarget};

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct World {
    dir: PathBuf,
    files: Files,
    now: Timestamp,
    sent: Vec<String>,
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
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join("d").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).append(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// So many seconds with a look each; what is sent is taken.
    fn run(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now = self.now + 1;
            for ready in self.files.look(self.now, 8) {
                let Ready { id, taken, .. } = ready;
                let done = (taken.place, taken.counts);
                let events = taken.batch.into_events().into_iter();
                self.sent.extend(events.map(|event| event.message));
                let fate = Fate::Accepted(crate::aws::Rejected::default());
                self.files.settle(id, done, &fate, self.now);
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
        target: LogTarget {
            group: "g".to_owned(),
            stream: "s".to_owned(),
            retention: None,
            tags: Vec::new(),
        },
        paths: vec![glob.display().to_string()],
        exclude_paths: Vec::new(),
        multi_line_start: None,
        timestamp_format: None,
        timezone: "UTC".to_owned(),
        filter: LogFilter::default(),
        start_at: StartAt::Beginning,
    };
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
