//! Stations that are made while a desk runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use millrace_model::ids::{Position, StreamName};

use super::keeper::{self, Kept};
use super::*;
use crate::event_store::poison;
use crate::sender::tests::rig::Rig;
use crate::supervision::State;

const EVERY: Position = 5;
const WITHIN: Duration = Duration::from_secs(300);

fn stations(rig: &Rig) -> Stations {
    Stations::beside(&rig.folder().join("log.sqlite")).every(EVERY)
}

fn keep(rig: &Rig) -> Kept {
    keeper::start(&rig.tree, rig.deposits.store().clone(), stations(rig)).unwrap()
}

async fn until_kept(kept: &mut Kept, position: Position) {
    let reached = kept.wait_for(|kept| *kept == Some(position));
    tokio::time::timeout(WITHIN, reached).await.expect("they are made").unwrap();
}

fn files(rig: &Rig) -> BTreeSet<String> {
    let Ok(files) = fs::read_dir(rig.folder().join("stations")) else { return BTreeSet::new() };
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn named(positions: &[Position]) -> BTreeSet<String> {
    positions.iter().map(|position| format!("{position}.station")).collect()
}

/// Four events each.
async fn owe(rig: &Rig, numbers: std::ops::RangeInclusive<u8>) {
    for number in numbers {
        rig.owe(number, "3").await;
    }
}

#[tokio::test]
async fn stations_are_made_as_the_log_grows_and_are_what_a_fold_of_all_comes_to() {
    let rig = Rig::new().await;
    owe(&rig, 1..=1).await;
    let mut kept = keep(&rig);
    until_kept(&mut kept, 0).await;
    assert_eq!(files(&rig), named(&[]), "there is too little for one");
    owe(&rig, 2..=5).await;
    until_kept(&mut kept, 20).await;
    owe(&rig, 6..=7).await;
    until_kept(&mut kept, 25).await;
    assert_eq!(files(&rig), named(&[5, 10, 15, 20, 25]));

    let reader = Reader::open(&rig.folder().join("log.sqlite")).unwrap();
    for position in 0..=28 {
        let looked = overview_at(&reader, Some(&stations(&rig).only_read()), position).unwrap();
        assert_eq!(looked, overview_at(&reader, None, position).unwrap(), "at {position}");
    }
    // That the look above began at them shows where one is another than the log makes it.
    let mut other = overview_at(&reader, None, 25).unwrap();
    other.addresses = 1_000;
    stations(&rig).keep(&other, reader.hash_at(25).unwrap().unwrap()).unwrap();
    assert_eq!(overview_at(&reader, Some(&stations(&rig)), 28).unwrap().addresses, 1_000);
}

#[tokio::test]
async fn a_start_goes_on_from_the_newest_and_removes_what_is_of_no_use() {
    let rig = Rig::new().await;
    owe(&rig, 1..=5).await;
    until_kept(&mut keep(&rig), 20).await;
    let rig = rig
        .between(|log| {
            let folder = log.with_file_name("stations");
            // As one of another log that was longer, and of this log by another version, and cut off.
            let own = fs::read_to_string(folder.join("15.station")).unwrap();
            fs::write(folder.join("40.station"), own.replace("\"position\":15", "\"position\":40")).unwrap();
            fs::write(folder.join("15.station"), own.replace("\"folded_as\":", "\"folded_as\":1")).unwrap();
            fs::write(folder.join("10.station"), "").unwrap();
            fs::write(folder.join("5.ThreadId(3).partial"), "half").unwrap();
        })
        .await;
    owe(&rig, 6..=7).await;
    until_kept(&mut keep(&rig), 25).await;
    assert_eq!(files(&rig), named(&[5, 20, 25]), "what lies far back is made when somebody looks there");
}

/// A log that is mended has the hashes that it had.
#[tokio::test]
async fn what_could_not_be_read_is_in_no_station_any_more_once_it_can() {
    let rig = Rig::new().await;
    owe(&rig, 1..=1).await;
    let id = rig.owe(2, "3").await;
    owe(&rig, 3..=5).await;
    let stream = StreamName::Deposit(id);
    let reader = Reader::open(&rig.folder().join("log.sqlite")).unwrap();
    let sound = overview_at(&reader, None, 20).unwrap();
    let kind = reader.stream(&stream, 2).unwrap()[0].event.kind().to_owned();
    drop(reader);
    let rig = rig.between(|log| poison::set_kind(log, &stream, 3, "Beamed")).await;
    until_kept(&mut keep(&rig), 20).await;
    let reader = Reader::open(&rig.folder().join("log.sqlite")).unwrap();
    let looked = || overview_at(&reader, Some(&stations(&rig).only_read()), 20).unwrap();
    assert_eq!(looked().aside.keys().copied().collect::<Vec<_>>(), [id]);
    // That it is a station which says so, also where nothing changed.
    let mut other = looked();
    other.addresses = 1_000;
    stations(&rig).keep(&other, reader.hash_at(20).unwrap().unwrap()).unwrap();
    assert_eq!(looked(), other);
    drop(reader);

    let rig = rig.between(|log| poison::set_kind(log, &stream, 3, &kind)).await;
    let reader = Reader::open(&rig.folder().join("log.sqlite")).unwrap();
    assert_eq!(overview_at(&reader, Some(&stations(&rig).only_read()), 20).unwrap(), sound);
    until_kept(&mut keep(&rig), 20).await;
    let kept = stations(&rig).nearest(&reader, 1..=20).unwrap();
    assert_eq!(kept, Some(sound));
}

/// What is missing in a log is the auditor's to tell.
#[tokio::test(start_paused = true)]
async fn where_the_log_has_a_hole_they_end_before_it() {
    let rig = Rig::new().await;
    owe(&rig, 1..=5).await;
    let rig = rig.between(|log| poison::damage(log, "DELETE FROM events WHERE position BETWEEN 8 AND 10")).await;
    let kept = keep(&rig);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!((*kept.borrow(), files(&rig)), (None, named(&[5])));
}

/// The desk can do without them.
#[tokio::test(start_paused = true)]
async fn where_none_can_be_kept_the_part_tries_again_later_and_nothing_ends() {
    let rig = Rig::new().await;
    owe(&rig, 1..=5).await;
    let folder: PathBuf = rig.folder().join("stations");
    fs::write(&folder, "in the way").unwrap();
    let mut kept = keep(&rig);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(*kept.borrow(), None);
    owe(&rig, 6..=6).await;
    fs::remove_file(&folder).unwrap();
    until_kept(&mut kept, 20).await;
    let part = rig.tree.health().part(keeper::PART).unwrap();
    assert_eq!((part.state, part.restarts), (State::Running, 0));
}

/// Each is what a fold of all comes to, wherever the last one was; of another log it begins anew.
#[tokio::test]
async fn the_newest_look_is_gone_on_from() {
    let rig = Rig::new().await;
    owe(&rig, 1..=2).await;
    let (newest, path) = (Newest::default(), rig.folder().join("log.sqlite"));
    let reader = Reader::open(&path).unwrap();
    let look = |head| newest.overview(&reader, &stations(&rig).only_read(), head).unwrap();
    for head in [8, 8, 3, 7] {
        assert_eq!(look(head), overview_at(&reader, None, head).unwrap(), "at {head}");
    }
    owe(&rig, 3..=3).await;
    assert_eq!(look(12), overview_at(&reader, None, 12).unwrap());
    let another = Rig::new().await;
    owe(&another, 5..=7).await;
    let reader = Reader::open(&another.folder().join("log.sqlite")).unwrap();
    let looked = newest.overview(&reader, &stations(&another).only_read(), 12).unwrap();
    assert_eq!(looked, overview_at(&reader, None, 12).unwrap());
}
