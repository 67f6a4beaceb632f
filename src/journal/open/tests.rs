use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::super::tests::{ALWAYS, Dir, NOW, all, append, minutes};
use super::super::{Append, LogProgress, POSITIONS_UNKNOWN, Reader};
use super::*;

fn try_open(dir: &Path) -> Result<(Journal, Vec<Note>), OpenError> {
    Journal::open(dir, Limits::default(), NOW)
}

/// A directory with a journal of many pages.
fn filled() -> Dir {
    let dir = Dir::new();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 1_000), false).unwrap();
    journal.close().unwrap();
    dir
}

fn change(dir: &Dir, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(dir.file()).unwrap();
    change(&mut bytes);
    fs::write(dir.file(), bytes).unwrap();
}

fn scramble(bytes: &mut [u8]) {
    bytes[40 * 4_096..60 * 4_096]
        .iter_mut()
        .for_each(|byte| *byte = !*byte);
}

fn mark_clean(dir: &Dir, clean: bool) {
    let connection = Connection::open(dir.file()).unwrap();
    connection
        .execute("UPDATE journal SET clean = ?1", [clean])
        .unwrap();
}

/// Opening sets the file aside as it is, and begins a journal that works.
#[track_caller]
fn check_set_aside(dir: &Dir) {
    let before = fs::read(dir.file()).unwrap();
    let (mut journal, notes) = try_open(&dir.0).unwrap();
    let [Note::SetAside { path, .. }] = notes.as_slice() else {
        panic!("{notes:?}")
    };
    assert!(fs::read(path).unwrap() == before);
    assert_eq!(all(&journal), []);
    append(&mut journal, &minutes(NOW, 2), true).unwrap();
    journal.close().unwrap();
    assert_eq!(all(&dir.open()).len(), 2);
}

#[test]
fn what_was_closed_is_one_complete_file() {
    let dir = filled();
    let mut names: Vec<String> = fs::read_dir(&dir.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [LOCK_FILE, FILE]);
    assert_eq!(all(&dir.open()), minutes(NOW, 1_000));
}

#[test]
fn a_file_that_is_no_journal_is_set_aside() {
    let (garbage, foreign, headless) = (Dir::new(), filled(), filled());
    fs::write(garbage.file(), "no database at all, ".repeat(500)).unwrap();
    check_set_aside(&garbage);
    let connection = Connection::open(foreign.file()).unwrap();
    connection.pragma_update(None, "application_id", 1).unwrap();
    drop(connection);
    check_set_aside(&foreign);
    change(&headless, |bytes| bytes[..100].fill(0));
    check_set_aside(&headless);
}

#[test]
fn a_truncated_file_is_set_aside() {
    for keep in [100, 4_096, 5_000, 40_960, 40_961] {
        let dir = filled();
        change(&dir, |bytes| bytes.truncate(keep));
        check_set_aside(&dir);
    }
}

#[test]
fn a_journal_without_its_tables_is_set_aside() {
    let dir = filled();
    Connection::open(dir.file())
        .unwrap()
        .execute_batch("DROP TABLE datapoint")
        .unwrap();
    check_set_aside(&dir);
}

#[test]
fn damage_is_found_after_an_unclean_end() {
    let dir = filled();
    mark_clean(&dir, false);
    change(&dir, |bytes| scramble(bytes));
    check_set_aside(&dir);
}

#[test]
fn damage_that_is_met_later_is_remembered() {
    let dir = filled();
    change(&dir, |bytes| scramble(bytes));
    let journal = dir.open();
    assert!(matches!(
        journal.datapoints(NOW, drop),
        Err(Error::Corrupt(_))
    ));
    drop(journal);
    mark_clean(&dir, true);
    check_set_aside(&dir);
}

#[test]
fn flipped_bits_are_survived() {
    let original = filled();
    let length = fs::metadata(original.file()).unwrap().len();
    for step in 0..100 {
        let dir = original.copy();
        mark_clean(&dir, false);
        change(&dir, |bytes| {
            bytes[(step * 7_919 % length) as usize] ^= 1 << (step % 8);
        });
        let (mut journal, _) = try_open(&dir.0).unwrap();
        drop(journal.datapoints(NOW, drop));
        drop(append(&mut journal, &minutes(NOW, 1), true));
        drop(journal.next_batch(NOW, ALWAYS, 1_000, 900_000));
    }
}

#[test]
fn what_is_set_aside_is_bounded_and_kept_whole() {
    let dir = Dir::new();
    for i in 0..5 {
        fs::write(dir.file(), format!("garbage {i}").repeat(100)).unwrap();
        fs::write(beside(&dir.file(), "-wal"), "wal").unwrap();
        drop(Journal::open(&dir.0, Limits::default(), NOW + 60 * i).unwrap());
    }
    let names = fs::read_dir(&dir.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut aside: Vec<String> = names.filter(|name| name.contains("corrupt")).collect();
    aside.sort();
    assert_eq!(aside.len(), 3 * SET_ASIDE_MAX);
    let oldest = "journal.sqlite3.corrupt-20231114T221600Z";
    assert_eq!(
        aside[..3],
        ["", "-shm", "-wal"].map(|suffix| format!("{oldest}{suffix}"))
    );
}

#[test]
fn a_newer_journal_is_not_touched() {
    let closed = filled();
    let newer = |dir: &Dir| {
        let connection = Connection::open(dir.file()).unwrap();
        connection
            .pragma_update(None, "user_version", schema::VERSION + 1)
            .unwrap();
        connection
    };
    drop(newer(&closed));
    let open = filled();
    let connection = newer(&open);
    let crashed = open.copy();
    drop(connection);
    for dir in [closed, crashed] {
        let files = |dir: &Dir| {
            (
                fs::read(dir.file()).unwrap(),
                fs::read(beside(&dir.file(), "-wal")).ok(),
            )
        };
        let before = files(&dir);
        let err = try_open(&dir.0).unwrap_err();
        assert!(
            matches!(
                err,
                OpenError::Newer {
                    version: 5,
                    known: 4,
                    ..
                }
            ),
            "{err}"
        );
        assert!(matches!(Reader::open(&dir.0), Err(OpenError::Newer { .. })));
        let after = files(&dir);
        assert!(before.0 == after.0);
        assert!(before.1.unwrap_or_default() == after.1.unwrap_or_default());
    }
}

/// The first version did not tell since when it is complete. It is brought to this one, or read as it is.
#[test]
fn a_journal_of_the_first_version_is_read_and_migrated() {
    let dir = filled();
    let connection = Connection::open(dir.file()).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE journal DROP COLUMN complete_since; DROP TABLE delivery; DROP TABLE log_event; DROP TABLE log_position; PRAGMA user_version = 1",
        )
        .unwrap();
    let snapshot = "INSERT INTO snapshot (only, at, pipeline) VALUES (1, 0, '')";
    connection.execute(snapshot, []).unwrap();
    drop(connection);
    let past = Reader::open(&dir.0).unwrap().past(0).unwrap().unwrap();
    assert_eq!(past.complete_since, NOW);
    let journal = dir.open();
    assert_eq!(journal.past(0).unwrap(), Some(past));
}

#[test]
fn an_empty_file_becomes_a_journal() {
    let dir = Dir::new();
    fs::write(dir.file(), "").unwrap();
    let mut journal = dir.open();
    append(&mut journal, &minutes(NOW, 1), true).unwrap();
    let synchronous = schema::pragma(&journal.connection, "synchronous");
    assert_eq!(synchronous.unwrap(), 2, "which is FULL");
    let pragma = |name| schema::pragma(&Connection::open(dir.file()).unwrap(), name).unwrap();
    assert_eq!(
        ["user_version", "auto_vacuum", "page_size"].map(pragma),
        [4, 2, 4_096]
    );
}

#[test]
fn a_second_owner_is_refused_until_the_first_is_gone() {
    let dir = Dir::new();
    let first = dir.open();
    let message = try_open(&dir.0).unwrap_err().to_string();
    let expected = format!(
        "the state directory `{}` is in use by another daemon (process {}); stop it or choose another directory",
        dir.0.display(),
        process::id()
    );
    assert_eq!(message, expected);
    drop(first);
    drop(dir.open());
    fs::write(dir.0.join(LOCK_FILE), [0xff]).unwrap();
    dir.open().close().unwrap();
}

#[test]
fn a_directory_is_made_for_its_owner_only() {
    let dir = Dir::new();
    let (made, _) = try_open(&dir.0.join("a/b")).unwrap();
    drop(made);
    let mode = |path: &str| fs::metadata(dir.0.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("a"), mode("a/b")), (0o700, 0o700));
}

#[test]
fn where_nothing_can_be_written_there_is_no_journal() {
    let dir = Dir::new();
    fs::write(dir.0.join("file"), "").unwrap();
    for path in [
        dir.0.join("file"),
        dir.0.join("file/below"),
        PathBuf::from("/proc/cwbridge"),
    ] {
        let err = try_open(&path).unwrap_err();
        let passes = !matches!(
            err,
            OpenError::InUse { .. } | OpenError::Newer { .. } | OpenError::Missing { .. }
        );
        assert!(passes, "{err}");
    }
}

#[test]
fn a_directory_without_permission_is_told() {
    let dir = Dir::new();
    fs::set_permissions(&dir.0, Permissions::from_mode(0o500)).unwrap();
    // The superuser may write anywhere.
    if fs::write(dir.0.join("probe"), "").is_err() {
        assert!(matches!(try_open(&dir.0), Err(OpenError::Denied { .. })));
    }
    fs::set_permissions(&dir.0, Permissions::from_mode(0o700)).unwrap();
}

/// What is to be told and written, and how far that was got, goes on in the new file; what cannot be read of it is known to be
/// missing.
#[test]
fn texts_of_a_file_that_is_set_aside_are_taken_over() {
    for is_positions_lost in [false, true] {
        let dir = filled();
        let mut journal = dir.open();
        let deliveries = [("told".to_owned(), Some("text".to_owned()))];
        let events = [(NOW, "one".to_owned()), (NOW + 1, "two".to_owned())];
        let append = Append {
            deliveries: &deliveries,
            log_events: &events,
            ..Append::default()
        };
        journal.append(append).unwrap();
        let mut progress = LogProgress {
            positions: [("a".to_owned(), Some("1".to_owned()))].into(),
            written: Some(1),
        };
        journal.log_progress(&progress).unwrap();
        let kept = journal.log_events(0, 9).unwrap();
        journal.close().unwrap();
        if is_positions_lost {
            let connection = Connection::open(dir.file()).unwrap();
            connection.execute_batch("DROP TABLE log_position").unwrap();
        }
        mark_clean(&dir, false);
        change(&dir, |bytes| scramble(bytes));
        let (mut journal, _) = try_open(&dir.0).unwrap();
        assert_eq!(journal.deliveries().unwrap()["told"], "text");
        assert_eq!(journal.log_events(0, 9).unwrap(), kept);
        let key = if is_positions_lost {
            POSITIONS_UNKNOWN
        } else {
            "a"
        };
        let positions = journal.log_positions().unwrap();
        assert_eq!(positions.keys().collect::<Vec<_>>(), [key]);
        journal
            .append(Append {
                log_events: &[],
                ..Append::default()
            })
            .unwrap();
        assert_eq!(journal.log_events(0, 9).unwrap(), kept);
        progress.written = Some(kept[0].id);
        journal.log_progress(&progress).unwrap();
        let append = Append {
            log_events: &events,
            ..Append::default()
        };
        journal.append(append).unwrap();
        let ids: Vec<i64> = journal
            .log_events(0, 9)
            .unwrap()
            .iter()
            .map(|it| it.id)
            .collect();
        assert_eq!(ids, [3, 4], "they go on");
    }
}
